"""The models that a recipe names, opened and checked to be those that it was made for.

    merge = merge_of(recipe, Placement(device="cuda"))
    with merge.applied(recipe): ...

This file must not know items or scores.
"""

from __future__ import annotations

from merit_interp.errors import RecipeError
from merit_interp.merging.in_memory import InMemoryMerge, Weights
from merit_interp.models.checkpoint_files import Checkpoint, opened
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import Placement, load_vlm
from merit_interp.recipe import ModelReference, Recipe


def merge_of(
    recipe: Recipe,
    placement: Placement,
    *,
    weights: Weights | None = None,
    base: Checkpoint | None = None,
    lean: bool = False,
) -> InMemoryMerge:
    """The recipe's VLM, loaded, with all that is merged into it; nothing is merged yet.

    Args:
        recipe: Names the models.
        placement: Where the VLM goes.
        weights: What recipes may merge; the recipe's own if not given.
        base: The common ancestor, where the recipe names none or it lies elsewhere.
        lean: As `InMemoryMerge` takes it.

    Raises:
        RecipeError: A model's weights are not those that the recipe was made for, or the recipe
            cannot be applied.
        PairError: The models do not pair, or the recipe merges tensors of other shapes.
        CheckpointError: A model cannot be loaded.
    """
    backbone = opened(recipe.backbone)
    if base is None and recipe.base is not None:
        base = opened(recipe.base)
    # files are read before the VLM is loaded, which takes longest
    _require(backbone, recipe.backbone, "backbone")
    if base is not None and recipe.base is not None:
        _require(base, recipe.base, "base")
    vlm = load_vlm(recipe.vlm.source, revision=recipe.vlm.revision, placement=placement)
    _refuse_other(vlm.fingerprint, recipe.vlm, "vlm")
    merge = InMemoryMerge(vlm, backbone, weights=weights or recipe.weights, base=base, lean=lean)
    merge.plan(recipe)
    return merge


def _require(checkpoint: Checkpoint, wanted: ModelReference, role: str) -> None:
    _refuse_other(fingerprint(checkpoint), wanted, role)


def _refuse_other(found: str, wanted: ModelReference, role: str) -> None:
    if found != wanted.fingerprint:
        raise RecipeError(
            f"the {role} at {wanted.source} is not the one that the recipe was made for",
            valid=f"a checkpoint with fingerprint {wanted.fingerprint[:19]}...",
        )
