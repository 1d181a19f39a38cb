"""Attention to the video by depth: what transformers' eager attention says, without holding it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.errors import NotANumberError
from merit_interp.merging import attention_schedule
from merit_interp.merging.attention_schedule import schedule_of, visual_attention
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation
from tests.tiny_families import FAMILIES, tiny_family_pair
from tests.videos_on_disk import frames_of_levels, write_video


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    folder = tmp_path_factory.mktemp("attention")
    found = []
    for clip in range(2):
        write_video(folder / f"{clip}.mp4", frames_of_levels(6, size=64, seed=clip), fps=4)
        found.append(
            Item(
                id=f"{clip}", video=f"{clip}.mp4", question="What comes right after the circle?",
                options=("the circle", "the square", "the star"), answer=clip, skill="reasoning",
            )
        )  # fmt: skip
    write_items(folder / "items.jsonl", found)
    return read_items(folder / "items.jsonl")


def eager_attention(vlm: LoadedModel, evaluation: Evaluation) -> list[float]:
    """The same measure from whole attention matrices, as transformers computes them eagerly."""
    total = torch.zeros(vlm.n_layers)
    found: dict[int, torch.Tensor] = {}
    hooks = [
        layer.get_submodule(vlm.family.self_attention).register_forward_hook(
            lambda module, args, out, number=number: found.__setitem__(number, out[1])
        )
        for number, layer in enumerate(vlm.text_layers)
    ]
    vlm.model.set_attn_implementation("eager")
    try:
        for index, encoded in evaluation.encoded.items():
            with torch.no_grad():
                vlm.model(**evaluation.batch_inputs(evaluation.batch_of([index])))
            assert encoded.frame_tokens is not None
            visual = encoded.frame_tokens.visual_mask()
            text = slice(int(visual.nonzero()[-1]) + 1, encoded.frame_tokens.n_prompt)
            for number, weights in found.items():
                seen = weights[0, :, text, : len(visual)][..., visual].sum(dim=-1)
                total[number] += seen.mean()
    finally:
        vlm.model.set_attn_implementation("sdpa")
        for hook in hooks:
            hook.remove()
    mean: list[float] = (total / len(evaluation.encoded)).tolist()
    return mean


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_what_eager_attention_says(
    family: str, items: ItemFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_schedule, "QUERIES_AT_ONCE", 7)
    vlm = load_vlm(tiny_family_pair(family, tmp_path / "pair").vlm)
    evaluation = Evaluation(vlm, items, items.items, Scoring(max_frames=4))
    before = evaluation.scores("vlm", "vlm")
    found = visual_attention(evaluation)
    assert found == pytest.approx(eager_attention(vlm, evaluation), abs=1e-6)
    assert all(0.0 < share < 1.0 for share in found)
    # watching changed nothing, and is over
    assert evaluation.scores("vlm", "vlm") == before
    assert visual_attention(evaluation, limit=1) != found


def test_the_layer_that_looks_most_stays_and_one_that_never_does_goes_furthest() -> None:
    assert schedule_of((0.5, 0.25, 0.0, 0.375)) == {0: 0.0, 1: 0.5, 2: 1.0, 3: 0.25}
    assert schedule_of((0.5, 0.25, 0.0), most=0.6) == {0: 0.0, 1: 0.3, 2: 0.6}
    assert schedule_of((0.3, 0.3)) == {0: 0.0, 1: 0.0}
    assert schedule_of((0.0, 0.0)) == {0: 1.0, 1: 1.0}


def test_attention_that_is_nan_is_no_schedule(items: ItemFile, tmp_path: Path) -> None:
    vlm = load_vlm(tiny_family_pair("llava_onevision", tmp_path / "pair").vlm)
    for name in ("q", "k"):
        vlm.projection(1, name).weight.data.fill_(3e38)
    evaluation = Evaluation(vlm, items, items.items, Scoring(max_frames=4))
    with pytest.raises(NotANumberError, match=r"is NaN for item .* as float32; valid: --dtype"):
        visual_attention(evaluation)


def test_attention_that_fails_is_taken_down(items: ItemFile, tmp_path: Path) -> None:
    vlm = load_vlm(tiny_family_pair("llava_onevision", tmp_path / "pair").vlm)
    evaluation = Evaluation(vlm, items, items.items[:1], Scoring(max_frames=4))
    before = evaluation.scores("vlm", "vlm")
    hook = vlm.text_layers[1].register_forward_pre_hook(lambda module, args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        visual_attention(evaluation)
    hook.remove()
    assert "sdpa" not in attention_schedule.ALL_ATTENTION_FUNCTIONS._local_mapping
    assert evaluation.scores("vlm", "vlm") == before
