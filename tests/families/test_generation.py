"""Every family generates, on cached features and padded, what it says alone on its pixels."""

from __future__ import annotations

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.scoring.generation import generate_answers
from tests.families.conftest import LETTER, TinyFamily

N_TOKENS = 5
GENERATED = Scoring(answers="generated", max_frames=8, max_new_tokens=N_TOKENS)


def without_cache(evaluation: Evaluation, place: int) -> list[int]:
    """The most probable tokens, each by a forward of the whole text on the pixels."""
    batch = evaluation.batch_of([place])
    inputs = evaluation.pixel_inputs(batch) | {"logits_to_keep": torch.tensor([-1])}
    visual = getattr(evaluation.model.model.config, evaluation.model.family.video_token_id)
    said: list[int] = []
    for _ in range(N_TOKENS):
        with torch.no_grad():
            token = evaluation.model.model(**inputs).logits[0, -1].argmax().view(1, 1)
        if int(token) == visual:
            break  # a forward would look for one more vector of the video
        said.append(int(token))
        for name, value in {"input_ids": token, **dict.fromkeys(batch.token_inputs, 0)}.items():
            more = torch.as_tensor(value).view(1, 1)
            inputs[name] = torch.cat([inputs[name], more], dim=1)
    return said


def test_generation_on_cached_features_is_generation_on_pixels(
    family: TinyFamily, clips: ItemFile
) -> None:
    vlm = family.vlm
    # clips of several lengths and sizes, questions of several lengths: rows are padded
    evaluation = Evaluation(vlm, clips, clips.items, GENERATED)
    (batch,) = evaluation.batches
    assert len(set(batch.lengths)) > 2
    widths = []
    head = vlm.model.get_submodule(vlm.family.lm_head)
    watch = head.register_forward_hook(lambda _, given, logits: widths.append(logits.shape[1]))
    said = generate_answers(evaluation, batch)
    watch.remove()
    # the logits of a whole prompt are never made
    assert widths == [1] * N_TOKENS
    texts = dict(zip(batch.items, said.texts, strict=True))
    by_letter = {s.item: s for s in Evaluation(vlm, clips, clips.items, LETTER).scores("vlm", "")}
    for place, item in enumerate(clips.items):
        (alone,) = generate_answers(evaluation, evaluation.batch_of([place])).texts
        assert texts[place] == alone
        ids = without_cache(evaluation, place)
        assert alone.startswith(vlm.tokenizer.decode(ids, skip_special_tokens=True))
        assert len(ids) == N_TOKENS or vlm.family.model_type == "llava_next_video"
        row = said.log_probs[batch.items.index(place)].tolist()
        expected = by_letter[item.id].log_probs
        assert row[: len(item.options)] == pytest.approx(expected, abs=1e-4)
