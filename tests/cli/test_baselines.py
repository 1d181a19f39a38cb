"""`evaluate --baseline` and `merge --schedule` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import reference_to
from merit_interp.recipe import Recipe, read_recipe, write_recipe
from merit_interp.record_files import read_jsonl
from tests.cli.conftest import Command, World
from tests.models.edited_checkpoints import with_tensors
from tests.tiny_models import N_LAYERS, tiny_backbone


@pytest.fixture
def recipe(world: World, tmp_path: Path) -> Path:
    vlm, backbone = (reference_to(Checkpoint.open(s)) for s in (world.vlm, world.backbone))
    path = tmp_path / "recipe.json"
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5, 3: 1.0}), path)
    return path


def models_scored(run: Path) -> set[str]:
    return {row["model"] for row in read_jsonl(run / "scores.jsonl")}


def test_baselines_of_other_methods(
    recipe: Path, world: World, tmp_path: Path, command: Command
) -> None:
    base = tiny_backbone(tmp_path / "base", seed=5)
    words = ["--recipe", recipe, "--items", world.items, "--limit", 4, "--draws", 0]
    asked = ["--baseline", "ties,layer_swap, attention", "--base", base]
    ended = command("evaluate", *words, *asked, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "left out" not in ended.err
    found = {name for name in models_scored(tmp_path / "run") if name.startswith("method_")}
    assert found == {
        *(f"method_ties_{scope}_{a}" for scope in ("attention", "text") for a in (0.25, 0.5, 0.75)),
        *(f"method_layer_swap_{scope}" for scope in ("attention", "text")),
        *(f"method_attention_schedule_{scope}" for scope in ("attention", "text")),
    }
    assert "Method ties text 0.5" in ended.out
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["fingerprints"]["base"].startswith("sha256:")
    again = command("evaluate", *words, *asked, "--out", tmp_path / "run", "--resume")
    assert again.code == 0, again.err
    other = command("evaluate", *words, "--out", tmp_path / "run", "--resume")
    assert other.code == 2
    plain = command("evaluate", *words, "--out", tmp_path / "plain")
    assert plain.code == 0, plain.err
    assert "methods" not in json.loads((tmp_path / "plain" / "run.json").read_text())["settings"]


def test_what_the_pair_does_not_allow_is_left_out_and_said(
    world: World, tmp_path: Path, command: Command
) -> None:
    backbone = Checkpoint.open(tiny_backbone(tmp_path / "b", intermediate_size=64))
    recipe = Recipe(
        vlm=reference_to(Checkpoint.open(world.vlm)), backbone=reference_to(backbone),
        layers={1: 0.5},
    )  # fmt: skip
    write_recipe(recipe, tmp_path / "r.json")
    ended = command(
        "evaluate", "--recipe", tmp_path / "r.json", "--items", world.items, "--limit", 2,
        "--draws", 1, "--baseline", "slerp", "--out", tmp_path / "run",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("left out")]
    assert line.startswith("left out uniform_text_0.25, uniform_text_0.5, ")
    assert line.endswith("[48, 32] in the VLM and [64, 32] in the backbone")
    assert "method_slerp_text_0.25" in line
    found = models_scored(tmp_path / "run")
    assert not any("_text_" in name for name in found)
    assert {"uniform_attention_1.0", "method_slerp_attention_0.5", "merged"} <= found


def test_a_baseline_that_gives_nan_is_left_out_and_said(
    world: World, tmp_path: Path, command: Command
) -> None:
    def huge(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for name in ("q", "k"):
            weight = tensors[f"model.layers.1.self_attn.{name}_proj.weight"]
            weight.fill_(3e38)
        return tensors

    backbone = Checkpoint.open(with_tensors(Path(world.backbone), tmp_path / "huge", huge))
    recipe = Recipe(
        vlm=reference_to(Checkpoint.open(world.vlm)), backbone=reference_to(backbone),
        layers={2: 0.5},
    )  # fmt: skip
    words = ["--items", world.items, "--limit", 2, "--draws", 0]
    write_recipe(recipe, tmp_path / "r.json")
    run = tmp_path / "run"
    ended = command("evaluate", "--recipe", tmp_path / "r.json", *words, "--out", run)
    assert ended.code == 0, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("left out")]
    assert len(lines) == 8, "every uniform merge merges layer 1"
    assert lines[0].startswith("left out uniform_attention_0.25 on items: the model gives NaN for")
    assert models_scored(run) == {"vlm", "merged", "first_k", "last_k"}
    # tried again, since a run that is gone on with may have another device
    again = command("evaluate", "--recipe", tmp_path / "r.json", *words, "--out", run, "--resume")
    assert again.code == 0, again.err
    assert models_scored(run) == {"vlm", "merged", "first_k", "last_k"}
    write_recipe(recipe.replaced(layers={1: 0.5}), tmp_path / "r.json")
    ended = command("evaluate", "--recipe", tmp_path / "r.json", *words, "--out", tmp_path / "nan")
    assert ended.code == 2
    assert ": merged on items: the model gives NaN for item" in ended.error_line
    assert "as float32; valid: --dtype float32 or bfloat16, or a recipe with" in ended.error_line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baseline", "mean"], "no baseline 'mean'; valid: layer_swap, slerp"),
        (["--baseline", "ties"], "method ties needs a base; valid: the model that both"),
        (["--baseline", "ties", "--base", "nowhere"], "no directory nowhere"),
    ],
)
def test_mistakes_write_nothing(
    recipe: Path, world: World, tmp_path: Path, command: Command, words: list[str], message: str
) -> None:
    out = tmp_path / "run"
    ended = command("evaluate", "--recipe", recipe, "--items", world.items, *words, "--out", out)
    assert ended.code == 2
    assert message in ended.error_line
    assert not (out / "run.json").exists()


def test_the_attention_schedule_as_a_merge(world: World, tmp_path: Path, command: Command) -> None:
    pair = ["--vlm", world.vlm, "--backbone", world.backbone]
    words = [*pair, "--schedule", "attention", "--items", world.items, "--max-frames", 2]
    ended = command("merge", *words, "--coefficient", 0.8, "--out", tmp_path / "a")
    assert ended.code == 0, ended.err
    recipe = read_recipe(tmp_path / "a" / "recipe.json")
    attention = recipe.search["visual_attention"]
    assert len(attention) == N_LAYERS
    assert recipe.items is not None
    assert len(recipe.items.sha256) == 64
    assert recipe.items.scoring.max_frames == 2
    for layer, share in enumerate(attention):
        wanted = 0.8 * (1 - share / max(attention))
        assert recipe.coefficient(layer, "q") == pytest.approx(wanted, abs=0.01)
    text = command(
        "merge", *words, "--weights", "text", "--layers", "1-3", "--method", "slerp",
        "--answers", "option_text", "--fps", 2, "--max-side", 16, "--out", tmp_path / "b",
    )  # fmt: skip
    assert text.code == 0, text.err
    recipe = read_recipe(tmp_path / "b" / "recipe.json")
    assert recipe.items is not None
    shown = recipe.items.scoring
    assert (shown.sampling, shown.fps, shown.max_side) == ("fps", 2.0, 16)
    assert (recipe.weights, recipe.method) == ("text", "slerp")
    assert 0 not in recipe.layers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--schedule", "depth"], "no schedule 'depth'; valid: attention"),
        (["--schedule", "attention"], "--schedule attention needs items; valid: --items items"),
        (["--coefficient", 0.5, "--max-frames", 2], "--max-frames is for a schedule"),
        (
            ["--schedule", "attention", "--items", "items.jsonl", "--answers", "both"],
            "answers 'both'; valid: letter or option_text",
        ),
    ],
)
def test_a_schedule_is_asked_for_whole(
    world: World, tmp_path: Path, command: Command, words: list[object], message: str
) -> None:
    pair = ["--vlm", world.vlm, "--backbone", world.backbone]
    ended = command("merge", *pair, *words, "--out", tmp_path / "m")
    assert ended.code == 2
    assert message in ended.error_line
    assert list(tmp_path.iterdir()) == []
