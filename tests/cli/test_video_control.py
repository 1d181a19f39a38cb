"""`evaluate --video-control` as a user types it: on items with and without evidence and pairs."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from merit_interp.benchmarks.items import read_items, write_items
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from merit_interp.recipe import ItemsReference, ModelReference, Recipe, Scoring, write_recipe
from merit_interp.record_files import read_jsonl
from tests.cli.conftest import Command, World
from tests.lost_records import lose_records


@pytest.fixture
def items(world: World, tmp_path: Path) -> Path:
    """The world's items: those on even videos show evidence, those of a video are a pair."""
    file = read_items(world.items)
    changed = [
        dataclasses.replace(
            item,
            video=str(file.path.parent / item.video),
            group=f"v{number // 2}",
            pair=f"v{number // 2}",
            pair_part="text" if number % 4 < 2 else "",
            evidence=((0.0, 0.25),) if number % 4 == 0 else (),
        )
        for number, item in enumerate(file.items)
    ]
    write_items(tmp_path / "items.jsonl", changed)
    return tmp_path / "items.jsonl"


@pytest.fixture
def recipe(world: World, items: Path, tmp_path: Path) -> Path:
    vlm, backbone = (
        ModelReference(source=source, fingerprint=fingerprint(Checkpoint.open(source)))
        for source in (world.vlm, world.backbone)
    )
    used = ItemsReference(
        source=str(items), sha256=items_digest(items), split="all", scoring=Scoring()
    )
    path = tmp_path / "recipe.json"
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5, 3: 1.0}, items=used), path)
    return path


CONTROLS = ("--video-control", "reversed,black", "--video-control", "evidence_removed")


def test_controls_are_scored_tabulated_and_said(
    recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["evaluate", "--recipe", recipe, "--out", run, "--draws", 1]
    ended = command(*words, *CONTROLS)
    assert ended.code == 0, ended.err
    assert "Video controls on all: accuracy" in ended.out
    assert "Reasoning, the VLM: " in ended.out
    assert "without the video (black frames)" in ended.out
    assert "Pairs of all with every answer right" in ended.out
    assert "evidence_removed does not apply to 18 of 24 questions" in ended.out
    assert "(18: the item names no evidence)" in ended.out
    rows = read_jsonl(run / "control_scores.jsonl")
    blocks = Counter((row["video_control"], row["model"]) for row in rows)
    # in the order of the controls, whatever the order in which they were asked for
    assert list(blocks) == [
        (control, model)
        for control in ("black", "reversed", "evidence_removed")
        for model in ("vlm", "merged")
    ]
    assert set(blocks.values()) == {24}
    removed = [row["status"] for row in rows if row["video_control"] == "evidence_removed"]
    assert Counter(removed) == {"not_applicable": 36, "ok": 12}
    controls = pd.read_csv(run / "tables" / "video_controls.csv")
    assert set(controls["measure"]) == {
        "visual dependency", "direction sensitivity", "evidence dependency",
    }  # fmt: skip
    dependency = pd.read_csv(run / "tables" / "visual_dependency.csv")
    assert dependency["n_items"].tolist() == [12] * len(dependency)
    assert (run / "tables" / "pair_consistency.csv").exists()


def test_a_cut_run_goes_on_and_a_finished_one_takes_more_controls(
    recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["evaluate", "--recipe", recipe, "--out", run, "--draws", 1]
    assert command(*words, "--json").code == 0
    plain = (run / "scores.jsonl").read_bytes()
    assert not (run / "control_scores.jsonl").exists()
    assert command(*words, *CONTROLS, "--resume").code == 0
    assert (run / "scores.jsonl").read_bytes() == plain
    whole = (run / "control_scores.jsonl").read_bytes()
    # cut within a line, in the middle of a block
    (run / "control_scores.jsonl").write_bytes(whole[: len(whole) * 3 // 5])
    (run / "finished.json").unlink()
    assert command(*words, *CONTROLS, "--resume").code == 0
    assert (run / "control_scores.jsonl").read_bytes() == whole
    # and without asking for controls none is lost
    assert command(*words, "--resume").code == 0
    assert (run / "control_scores.jsonl").read_bytes() == whole


def test_a_shuffle_is_the_same_whatever_the_seed(
    recipe: Path, tmp_path: Path, command: Command
) -> None:
    words = ["evaluate", "--recipe", recipe, "--draws", 0, "--video-control", "shuffled"]
    for seed in (0, 1):
        assert command(*words, "--seed", seed, "--out", tmp_path / str(seed)).code == 0
    one, other = (read_jsonl(tmp_path / name / "control_scores.jsonl") for name in ("0", "1"))
    assert [row["log_probs"] for row in one] == [row["log_probs"] for row in other]


def test_records_lost_after_the_end_are_said_and_made_again(
    recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["evaluate", "--recipe", recipe, "--out", run, "--draws", 1]
    assert command(*words, *CONTROLS).code == 0
    for name in ("scores.jsonl", "control_scores.jsonl"):
        whole = (run / name).read_bytes()
        said = lose_records(run / name)
        ended = command("report", run)
        assert ended.code == 2
        assert re.search(said, ended.error_line)
        assert command(*words, *CONTROLS, "--resume").code == 0
        assert (run / name).read_bytes() == whole
        assert command("report", run).code == 0
    # what is not asked for again is not made again, and so not taken for whole
    lose_records(run / "control_scores.jsonl")
    ended = command(*words, "--resume")
    assert ended.code == 2
    assert "control_scores.jsonl holds" in ended.error_line


def test_json_is_the_summary_as_ever(recipe: Path, tmp_path: Path, command: Command) -> None:
    ended = command(
        "evaluate", "--recipe", recipe, "--out", tmp_path / "run", "--draws", 0, *CONTROLS, "--json"
    )
    assert ended.code == 0, ended.err
    assert {row["model"] for row in json.loads(ended.out)} >= {"vlm", "merged"}


def test_mistakes_are_said_before_anything_is_lost(
    world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["evaluate", "--recipe", recipe, "--out", run, "--draws", 0]
    wrong = command(*words, "--video-control", "blue")
    assert wrong.code == 2
    assert "no video control 'blue'; valid: black, shuffled, reversed" in wrong.error_line
    assert command(*words).code == 0
    before = (run / "scores.jsonl").read_bytes()
    bare = command(
        *words, "--items", world.items, "--video-control", "evidence_only", "--overwrite"
    )
    assert bare.code == 2
    assert "no item names its evidence, which evidence_only needs" in bare.error_line
    assert "valid: black, shuffled, reversed, single_frame" in bare.error_line
    assert (run / "scores.jsonl").read_bytes() == before
