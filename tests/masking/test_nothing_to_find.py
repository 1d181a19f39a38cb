"""Where nothing is to be found, the comparison claims nothing: 200 seeds of layers drawn at random.

Slow: `make check-slow`.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from scipy.stats import binom

from merit_interp.benchmarks.items import read_items
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.model_sweep import MaskedModel, sweep_model
from merit_interp.masking.settings import MaskSettings
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.microworld import backbone_directory, vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import load_vlm
from merit_interp.provenance import provenance
from merit_interp.recipe import ModelReference, Recipe, Scoring
from merit_interp.records import MaskedScores, MaskPlan
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tables.masking_comparison import compare
from merit_interp.tables.masking_effects import PRIMARY, MaskingRun, model_effects
from merit_interp.tables.masking_verdict import judge_masking

pytestmark = pytest.mark.slow

SEEDS, ITEMS, LAYERS = 200, 64, 8
MOST_HITS = int(binom.ppf(0.975, SEEDS, 0.05))
"""Of 200 true nulls, 5% of which may fall below 0.05."""


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    torch.set_num_threads(1)
    path = write_item_sets(
        tmp_path_factory.mktemp("items"), seed=1, sizes={"search": ITEMS}
    )["search"]  # fmt: skip
    file = read_items(path)
    items = random.Random(0).sample(file.items, ITEMS)
    assert {item.skill for item in items} == {"reasoning", "perception"}
    scoring = Scoring(answers="option_text", max_frames=16)
    return Evaluation(load_vlm(str(vlm_directory())), file, items, scoring, batch_size=ITEMS)


def random_recipe(seed: int) -> Recipe:
    generator = random.Random(seed)
    layers = generator.sample(range(LAYERS), generator.choice([3, 4, 5]))

    def reference(directory: Path) -> ModelReference:
        found = fingerprint(Checkpoint.open(str(directory)))
        return ModelReference(source=str(directory), fingerprint=found)

    return Recipe(
        vlm=reference(vlm_directory()), backbone=reference(backbone_directory()),
        layers={layer: generator.choice([0.25, 0.5, 0.75, 1.0]) for layer in layers},
    )  # fmt: skip


def swept(
    evaluation: Evaluation, plan: MaskPlan, in_force: Callable[[], AbstractContextManager[None]]
) -> list[MaskedScores]:
    records: list[MaskedScores] = []
    model = MaskedModel(
        "merged", "r", evaluation, evaluation, in_force, contextlib.nullcontext
    )  # fmt: skip
    sweep_model(model, plan, MaskSettings(), write=records.append)
    return records


def p_values(
    evaluation: Evaluation, recipe: Recipe, plan: MaskPlan, records: list[MaskedScores]
) -> tuple[dict[str, float], bool]:
    """Of the chosen layers together, and whether the verdict claims anything."""
    log_probs = {
        index: record.log_probs[item.id]
        for record in records
        if not record.layers
        for index, item in enumerate(evaluation.items)
        if item.id in record.log_probs
    }
    scores = evaluation.item_scores(log_probs, "merged", "r")
    settings = {"masking": {"mode": "zero", "tokens": "all"}}
    record = provenance(seed=0, device="cpu", dtype="float32", fingerprints={}, settings=settings)
    effects = model_effects("merged", plan.sets, scores, records)
    run = MaskingRun(Path(), record, recipe, plan, (effects,))
    found = compare(run)
    verdict = judge_masking(run, found)
    together = {
        c.test: c.p_value for c in found if c.outcome == PRIMARY and c.family == "together"
    }  # fmt: skip
    return together, bool(verdict.matters_more or verdict.more_for_reasoning)


def assert_nothing_is_claimed(results: list[tuple[dict[str, float], bool]]) -> None:
    assert len(results) == SEEDS
    for test in ("reasoning", "interaction"):
        hits = sum(values[test] < 0.05 for values, _ in results)
        print(f"{test}: {hits} of {SEEDS} below 0.05 (at most {MOST_HITS})")
        assert hits <= MOST_HITS
    claims = sum(claimed for _, claimed in results)
    print(f"verdicts that claim something: {claims} of {SEEDS}")
    assert claims <= MOST_HITS


def test_two_copies_of_one_model(evaluation: Evaluation) -> None:
    """Merging a model with itself changes nothing, so any layers could have been chosen."""
    records = {}
    for size in (3, 4, 5):
        plan = plan_sweep(n_layers=LAYERS, chosen=range(size), draws=200, seed=0)
        for record in swept(evaluation, plan, contextlib.nullcontext):
            records[record.layers, record.batch] = record
    results = []
    for seed in range(SEEDS):
        recipe = random_recipe(seed)
        plan = plan_sweep(n_layers=LAYERS, chosen=tuple(recipe.layers), draws=200, seed=seed)
        batches = range(len(evaluation.batches))
        own = [records[entry.layers, batch] for entry in plan.sets for batch in batches]
        results.append(p_values(evaluation, recipe, plan, own))
    assert_nothing_is_claimed(results)


def test_random_layers_of_the_embedded_pair(evaluation: Evaluation) -> None:
    merge = InMemoryMerge(evaluation.model, Checkpoint.open(str(backbone_directory())))
    results = []
    for seed in range(SEEDS):
        recipe = random_recipe(seed)
        plan = plan_sweep(n_layers=LAYERS, chosen=tuple(recipe.layers), draws=200, seed=seed)
        records = swept(evaluation, plan, lambda recipe=recipe: merge.applied(recipe))
        results.append(p_values(evaluation, recipe, plan, records))
    assert_nothing_is_claimed(results)
