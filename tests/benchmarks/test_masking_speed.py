"""How much faster a sweep is that starts where its sets are new, on the embedded pair."""

from __future__ import annotations

import contextlib
import functools
import time
from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import read_items
from merit_interp.masking.interventions import AttentionTraces, Edit
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.model_sweep import MaskedModel, sweep_model
from merit_interp.masking.modes import Subject
from merit_interp.masking.settings import MaskSettings
from merit_interp.masking.sweep import first_layers
from merit_interp.masking.token_classes import token_classes, tokens_at
from merit_interp.microworld import vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.loading import load_vlm
from merit_interp.recipe import Scoring
from merit_interp.records import MaskedScores, MaskPlan
from merit_interp.scoring.evaluation import Evaluation

ITEMS = 192


@pytest.mark.benchmark
def test_a_sweep_against_full_passes(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    path = write_item_sets(tmp_path, seed=0, sizes={"search": ITEMS // 6})["search"]
    file = read_items(path)
    vlm = load_vlm(str(vlm_directory()))
    scoring = Scoring(answers="option_text", max_frames=16)
    evaluation = Evaluation(vlm, file, file.items[:ITEMS], scoring, batch_size=64)
    everything = plan_sweep(n_layers=vlm.n_layers, chosen=(2, 3, 4, 5), draws=200, seed=0)
    single = MaskPlan(
        vlm.n_layers, (), tuple(s for s in everything.sets if len(s.layers) < 2), 1, 0
    )  # fmt: skip
    print()
    for name, plan in (("every layer alone", single), ("the whole sweep", everything)):
        # what else runs here slows down single measurements: the best of several, taken in turn
        pairs = [
            (reused(evaluation, plan), plain(evaluation, plan))
            for _ in range(max(2, 45 // len(plan.sets)))
        ]
        quick, full = (min(seconds) for seconds in zip(*pairs, strict=True))
        runs = sum(plan.n_layers - start for start in first_layers(plan.sets))
        print(
            f"{name}, {len(plan.sets)} sets, {len(evaluation.items)} items: {quick:.2f} s against "
            f"{full:.2f} s in full passes, {full / quick:.2f} times faster (aim: 1.7; "
            f"{runs} layer runs in place of {plan.n_layers * len(plan.sets)})"
        )
    torch.set_num_threads(threads)


def reused(evaluation: Evaluation, plan: MaskPlan) -> float:
    """Seconds of processor time of a sweep as `merit-interp mask` makes it."""
    here = contextlib.nullcontext
    model = MaskedModel("vlm", "vlm", evaluation, evaluation, here, here)
    records: list[MaskedScores] = []
    started = time.process_time()
    sweep_model(model, plan, MaskSettings(), write=records.append)
    assert len(records) == len(plan.sets) * len(evaluation.batches)
    return time.process_time() - started


def plain(evaluation: Evaluation, plan: MaskPlan) -> float:
    """Seconds of processor time of plain nnsight: every set a pass through the whole model."""
    started = time.process_time()
    with AttentionTraces(evaluation.model.text_layers) as traces:
        subject = Subject(evaluation, traces)
        for batch in evaluation.batches:
            where = tokens_at(token_classes(evaluation, batch), "all")
            for masked in plan.sets:
                edits = {layer: Edit(where, torch.zeros(())) for layer in masked.layers}
                traces.run(functools.partial(subject.forward, batch), edits=edits)
    return time.process_time() - started
