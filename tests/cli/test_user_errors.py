"""What a user gets wrong ends in one line that names what is valid, code 2, and nothing lost."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from merit_interp.recipe import ItemsReference, Recipe, Scoring, write_recipe
from tests.cli.conftest import Command, World
from tests.models.edited_checkpoints import with_tensors
from tests.tiny_models import tiny_pair


def searched(world: World, out: Path, **changes: object) -> list[object]:
    words = {"vlm": world.vlm, "backbone": world.backbone, "items": world.items} | changes
    options = [part for name, value in words.items() for part in (f"--{name}", value)]
    return ["search", *options, "--out", out, "--budget", 2, "--sampler", "random"]


def changed_items(world: World, directory: Path, **changes: object) -> Path:
    """A copy of the world's items whose third line has other fields."""
    shutil.copytree(world.items.parent, directory, ignore=lambda d, names: [
        name for name in names if not name.endswith((".mp4", ".jsonl"))
    ])  # fmt: skip
    path = directory / "items.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = json.dumps({**json.loads(lines[2]), **changes})
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def recipe(world: World, tmp_path: Path) -> Path:
    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.models.fingerprints import fingerprint, items_digest
    from merit_interp.recipe import ModelReference

    vlm, backbone = (
        ModelReference(source=source, fingerprint=fingerprint(Checkpoint.open(source)))
        for source in (world.vlm, world.backbone)
    )
    items = ItemsReference(
        source=str(world.items), sha256=items_digest(world.items), split="all", scoring=Scoring()
    )
    path = tmp_path / "recipe.json"
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5, 3: 1.0}, items=items), path)
    return path


@pytest.mark.parametrize("role", ["vlm", "backbone", "items"])
def test_a_missing_path(role: str, world: World, tmp_path: Path, command: Command) -> None:
    ended = command(*searched(world, tmp_path / "run", **{role: tmp_path / "nowhere"}))
    assert ended.code == 2
    assert "nowhere" in ended.error_line
    assert not (tmp_path / "run").exists()


def test_a_pair_that_does_not_match(world: World, tmp_path: Path, command: Command) -> None:
    other = tiny_pair(tmp_path / "other", num_hidden_layers=3)
    ended = command("pair", "--vlm", world.vlm, "--backbone", other.backbone)
    assert ended.code == 2
    assert "layers" in ended.error_line
    ended = command(*searched(world, tmp_path / "run", backbone=other.backbone))
    assert ended.code == 2
    assert not (tmp_path / "run").exists()


def test_swapped_arguments(world: World, command: Command) -> None:
    ended = command("pair", "--vlm", world.backbone, "--backbone", world.vlm)
    assert ended.code == 2
    assert "backbone" in ended.error_line.lower()


def test_a_torn_recipe(recipe: Path, tmp_path: Path, command: Command) -> None:
    recipe.write_text(recipe.read_text()[:-40])
    ended = command("merge", "--recipe", recipe, "--out", tmp_path / "merged")
    assert ended.code == 2
    assert "is not JSON" in ended.error_line
    assert not (tmp_path / "merged").exists()


def test_a_directory_for_a_recipe(tmp_path: Path, command: Command) -> None:
    ended = command("merge", "--recipe", tmp_path, "--out", tmp_path / "merged")
    assert ended.code == 2
    assert "Is a directory; valid: a recipe.json" in ended.error_line


def test_an_unknown_field(world: World, recipe: Path, tmp_path: Path, command: Command) -> None:
    recipe.write_text(recipe.read_text().replace('"method"', '"methode"'))
    ended = command("merge", "--recipe", recipe, "--out", tmp_path / "merged")
    assert ended.code == 2
    assert "methode" in ended.error_line
    assert "method," in ended.error_line
    items = changed_items(world, tmp_path / "items", anser=1)
    ended = command("items", "check", items)
    assert ended.code == 2
    assert "anser" in ended.err + ended.out


def test_an_answer_out_of_range(world: World, tmp_path: Path, command: Command) -> None:
    items = changed_items(world, tmp_path / "items", answer=7)
    ended = command(*searched(world, tmp_path / "run", items=items))
    assert ended.code == 2
    assert "answer" in ended.err
    assert "line 3" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["missing", "zero bytes"])
