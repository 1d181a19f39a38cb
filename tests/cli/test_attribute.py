"""`merit-interp attribute` as typed in a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import read_items
from merit_interp.benchmarks.splits import parts_of, split_hash
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from merit_interp.recipe import ItemsReference, ModelReference, Recipe, Scoring, write_recipe
from tests.cli.conftest import Command, World

QUICK = ("--method", "gradient", "--no-controls", "--draws", 0, "--no-png")


@pytest.fixture
def recipe(world: World, tmp_path: Path) -> Path:
    vlm, backbone = (
        ModelReference(source=source, fingerprint=fingerprint(Checkpoint.open(source)))
        for source in (world.vlm, world.backbone)
    )
    items = ItemsReference(
        source=str(world.items), sha256=items_digest(world.items), split="search",
        scoring=Scoring(), split_hash=split_hash(parts_of(read_items(world.items).items)),
    )  # fmt: skip
    path = tmp_path / "recipe.json"
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5}, items=items), path)
    return path


def test_a_recipe_is_enough(recipe: Path, command: Command) -> None:
    ended = command("attribute", "--recipe", recipe, *QUICK)
    assert ended.code == 0, ended.err
    assert "MiB of activations" in ended.err
    run = recipe.parent / "attribute"
    lines = ended.out.splitlines()
    # the recipe was found on the search split, so it is judged on the other one
    assert lines[0] == "validation, 12 items, gradient:"
    assert len(lines) == 6
    assert "no items with evidence" in lines[1]
    assert lines[-2:] == [f"results {run}", f"report  {run / 'report.html'}"]
    assert "Which frames decide" in (run / "report.html").read_text()
    assert (run / "finished.json").exists()
    assert (run / "tables" / "attribution_shift.csv").exists()


def test_an_earlier_run_is_not_lost(recipe: Path, command: Command) -> None:
    assert command("attribute", "--recipe", recipe, *QUICK).code == 0
    before = (recipe.parent / "attribute" / "attributions.jsonl").read_bytes()
    again = command("attribute", "--recipe", recipe, *QUICK)
    assert again.code == 2
    assert "--resume, --overwrite" in again.error_line
    resumed = command("attribute", "--recipe", recipe, *QUICK, "--resume", "--json")
    assert resumed.code == 0
    assert isinstance(json.loads(resumed.out), list)
    assert (recipe.parent / "attribute" / "attributions.jsonl").read_bytes() == before
    other = command("attribute", "--recipe", recipe, *QUICK, "--baseline", "mean", "--resume")
    assert other.code == 2
    assert "other settings" in other.error_line


@pytest.mark.parametrize(
    ("option", "value", "valid"),
    [
        ("--method", "lime", "ig, ig_pixels, gradient, occlusion, shapley"),
        ("--baseline", "grey", "black, mean, blurred, previous"),
        ("--target", "logit", "log_prob, margin"),
    ],
)
def test_a_wrong_name_says_what_is_valid(
    recipe: Path, command: Command, option: str, value: str, valid: str
) -> None:
    ended = command("attribute", "--recipe", recipe, option, value)
    assert ended.code == 2
    assert valid in ended.error_line
    assert not (recipe.parent / "attribute").exists()


def test_a_video_control_is_chosen_by_name(recipe: Path, command: Command) -> None:
    ended = command("attribute", "--recipe", recipe, *QUICK, "--video-control", "reversed,black")
    assert ended.code == 0, ended.err
    table = (recipe.parent / "attribute" / "attributions.jsonl").read_text()
    assert {
        row for row in ("black", "reversed", "shuffled") if f'"condition":"{row}"' in table
    } == {
        "black",
        "reversed",
    }
    wrong = command("attribute", "--recipe", recipe, *QUICK, "--video-control", "blue")
    assert wrong.code == 2
    assert "no video control 'blue'; valid: black, shuffled" in wrong.error_line
