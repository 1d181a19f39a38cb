"""Every method on a whole pair and its base: on disk, in memory, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from merit_interp.errors import PairError, RecipeError
from merit_interp.merging.export import write_merged
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.methods import METHODS
from merit_interp.merging.recipe_models import merge_of
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import Placement, load_vlm
from merit_interp.recipe import ModelReference, Recipe, read_recipe
from tests.merging.conftest import Opened
from tests.tiny_models import N_LAYERS, tiny_backbone

LAYERS = {0: 0.3, 1: {"q": 0.7, "o": 0.1}, 3: 1.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "ties": {"density": 0.4},
    "dare_linear": {"density": 0.3, "seed": 3},
    "dare_ties": {"keep_vlm": True},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("base") / "base"
    return Checkpoint.open(
        tiny_backbone(directory, seed=5, dtype="bfloat16", tie_word_embeddings=False)
    )


def reference(checkpoint: Checkpoint) -> ModelReference:
    return ModelReference(source=checkpoint.source, fingerprint=fingerprint(checkpoint))


def recipe_with(opened: Opened, base: Checkpoint, method: str, **fields: Any) -> Recipe:
    layers = {0: 1.0, 2: 1.0} if METHODS[method].ends_only else LAYERS
    return opened.recipe(
        **{
            "method": method,
            "settings": SETTINGS.get(method, {}),
            "base": reference(base) if METHODS[method].needs_base else None,
            "layers": layers,
            **fields,
        }
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_merge_on_disk_is_the_merge_in_memory(
    sharded: Opened, base: Checkpoint, tmp_path: Path, method: str
) -> None:
    recipe = recipe_with(sharded, base, method)
    out = tmp_path / "merged"
    write_merged(recipe, out, vlm=sharded.vlm, backbone=sharded.backbone, base=base)
    assert read_recipe(out / "recipe.json").merge_hash == recipe.merge_hash
    reloaded = load_vlm(out, placement=Placement(dtype="bfloat16")).text_parameters()
    merge = sharded.merge(weights="text", base=base)
    with merge.applied(recipe):
        changed = set(merge.in_force)
        assert changed
        for tensor, parameter in sharded.loaded.text_parameters().items():
            assert torch.equal(parameter, reloaded[tensor]), (method, tensor)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_merged_does_not_depend_on_what_was_merged_before(
    sharded: Opened, base: Checkpoint, method: str
) -> None:
    merge = sharded.merge(base=base)
    recipe = recipe_with(sharded, base, method)
    merge.apply(recipe)
    first = {t: p.clone() for t, p in sharded.loaded.text_parameters().items()}
    merge.apply(recipe_with(sharded, base, "ties", layers=dict.fromkeys(range(N_LAYERS), 0.5)))
    merge.apply(recipe)
    for tensor, parameter in sharded.loaded.text_parameters().items():
        assert torch.equal(parameter, first[tensor]), (method, tensor)
    merge.restore()
    assert merge.in_force == {}


def test_other_settings_are_another_merge(sharded: Opened, base: Checkpoint) -> None:
    merge = sharded.merge(base=base)
    plain = recipe_with(sharded, base, "ties", settings={})
    with merge.applied(plain):
        first = {t: p.clone() for t, p in sharded.loaded.text_parameters().items()}
        merge.apply(plain.replaced(settings={"density": 0.9}))
        after = sharded.loaded.text_parameters()
        assert any(not torch.equal(first[t], after[t]) for t in first)


def test_a_base_of_another_kind_is_refused_with_what_differs(
    sharded: Opened, tmp_path: Path
) -> None:
    wide = Checkpoint.open(tiny_backbone(tmp_path / "wide", hidden_size=48, seed=5))
    recipe = recipe_with(sharded, wide, "ties")
    message = r"\(VLM\) and .*wide \(base\) do not pair: hidden_size 32 against 48"
    with pytest.raises(PairError, match=message):
        sharded.merge(base=wide)
    with pytest.raises(PairError, match=message):
        write_merged(
            recipe, tmp_path / "out", vlm=sharded.vlm, backbone=sharded.backbone, base=wide
        )
    mlp = Checkpoint.open(tiny_backbone(tmp_path / "mlp", intermediate_size=64, seed=5))
    everything = recipe_with(sharded, mlp, "ties", weights="text", layers={0: 0.5})
    with pytest.raises(PairError, match=r"layer 0 mlp.\w+.weight is \[\d+, 32\] in the VLM and"):
        InMemoryMerge(sharded.loaded, sharded.backbone, weights="text", base=mlp).apply(everything)


def test_a_recipe_opens_its_own_base(sharded: Opened, base: Checkpoint, tmp_path: Path) -> None:
    recipe = recipe_with(sharded, base, "ties")
    merge = merge_of(recipe, Placement(dtype="bfloat16"))
    with merge.applied(recipe):
        assert merge.in_force
    other = recipe.replaced(base=reference(base).model_copy(update={"fingerprint": "sha256:0"}))
    with pytest.raises(RecipeError, match=r"the base at .* is not the one that the recipe was"):
        merge_of(other, Placement(dtype="bfloat16"))
    with pytest.raises(RecipeError, match=r"the recipe needs its base"):
        sharded.merge().apply(recipe)
    with pytest.raises(RecipeError, match=r"method ties needs a base"):
        sharded.merge(base=base).apply(recipe.replaced(base=None))


def test_the_card_names_method_settings_and_base(
    sharded: Opened, base: Checkpoint, tmp_path: Path
) -> None:
    recipe = recipe_with(
        sharded, base, "dare_ties", weights="pattern", pattern=r"mlp\..*", layers={0: 0.5}
    )
    out = tmp_path / "merged"
    write_merged(recipe, out, vlm=sharded.vlm, backbone=sharded.backbone, base=base)
    card = (out / "README.md").read_text()
    assert f"- Base: `base`, {fingerprint(base)}" in card
    assert "- Method: dare_ties (keep_vlm True) (DARE (arXiv 2311.03099)" in card
    assert r"on weights whose name matches `mlp\..*`" in card


def test_what_the_base_lacks_keeps_only_its_own_methods(sharded: Opened, tmp_path: Path) -> None:
    mlp = Checkpoint.open(
        tiny_backbone(tmp_path / "mlp", intermediate_size=64, seed=5, dtype="bfloat16")
    )
    merge = sharded.merge(weights="text", base=mlp)
    everywhere: dict[str, Any] = {"weights": "text", "layers": {0: 0.5}}
    with merge.applied(sharded.recipe(**everywhere)):
        assert "mlp.up_proj.weight" in {tensor.name for tensor in merge.in_force}
    with pytest.raises(PairError, match=r"\[64, 32\] in the base"):
        merge.plan(recipe_with(sharded, mlp, "ties", **everywhere))
    with merge.applied(recipe_with(sharded, mlp, "ties")):
        assert merge.in_force
