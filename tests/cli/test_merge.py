"""`merge` as a user types it: by a recipe, or by saying what to merge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from merit_interp.models.loading import load_vlm
from merit_interp.recipe import Recipe, read_recipe
from tests.cli.conftest import Command
from tests.tiny_models import N_LAYERS, tiny_backbone, tiny_pair


@dataclass(frozen=True)
class Models:
    vlm: Path
    backbone: Path
    base: Path

    @property
    def options(self) -> list[object]:
        return ["--vlm", self.vlm, "--backbone", self.backbone]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    directory = tmp_path_factory.mktemp("models")
    pair = tiny_pair(directory)
    return Models(pair.vlm, pair.backbone, tiny_backbone(directory / "base", seed=5))


def merged(command: Command, out: Path, *words: object) -> Recipe:
    ended = command("merge", *words, "--out", out, "--json")
    assert ended.code == 0, ended.err
    recipe = read_recipe(out / "recipe.json")
    assert json.loads(ended.out) == {
        "out": str(out), "layers": len(recipe.layers), "merge_hash": recipe.merge_hash
    }  # fmt: skip
    return recipe


def test_a_merge_without_a_recipe_writes_one(
    models: Models, tmp_path: Path, command: Command
) -> None:
    first = merged(
        command, tmp_path / "a", *models.options, "--coefficient", 0.5, "--layers", "0-1,3"
    )
    assert first.method == "linear"
    assert dict(first.layers) == {0: 0.5, 1: 0.5, 3: 0.5}
    # and by that recipe the same merge is made again
    again = merged(command, tmp_path / "b", "--recipe", tmp_path / "a" / "recipe.json")
    assert again.merge_hash == first.merge_hash
    weights = [load_vlm(tmp_path / name).model.state_dict() for name in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_all_layers_are_the_default(models: Models, tmp_path: Path, command: Command) -> None:
    recipe = merged(
        command, tmp_path / "m", *models.options, "--coefficient", 1, "--weights", "text"
    )
    assert dict(recipe.layers) == dict.fromkeys(range(N_LAYERS), 1.0)
    assert recipe.weights == "text"


def test_method_base_and_settings(models: Models, tmp_path: Path, command: Command) -> None:
    recipe = merged(
        command, tmp_path / "m", *models.options, "--base", models.base, "--method", "dare_ties",
        "--coefficient", 0.3, "--set", "density=0.4", "--set", "rescale=false", "--seed", 7,
    )  # fmt: skip
    assert recipe.base is not None
    assert recipe.base.source == str(models.base)
    assert dict(recipe.settings) == {"density": 0.4, "rescale": False, "seed": 7}


def test_projections_and_patterns(models: Models, tmp_path: Path, command: Command) -> None:
    half = [*models.options, "--coefficient", 0.5]
    assert merged(command, tmp_path / "a", *half, "--projections", "q,k").projections == ("q", "k")
    pattern = r"mlp\..*"
    recipe = merged(command, tmp_path / "b", *half, "--weights", "pattern", "--pattern", pattern)
    assert recipe.pattern == pattern
    mine, theirs = (load_vlm(path).model.state_dict() for path in (tmp_path / "b", models.vlm))
    changed = {name for name in mine if not torch.equal(mine[name], theirs[name])}
    assert len(changed) == 3 * N_LAYERS
    assert all(".mlp." in name for name in changed)


def test_a_layer_swap_needs_no_coefficient(
    models: Models, tmp_path: Path, command: Command
) -> None:
    recipe = merged(
        command, tmp_path / "m", *models.options, "--method", "layer_swap", "--layers", 2
    )
    assert dict(recipe.layers) == {2: 1.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "mean"], "no merge method 'mean'; valid: dare_linear"),
        ([], "method linear needs a coefficient; valid: a share from 0 to 1"),
        (["--coefficient", 1.5], "the merge: layer 0 has coefficient 1.5, outside [0, 1]"),
        (
            ["--coefficient", 0.5, "--layers", "9"],
            "layer 9 is not in the model; valid: layers 0 to",
        ),
        (["--coefficient", 0.5, "--layers", "3-1"], "--layers '3-1' is no list of numbers"),
        (["--coefficient", 0.5, "--method", "ties"], "method ties needs a base; valid: the model"),
        (["--coefficient", 0.5, "--method", "layer_swap"], "layer_swap cannot take a share of 0.5"),
        (["--coefficient", 0.5, "--set", "density=0.5"], "linear has no setting 'density'"),
        (["--coefficient", 0.5, "--set", "density"], "--set density is no setting; valid: NAME="),
        (["--coefficient", 0.5, "--set", "density=much"], "--set density=much is no setting"),
        (["--coefficient", 0.5, "--seed", 1], "linear has no setting 'seed'"),
        (["--coefficient", 0.5, "--weights", "mlp"], "field weights: Input should be"),
        (["--coefficient", 0.5, "--weights", "pattern"], "go together"),
        (["--coefficient", 0.5, "--pattern", "mlp"], "go together"),
        (
            ["--coefficient", 0.5, "--weights", "pattern", "--pattern", "none"],
            "pattern 'none' matches no tensor of the recipe's layers; valid: a pattern on names",
        ),
        (["--coefficient", 0.5, "--projections", "q,x"], "projections are a choice of q, k, v, o"),
        (["--recipe", "r.json"], "--recipe says what to merge, and so does --vlm"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(
    models: Models, tmp_path: Path, command: Command, words: list[object], message: str
) -> None:
    ended = command("merge", *models.options, *words, "--out", tmp_path / "m")
    assert ended.code == 2
    assert message in ended.error_line
    assert list(tmp_path.iterdir()) == []


def test_a_base_of_another_shape_is_refused(
    models: Models, tmp_path: Path, command: Command
) -> None:
    wide = tiny_backbone(tmp_path / "wide", hidden_size=48)
    ended = command(
        "merge", *models.options, "--base", wide, "--method", "ties", "--coefficient", 0.5,
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert ended.code == 2
    assert "wide (base) do not pair: hidden_size 32 against 48" in ended.error_line
    ended = command(
        "merge",
        *models.options,
        "--base",
        models.base,
        "--coefficient",
        0.5,
        "--out",
        tmp_path / "m",
    )
    assert "method linear takes no base" in ended.error_line


def test_what_is_missing_is_named(tmp_path: Path, command: Command) -> None:
    ended = command("merge", "--out", tmp_path / "m")
    assert ended.code == 2
    assert "--vlm is missing; valid: --recipe, or --vlm and --backbone" in ended.error_line


def test_swapped_arguments_say_what_to_type(
    models: Models, tmp_path: Path, command: Command
) -> None:
    ended = command(
        "merge", "--vlm", models.backbone, "--backbone", models.vlm, "--coefficient", 0.5,
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert ended.code == 2
    assert f"are swapped: {models.backbone} is a text-only model" in ended.error_line
    assert f"valid: --vlm {models.vlm} --backbone {models.backbone}" in ended.error_line


def test_the_readme_says_the_lmms_eval_command(
    models: Models, tmp_path: Path, command: Command
) -> None:
    merged(
        command, tmp_path / "mine", *models.options, "--coefficient", 1,
        "--lmms-eval", "video_mme,tvbench",
    )  # fmt: skip
    card = (tmp_path / "mine" / "README.md").read_text()
    # the tiny pair is LLaVA-OneVision
    assert "--model llava_hf" in card
    assert "--model_args pretrained=mine,max_frames_num=16" in card
    assert "--tasks videomme,tvbench" in card


def test_a_task_that_lmms_eval_lacks_is_refused_before_anything_is_written(
    models: Models, tmp_path: Path, command: Command
) -> None:
    ended = command(
        "merge", *models.options, "--coefficient", 1, "--lmms-eval", "next_gqa",
        "--out", tmp_path / "mine",
    )  # fmt: skip
    assert ended.code == 2
    assert "no task for 'next_gqa'; valid: video_mme" in ended.error_line
    assert not (tmp_path / "mine").exists()
