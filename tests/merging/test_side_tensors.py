"""A lean merge: less in memory, and the same weights to the last bit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from merit_interp.errors import CheckpointError
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import reference_to
from merit_interp.models.loading import LoadedModel, Placement, load_vlm
from merit_interp.models.text_tensors import TextTensor
from tests.merging.conftest import Opened
from tests.models.edited_checkpoints import Tensors, with_tensors
from tests.tiny_models import N_LAYERS, tiny_backbone

RECIPES: list[dict[str, Any]] = [
    {"layers": {1: 0.3, 2: 1.0}},
    {"layers": dict.fromkeys(range(N_LAYERS), 0.5), "weights": "text"},
    {"layers": {0: 0.7}, "weights": "pattern", "pattern": r"mlp\..*"},
    {"layers": {3: 0.5}, "weights": "text", "method": "slerp"},
]


def bits(vlm: LoadedModel) -> dict[str, Tensor]:
    return {n: p.detach().clone().view(torch.uint8) for n, p in vlm.model.named_parameters()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("kind", ["whole", "sharded"])
def test_a_lean_merge_is_the_merge_and_is_taken_back(
    request: pytest.FixtureRequest, kind: str
) -> None:
    opened: Opened = request.getfixturevalue(kind)
    before = bits(opened.loaded)
    full, lean = opened.merge(weights="text"), opened.merge(weights="text", lean=True)
    recipes = [opened.recipe(**fields) for fields in RECIPES]
    for first in recipes:
        with full.applied(first):
            wanted = bits(opened.loaded)
        assert same(bits(opened.loaded), before)
        with lean.applied(first):
            assert same(bits(opened.loaded), wanted)
            # straight from one recipe to another
            with lean.applied(recipes[0]):
                pass
            assert same(bits(opened.loaded), wanted)
        assert same(bits(opened.loaded), before)


def test_a_lean_merge_keeps_self_attention_alone(whole: Opened) -> None:
    lean = whole.merge(weights="text", lean=True)
    attention = set(whole.merge()._originals.kept)
    assert set(lean._originals.kept) == set(lean._backbone.kept) == attention
    assert set(lean._parameters) > attention


def test_a_lean_merge_with_a_base(whole: Opened, tmp_path: Path) -> None:
    base = Checkpoint.open(tiny_backbone(tmp_path / "base", seed=5))
    recipe = whole.recipe(
        **RECIPES[1], method="ties", settings={"density": 0.5}, base=reference_to(base)
    )
    found = []
    for lean in (False, True):
        with whole.merge(weights="text", base=base, lean=lean).applied(recipe):
            found.append(bits(whole.loaded))
    assert same(*found)


def test_what_the_files_do_not_give_bit_for_bit_is_kept(whole: Opened) -> None:
    vlm = load_vlm(whole.directories.vlm, placement=Placement(dtype="float32"))
    changed = TextTensor(2, "mlp.up_proj.weight")
    vlm.text_parameters()[changed].data.mul_(1.5)
    before = bits(vlm)
    lean = InMemoryMerge(vlm, whole.backbone, weights="text", lean=True)
    assert changed in lean._originals.kept
    with lean.applied(whole.recipe(**RECIPES[1])):
        assert not same(bits(vlm), before)
    assert same(bits(vlm), before)


def test_a_file_that_changes_under_a_lean_merge_is_noticed(whole: Opened, tmp_path: Path) -> None:
    def doubled(tensors: Tensors) -> Tensors:
        return {name: 2 * tensor for name, tensor in tensors.items()}

    backbone = Checkpoint.open(with_tensors(whole.directories.backbone, tmp_path / "b", doubled))
    recipe = whole.recipe(**RECIPES[1], backbone=reference_to(backbone))
    lean = InMemoryMerge(whole.loaded, backbone, weights="text", lean=True)
    os.utime(backbone.files[0])
    before = bits(whole.loaded)
    with pytest.raises(CheckpointError, match="has changed while it was used"):
        lean.apply(recipe)
    lean.restore()
    assert same(bits(whole.loaded), before)


@pytest.mark.parametrize("lean", [False, True])
def test_nan_is_refused_before_anything_is_merged(
    whole: Opened, tmp_path: Path, lean: bool
) -> None:
    def poisoned(tensors: Tensors) -> Tensors:
        tensors["model.layers.2.mlp.up_proj.weight"][0, 0] = float("nan")
        return tensors

    backbone = Checkpoint.open(with_tensors(whole.directories.backbone, tmp_path / "b", poisoned))
    with pytest.raises(CheckpointError, match=r"layers\.2\.mlp\.up_proj\.weight holds NaN"):
        InMemoryMerge(whole.loaded, backbone, weights="text", lean=lean)
