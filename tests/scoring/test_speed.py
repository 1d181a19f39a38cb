"""Speed of the one loop on a model of the embedded pair's size; printed by `make bench`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import read_items
from merit_interp.microworld.checkpoint_directories import write_vlm
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.microworld.pair_configs import build_backbone, build_vlm
from merit_interp.models.loading import load_vlm
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation

RECIPES = 20


@pytest.mark.benchmark
def test_a_recipe_on_the_search_items(tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_vlm(build_vlm(build_backbone()), tmp_path / "vlm")
    file = read_items(write_item_sets(tmp_path / "items", seed=0)["search"])
    started = time.perf_counter()
    evaluation = Evaluation(
        load_vlm(tmp_path / "vlm"), file, file.items, Scoring(answers="option_text"), batch_size=256
    )
    prepared = time.perf_counter()
    times = []
    for _ in range(RECIPES):
        before = time.perf_counter()
        evaluation.scores("vlm", "vlm")
        times.append(time.perf_counter() - before)
    print(
        f"\n{len(file.items)} items prepared in {prepared - started:.1f} s; a recipe takes "
        f"{1e3 * sorted(times)[RECIPES // 2]:.0f} ms, at best {1e3 * min(times):.0f} ms, with "
        f"{torch.get_num_threads()} threads"
    )
