"""`--device-map` and `--trust-remote-code` reach every verb that loads a model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, World
from tests.models.edited_checkpoints import with_config

LAYER = "model.language_model.layers.1"
REMOTE = """
from pathlib import Path
from transformers import Qwen2ForCausalLM
Path(r"{marker}").touch()
class Marked(Qwen2ForCausalLM): pass
"""


@pytest.fixture(scope="module")
def recipe(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe on the world's own models and items."""
    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.models.fingerprints import fingerprint, items_digest
    from merit_interp.recipe import (
        ItemsReference,
        ModelReference,
        Recipe,
        Scoring,
        write_recipe,
    )

    vlm, backbone = (
        ModelReference(source=source, fingerprint=fingerprint(Checkpoint.open(source)))
        for source in (world.vlm, world.backbone)
    )
    items = ItemsReference(
        source=str(world.items), sha256=items_digest(world.items), split="all", scoring=Scoring()
    )
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5}, items=items), path)
    return path


def words_of(verb: str, world: World, recipe: Path, out: Path) -> list[object]:
    if verb == "search":
        models = ["--vlm", world.vlm, "--backbone", world.backbone, "--items", world.items]
        return ["search", *models, "--out", out, "--budget", 1, "--sampler", "random"]
    quick = {
        "evaluate": ["--draws", 0],
        "mask": ["--draws", 0],
        "attribute": ["--no-controls", "--draws", 0],
    }
    return [verb, "--recipe", recipe, "--out", out, "--limit", 2, *quick[verb]]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser takes longer than all else here."""
    monkeypatch.setattr("merit_interp.report.figures.write_pictures", lambda *_, **__: None)


VERBS = ("search", "evaluate", "mask", "attribute")


@pytest.mark.parametrize("verb", VERBS)
def test_a_device_map_that_is_none_is_refused(
    verb: str, world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "run"
    ended = command(*words_of(verb, world, recipe, out), "--device-map", "nowhere")
    assert ended.code == 2
    assert "no device map 'nowhere'; valid: auto, balanced" in ended.error_line


@pytest.mark.parametrize("verb", ["search", "evaluate"])
def test_the_device_map_is_in_the_provenance(
    verb: str, world: World, recipe: Path, tmp_path: Path, command: Command
) -> None:
    for name, options in (("auto", ["--device-map", "auto"]), (None, [])):
        out = tmp_path / f"run-{name}"
        ended = command(*words_of(verb, world, recipe, out), *options)
        assert ended.code == 0, ended.err
        assert json.loads((out / "run.json").read_text())["device_map"] == name


@pytest.mark.parametrize("verb", VERBS)
def test_the_flags_reach_the_loading(
    verb: str,
    world: World,
    recipe: Path,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from merit_interp.errors import CheckpointError
    from merit_interp.models import loading

    placements: list[loading.Placement] = []

    def stopped(auto_class: object, checkpoint: object, placement: loading.Placement) -> object:
        placements.append(placement)
        raise CheckpointError("far enough")

    monkeypatch.setattr(loading, "_filled_model", stopped)
    words = words_of(verb, world, recipe, tmp_path / "run")
    assert command(*words, "--trust-remote-code", "--device-map", "balanced").code == 2
    assert command(*words).code == 2
    asked, plain = placements
    assert (asked.trust_remote_code, asked.device_map) == (True, "balanced")
    assert (plain.trust_remote_code, plain.device_map) == (False, None)


def test_code_beside_a_checkpoint_runs_only_where_it_is_trusted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from merit_interp.models.loading import Placement, load_backbone

    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "cache")
    )
    marker = tmp_path / "ran"
    directory = with_config(
        Path(world.backbone),
        tmp_path / "marked",
        auto_map={"AutoModelForCausalLM": "modeling_marked.Marked"},
    )
    (directory / "modeling_marked.py").write_text(REMOTE.format(marker=marker))
    plain = load_backbone(directory)
    assert type(plain.model).__name__ == "Qwen2ForCausalLM"
    assert not marker.exists()
    trusted = load_backbone(directory, placement=Placement(trust_remote_code=True))
    assert type(trusted.model).__name__ == "Marked"
    assert marker.exists()


@pytest.mark.parametrize(
    ("verb", "records"),
    [
        ("evaluate", "scores.jsonl"),
        ("mask", "masks.jsonl"),
        ("attribute", "attributions.jsonl"),
    ],
)
def test_a_model_under_accelerates_hooks_gives_the_same_numbers(
    verb: str,
    records: str,
    world: World,
    recipe: Path,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a spread model has beside a plain one, as far as one device can show it."""
    from accelerate import dispatch_model
    from transformers import PreTrainedModel

    from merit_interp.models import loading

    plain = tmp_path / "plain"
    assert command(*words_of(verb, world, recipe, plain)).code == 0
    filled = loading._filled_model
    spread: list[PreTrainedModel] = []

    def spread_out(*arguments: Any) -> PreTrainedModel:
        model = filled(*arguments)
        layers = [name for name, _ in model.named_modules() if re.search(r"layers\.\d+$", name)]
        places = dict.fromkeys(["", "model.language_model", "lm_head", *layers], "cpu")
        dispatch_model(model, places, main_device="cpu", force_hooks=True)
        spread.append(model)
        return model

    monkeypatch.setattr(loading, "_filled_model", spread_out)
    hooked = tmp_path / "hooked"
    ended = command(*words_of(verb, world, recipe, hooked))
    assert ended.code == 0, ended.err
    assert all(hasattr(model, "_hf_hook") for model in spread)
    assert all(hasattr(model.get_submodule(LAYER), "_hf_hook") for model in spread)
    assert (hooked / records).read_bytes() == (plain / records).read_bytes()
