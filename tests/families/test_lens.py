"""Every family is read: through TransformerLens where that has it, else through its modules.

`read_model` itself refuses logits that are not transformers', and a lens whose last layer is not
the model's own answer.
"""

from __future__ import annotations

import pytest

from merit_interp.benchmarks.items import ItemFile
from merit_interp.lens.bridge import is_bridgeable
from merit_interp.lens.heads import attention_weights, head_changes
from merit_interp.lens.model_reading import HeadStates, ReadModel, chosen_engine, read_model
from merit_interp.lens.token_kinds import QUESTION, VISUAL, token_kinds
from merit_interp.records import LensReading
from merit_interp.scoring.evaluation import Evaluation
from tests.families.conftest import LETTER, TinyFamily

NOT_ADDED = {"gemma3", "gemma4", "glm4v"}
"""Families with norms after self-attention and MLP."""


def test_a_family_is_read(family: TinyFamily, clips: ItemFile) -> None:
    loaded = family.vlm
    evaluation = Evaluation(loaded, clips, clips.items, LETTER)
    kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
    for index, item in enumerate(evaluation.items):
        own = kinds[index]
        tokens = evaluation.encoded[index].frame_tokens
        assert tokens is not None
        assert (own == VISUAL).tolist() == tokens.visual_mask().tolist()
        asked = loaded.tokenizer.decode(evaluation.encoded[index].input_ids[own == QUESTION])
        assert asked.strip() == item.question
    weights = attention_weights(loaded, range(loaded.n_layers))
    readings: list[LensReading] = []
    with chosen_engine(loaded, "auto") as (engine, why):
        assert engine.name == "transformer_lens" or why
        assert is_bridgeable(loaded) or engine.name == "modules"
        model = ReadModel("vlm", evaluation, kinds, HeadStates(weights))
        check = read_model(model, engine, why=why, write=readings.append)
    scored = {score.item: score for score in evaluation.scores("vlm", "")}
    for reading in readings:
        own_scores = scored[reading.item].log_probs
        assert reading.layer_log_probs[-1] == pytest.approx(own_scores, abs=1e-4)
        for share in (reading.attention_from_answer, reading.attention_from_question):
            assert all(sum(head) == pytest.approx(1, abs=1e-4) for row in share for head in row)
    family_name = loaded.family.model_type
    assert bool(check.no_direct) == (family_name in NOT_ADDED)
    assert check.direct_difference is None or check.direct_difference < 1e-4
    assert check.logit_difference < 1e-4
    # nothing changed is known as such, whatever the shapes of a layer's heads
    assert not any(sum(change.change.values()) for change in head_changes(weights, weights))
