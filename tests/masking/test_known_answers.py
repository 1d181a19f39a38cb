"""Models whose answer to "which layer?" is known by construction, through the whole sweep."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import Item, read_items, write_items
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.model_sweep import MaskedModel, sweep_model
from merit_interp.masking.settings import MaskSettings
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.recipe import Scoring
from merit_interp.records import MaskedScores
from merit_interp.scoring.evaluation import Evaluation
from tests.tiny_models import N_LAYERS, TinyPair
from tests.videos_on_disk import tiny_video

COPYING_LAYER, COPYING_HEAD = 2, 0
MARKS, LETTERS = "@#^", "ABC"


@pytest.fixture
def own_vlm(pair: TinyPair) -> LoadedModel:
    """A VLM of this test's own, to be rebuilt."""
    return load_vlm(pair.vlm)


def swept(evaluation: Evaluation, **settings: object) -> list[MaskedScores]:
    mask_settings = MaskSettings(**settings)  # type: ignore[arg-type]
    plan = plan_sweep(
        n_layers=N_LAYERS, chosen=(1, 2), draws=200, seed=0,
        each_of_heads=4 if mask_settings.each_head else 0,
    )  # fmt: skip
    here = contextlib.nullcontext
    records: list[MaskedScores] = []
    model = MaskedModel("vlm", "vlm", evaluation, evaluation, here, here)
    sweep_model(model, plan, mask_settings, write=records.append)
    return records


@torch.no_grad()
def copies_the_answer(vlm: LoadedModel) -> None:
    """Rebuild a VLM so that one head of one layer copies the answer, nothing else anything.

    A mark in the question says which letter is right. Its embedding has one of the dimensions 0 to
    2; the copying head attends to all tokens alike and moves these to the dimensions 3 to 5, which
    are the letters' own.
    """
    for parameter in vlm.model.parameters():
        parameter.zero_()
    for module in vlm.model.modules():
        if "Norm" in type(module).__name__:
            module.weight.fill_(1.0)
    embedding = vlm.model.get_input_embeddings().weight
    for place, (mark, letter) in enumerate(zip(MARKS, LETTERS, strict=True)):
        for text, dimension in ((mark, place), (letter, 3 + place)):
            (token,) = vlm.tokenizer(text, add_special_tokens=False)["input_ids"]
            embedding[token, dimension] = 1.0
    for place in range(3):
        vlm.projection(COPYING_LAYER, "v").weight[place, place] = 1.0
        vlm.projection(COPYING_LAYER, "o").weight[3 + place, 8 * COPYING_HEAD + place] = 50.0


@pytest.fixture
def marked(tmp_path: Path, own_vlm: LoadedModel) -> Evaluation:
    copies_the_answer(own_vlm)
    tiny_video(tmp_path / "a.mp4", n_frames=2)
    items = [
        Item(f"i{n}", "a.mp4", f"Which one? {MARKS[n % 3]}", ("x", "y", "z"), n % 3, "reasoning")
        for n in range(6)
    ]
    write_items(tmp_path / "items.jsonl", items)
    file = read_items(tmp_path / "items.jsonl")
    return Evaluation(own_vlm, file, file.items, Scoring(max_frames=2), batch_size=4)


@pytest.mark.parametrize("mode", ["zero", "mean", "resample"])
def test_the_layer_that_copies_the_answer_is_named(marked: Evaluation, mode: str) -> None:
    answers = {item.id: item.answer for item in marked.items}
    right: dict[tuple[int, ...], int] = {}
    for record in swept(marked, mode=mode):
        for item, log_probs in record.log_probs.items():
            margin = log_probs[answers[item]] - max(
                value for option, value in enumerate(log_probs) if option != answers[item]
            )
            right[record.layers] = right.get(record.layers, 0) + (margin > 1)
    for layers, count in right.items():
        if mode == "resample" and COPYING_LAYER in layers:
            # another item's answer may be the same one
            assert count < 6
        else:
            assert count == (0 if COPYING_LAYER in layers else 6), layers


def test_the_head_that_copies_the_answer_is_named(marked: Evaluation) -> None:
    records = swept(marked, each_head=True)
    unmasked = {r.batch: r.log_probs for r in records if not r.layers}
    changed = {
        (r.layers[0], r.heads[0])
        for r in records
        if r.heads and r.log_probs != unmasked[r.batch]
    }  # fmt: skip
    assert changed == {(COPYING_LAYER, COPYING_HEAD)}


@pytest.mark.parametrize("mode", ["zero", "mean"])
def test_masking_a_layer_without_attention_changes_nothing_at_all(
    own_vlm: LoadedModel, evaluation: Evaluation, mode: str
) -> None:
    dead = 1
    with torch.no_grad():
        own_vlm.projection(dead, "o").weight.zero_()
    own = Evaluation(
        own_vlm, evaluation.item_file, evaluation.items, evaluation.scoring, batch_size=8
    )
    by_set = {(r.layers, r.batch): r.log_probs for r in swept(own, mode=mode)}
    compared = 0
    for (layers, batch), log_probs in by_set.items():
        without = tuple(layer for layer in layers if layer != dead)
        if dead in layers and (without, batch) in by_set:
            assert log_probs == by_set[without, batch], layers
            compared += 1
        elif layers:
            assert log_probs != by_set[(), batch]
    assert compared >= 4 * len(own.batches)


def test_the_rebuilt_model_answers_only_through_its_head(marked: Evaluation) -> None:
    """The construction itself: every item is right, and none without that head's projection."""
    assert all(score.correct for score in marked.scores("vlm", "vlm"))
    with torch.no_grad():
        marked.model.projection(COPYING_LAYER, "o").weight.zero_()
    assert all(score.margin_nats == 0 for score in marked.scores("vlm", "vlm"))
