"""`--split` as a user types it, from a search with a held-out part to a file that has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import read_items
from merit_interp.benchmarks.splits import SplitSettings, parts_of
from merit_interp.recipe import read_recipe
from merit_interp.record_files import read_jsonl
from tests.cli.conftest import Command, World

SHARES = SplitSettings(0.3, 0.25, seed=1)


@pytest.fixture
def searched(world: World, tmp_path: Path, command: Command) -> Path:
    """A search that held items out; its items are a copy that a test may change."""
    folder = tmp_path / "items"
    shutil.copytree(world.items.parent, folder, ignore=shutil.ignore_patterns("vlm", "backbone"))
    ended = command(
        "search", "--vlm", world.vlm, "--backbone", world.backbone,
        "--items", folder / world.items.name, "--out", tmp_path / "run",
        "--budget", 2, "--sampler", "random", "--seed", 1, "--top", 1, "--max-frames", 2,
        "--validation-share", 0.3, "--held-out-share", 0.25,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return tmp_path / "run" / "recipe.json"


def scored(run: Path) -> set[str]:
    return {row["item"] for row in read_jsonl(run / "scores.jsonl")}


def test_each_part_is_scored_by_its_name_and_nobody_saw_what_was_held_out(
    searched: Path, tmp_path: Path, command: Command
) -> None:
    recipe = read_recipe(searched)
    assert recipe.items is not None
    assert recipe.search["split"] == {"validation_share": 0.3, "held_out_share": 0.25, "seed": 1}
    parts = parts_of(read_items(Path(recipe.items.source)).items, SHARES)
    seen = (searched.parent / "ledger.jsonl").read_text()
    assert not any(json.dumps(item.id) in seen for item in parts["held_out"])
    for split in ("held_out", None):
        run = tmp_path / f"evaluated {split}"
        words = [] if split is None else ["--split", split]
        ended = command("evaluate", "--recipe", searched, "--out", run, "--draws", 0, *words)
        assert ended.code == 0, ended.err
        assert scored(run) == {item.id for item in parts[split or "validation"]}  # type: ignore[index]
    described = json.loads((tmp_path / "evaluated held_out" / "evaluation.json").read_text())
    assert described["settings"]["item_sets"]["held_out"]["split_hash"] == recipe.items.split_hash


def test_every_verb_on_a_recipe_refuses_a_file_that_splits_otherwise(
    searched: Path, tmp_path: Path, command: Command
) -> None:
    items = Path(str(read_recipe(searched).items.source))  # type: ignore[union-attr]
    lines = items.read_text().splitlines(keepends=True)
    items.write_text("".join(lines[:-1]))
    for verb in ("evaluate", "mask", "attribute", "lens"):
        out = tmp_path / verb
        ended = command(verb, "--recipe", searched, "--out", out, "--split", "held_out")
        assert ended.code == 2
        assert "does not split as it did when the recipe was searched" in ended.error_line
        assert not (out / "scores.jsonl").exists()


def test_the_file_of_the_search_named_whole_says_that_the_search_saw_it(
    searched: Path, tmp_path: Path, command: Command
) -> None:
    items = Path(str(read_recipe(searched).items.source))  # type: ignore[union-attr]
    words = ["evaluate", "--recipe", searched, "--items", items, "--limit", 2, "--draws", 0]
    for more in ([], ["--split", "all"]):
        ended = command(*words, *more, "--out", tmp_path / f"run {len(more)}")
        assert ended.code == 0, ended.err
        # who asks for all knows
        assert ("the search saw some of these items" in ended.err) == (not more)


@pytest.mark.parametrize("verb", ["evaluate", "mask", "attribute", "lens"])
def test_a_part_that_there_is_not(
    searched: Path, tmp_path: Path, command: Command, verb: str
) -> None:
    ended = command(verb, "--recipe", searched, "--out", tmp_path / "out", "--split", "test")
    assert ended.code == 2
    assert "no split 'test'; valid: all, search, validation, held_out" in ended.error_line