def test_a_video_that_is_not_there(
    fault: str, world: World, tmp_path: Path, command: Command
) -> None:
    items = changed_items(world, tmp_path / "items")
    video = tmp_path / "items" / "5.mp4"
    video.unlink()
    if fault == "zero bytes":
        video.touch()
    ended = command(*searched(world, tmp_path / "run", items=items))
    assert ended.code == 2
    assert "5.mp4" in ended.error_line
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["decoding.jsonl"]
    allowed = command(*searched(world, tmp_path / "run", items=items), "--max-failed", 0.2)
    assert allowed.code == 0, allowed.err


def test_nan_weights(world: World, tmp_path: Path, command: Command) -> None:
    def poisoned(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = next(name for name in tensors if "layers.2.self_attn.k_proj.weight" in name)
        tensors[name][0, 0] = float("nan")
        return tensors

    for role, source in (("vlm", world.vlm), ("backbone", world.backbone)):
        broken = with_tensors(Path(source), tmp_path / role, poisoned)
        ended = command(*searched(world, tmp_path / "run", **{role: broken}))
        assert ended.code == 2
        assert "layers.2.self_attn.k_proj.weight" in ended.error_line
    assert not (tmp_path / "run").exists()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may pass 20 kB: what a full disk or a quota does to a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk(recipe: Path, tmp_path: Path, command: Command) -> None:
    ended = command("merge", "--recipe", recipe, "--out", tmp_path / "merged")
    assert ended.code == 2
    assert "merged" in ended.error_line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.json"]


def test_a_directory_that_cannot_be_written(recipe: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").write_text("not a directory")
    for verb in ("merge", "evaluate"):
        ended = command(verb, "--recipe", recipe, "--out", tmp_path / "file" / "run")
        assert ended.code == 2
        assert "file" in ended.error_line


def test_a_used_output_directory(
    world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    kept = run / "notes.txt"
    kept.write_text("mine")
    for words in (
        searched(world, run),
        ["evaluate", "--recipe", recipe, "--out", run],
        ["merge", "--recipe", recipe, "--out", run],
        ["evaluate", "--recipe", recipe, "--out", run, "--overwrite"],
    ):
        ended = command(*words)
        assert ended.code == 2
        assert str(run) in ended.error_line
    assert kept.read_text() == "mine"


def test_a_report_of_what_is_no_run(recipe: Path, tmp_path: Path, command: Command) -> None:
    merged = tmp_path / "merged"
    assert command("merge", "--recipe", recipe, "--out", merged).code == 0
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in merged.iterdir())
    for directory in (merged, tmp_path / "empty", tmp_path / "nowhere", recipe):
        ended = command("report", directory)
        assert ended.code == 2, ended.out
        assert f"no run at {directory}; valid: a directory that" in ended.error_line
    assert sorted(path.name for path in merged.iterdir()) == before
    assert not any((tmp_path / "empty").iterdir())


def test_a_model_that_is_not_the_recipes(
    world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    other = tiny_pair(tmp_path / "other", num_hidden_layers=3)
    body = json.loads(recipe.read_text())
    body["vlm"]["source"] = str(other.vlm)
    recipe.write_text(json.dumps(body))
    ended = command("evaluate", "--recipe", recipe, "--out", tmp_path / "run")
    assert ended.code == 2
    assert "not the one" in ended.error_line
    assert not (tmp_path / "run" / "scores.jsonl").exists()


def test_evaluate_writes_scores_tables_and_goes_on(
    world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["evaluate", "--recipe", recipe, "--out", run, "--draws", 3]
    ended = command(*words, "--json")
    assert ended.code == 0, ended.err
    rows = {(row["model"], row["skill"]): row for row in json.loads(ended.out)}
    assert rows["merged", "reasoning"]["n_items"] == 12
    assert rows["random_layers", "perception"]["n_draws"] == 3
    scores = (run / "scores.jsonl").read_bytes()
    assert command(*words).code == 2
    # a run cut in its last block goes on, and ends in the same scores
    (run / "scores.jsonl").write_bytes(scores[: len(scores) * 2 // 3])
    (run / "finished.json").unlink()
    assert command(*words, "--resume").code == 0
    assert (run / "scores.jsonl").read_bytes() == scores
    other = command(*words[:-1], 4, "--resume")
    assert other.code == 2
    assert "other settings" in other.error_line
