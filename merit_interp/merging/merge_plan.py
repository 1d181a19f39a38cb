"""What a recipe changes: the tensors of a model's text layers, each one's share, and how.

    plan = merge_plan(recipe, Shapes(vlm=..., backbone=...), family)
    plan[tensor].share    # 0.5
    plan[tensor].merged(tensor, vlm_weight, backbone_weight)

The merge in memory and the merge on disk both take their tensors from here, so that they cannot
differ. This file must not know where the tensors are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from merit_interp.errors import PairError, RecipeError
from merit_interp.merging.merge_context import MergeContext
from merit_interp.merging.methods import MergeMethod, check_base, merge_method
from merit_interp.models.families import Family
from merit_interp.models.text_tensors import TextTensor
from merit_interp.recipe import PROJECTIONS, Recipe, Setting
from merit_interp.tensor_shapes import Weight

TensorShapes = Mapping[TextTensor, tuple[int, ...]]


@dataclass(frozen=True)
class Shapes:
    """Shapes of every tensor of the text layers, of each model."""

    vlm: TensorShapes
    backbone: TensorShapes
    base: TensorShapes | None = None
    """None where there is no base."""

    @property
    def n_layers(self) -> int:
        """Text layers of the VLM."""
        return 1 + max(tensor.layer for tensor in self.vlm)


@dataclass(frozen=True)
class TensorMerge:
    """What is done with one tensor that changes; equal ones give equal tensors."""

    method: str
    settings: Mapping[str, Setting]
    """Those of the recipe."""
    share: float
    """The coefficient, in (0, 1]."""

    def merged(
        self, tensor: TextTensor, vlm: Weight, backbone: Weight, base: torch.Tensor | None = None
    ) -> Weight:
        """The merged tensor, of the VLM's type; the base only for a method that needs it."""
        name = f"layers.{tensor.layer}.{tensor.name}"
        context = MergeContext(base, self.settings, name)
        return merge_method(self.method)(vlm, backbone, self.share, context)


MergePlan = Mapping[TextTensor, TensorMerge]
"""Every tensor that changes, by its place."""


def merge_plan(recipe: Recipe, shapes: Shapes, family: Family) -> dict[TextTensor, TensorMerge]:
    """The plan of a recipe for models of these shapes.

    Args:
        recipe: What to merge.
        shapes: Every tensor of the text layers, of each model.
        family: The VLM's.

    Raises:
        RecipeError: The method is unknown, or does not take the recipe's settings, base or
            coefficients; a layer is not in the model; a pattern matches nothing.
        PairError: A tensor that the recipe changes differs in shape, or is missing on one side.
    """
    method = method_of(recipe)
    if not method.needs_base:
        # what the base lacks is nothing to a merge without it
        shapes = dataclasses.replace(shapes, base=None)
    shares = tensor_shares(recipe, shapes.vlm, family, n_layers=shapes.n_layers)
    return {
        tensor: TensorMerge(method.name, recipe.settings, shares[tensor])
        for tensor in shared_tensors(shares, shapes, family)
    }


def method_of(recipe: Recipe) -> MergeMethod:
    """The recipe's method, checked to take what the recipe gives it.

    Raises:
        RecipeError: It does not take the settings, the base or a coefficient.
    """
    method = merge_method(recipe.method)
    method.whole_settings(recipe.settings)
    check_base(method, recipe.base.source if recipe.base else None)
    for coefficient in recipe.layers.values():
        each = coefficient.values() if isinstance(coefficient, Mapping) else (coefficient,)
        for share in each:
            method.require_coefficient(share)
    return method


def shared_tensors(
    wanted: Iterable[TextTensor], shapes: Shapes, family: Family
) -> tuple[TextTensor, ...]:
    """Those of the VLM's tensors that the backbone has too; any other (a bias) stays the VLM's.

    Args:
        wanted: The VLM's tensors that are to be merged.
        shapes: Every tensor of each model.
        family: The VLM's.

    Raises:
        PairError: `fault_of` one of them.
    """
    tensors = tuple(wanted)
    for tensor in tensors:
        if fault := fault_of(tensor, shapes, family):
            raise PairError(fault, valid="equal shapes of all that is merged")
    return tuple(tensor for tensor in tensors if tensor in shapes.backbone)


def fault_of(tensor: TextTensor, shapes: Shapes, family: Family) -> str | None:
    """Why one of the VLM's tensors cannot be merged, or None.

    A shape differs, or the backbone lacks the weight of a projection, or the base lacks what both
    have.
    """
    where = f"layer {tensor.layer} {tensor.name}"
    needed = tensor.name.endswith(".weight") and family.projection_of(tensor.name) is not None
    for role, others in (("backbone", shapes.backbone), ("base", shapes.base)):
        if others is None or (role == "base" and tensor not in shapes.backbone):
            continue
        if tensor not in others:
            if needed or role == "base":
                return f"{where} is missing in the {role}"
        elif others[tensor] != shapes.vlm[tensor]:
            return (
                f"{where} is {list(shapes.vlm[tensor])} in the VLM and {list(others[tensor])} in "
                f"the {role}"
            )
    return None


def tensor_shares(
    recipe: Recipe, tensors: Iterable[TextTensor], family: Family, *, n_layers: int
) -> dict[TextTensor, float]:
    """Share of the backbone, in (0, 1], of every tensor that the recipe changes.

    Raises:
        RecipeError: The recipe names a layer that the model lacks, gives projections their own
            coefficients although it merges whole layers, its pattern matches nothing, or a layer
            has none of the projections.
    """
    beyond = [layer for layer in recipe.layers if layer >= n_layers]
    if beyond:
        raise RecipeError(
            f"layer {beyond[0]} is not in the model", valid=f"layers 0 to {n_layers - 1}"
        )
    if recipe.weights != "self_attention":
        _require_whole_layers(recipe)
    there = tuple(tensors)
    shares = {tensor: _share(recipe, tensor, family) for tensor in there}
    changed = {tensor: share for tensor, share in shares.items() if share}
    if recipe.weights == "pattern" and recipe.layers and not changed:
        names = sorted({tensor.name for tensor in there if tensor.layer in recipe.layers})
        raise RecipeError(
            f"pattern {recipe.pattern!r} matches no tensor of the recipe's layers",
            valid=f"a pattern on names like {', '.join(names)}",
        )
    if recipe.weights == "self_attention":
        _require_own_projections(recipe, there, changed, family)
    return changed


def _require_own_projections(
    recipe: Recipe, there: Iterable[TextTensor], changed: Iterable[TextTensor], family: Family
) -> None:
    """Every layer of the recipe changes: in some families a layer may use an earlier one's keys."""
    bare = sorted(recipe.layers.keys() - {tensor.layer for tensor in changed})
    if bare:
        own = {family.projection_of(tensor.name) for tensor in there if tensor.layer == bare[0]}
        names = [name for name in family.projections if name in own]
        raise RecipeError(
            f"layer {bare[0]} has no projection of its own that the recipe merges there",
            valid=f"{', '.join(names)} in that layer",
        )


def _share(recipe: Recipe, tensor: TextTensor, family: Family) -> float:
    if recipe.weights == "text":
        return recipe.layer_coefficient(tensor.layer)
    if recipe.weights == "pattern":
        matches = re.fullmatch(recipe.pattern or "", tensor.name)
        return recipe.layer_coefficient(tensor.layer) if matches else 0.0
    projection = family.projection_of(tensor.name)
    return recipe.coefficient(tensor.layer, projection) if projection else 0.0


def _require_whole_layers(recipe: Recipe) -> None:
    split = [layer for layer, c in recipe.layers.items() if isinstance(c, Mapping)]
    if split or recipe.projections != PROJECTIONS:
        what = "whole layers" if recipe.weights == "text" else "what its pattern matches"
        raise RecipeError(
            f'a recipe with "weights": "{recipe.weights}" merges {what}, not single projections',
            valid=f"one number a layer, and projections {', '.join(PROJECTIONS)}",
        )


def require_made_for(recipe: Recipe, *, vlm: str, backbone: str, base: str | None = None) -> None:
    """Refuse a recipe that was made for other weights.

    Args:
        recipe: The recipe.
        vlm: Fingerprint of the VLM at hand.
        backbone: Fingerprint of the backbone at hand.
        base: Fingerprint of the base at hand; None where there is none.

    Raises:
        RecipeError: A fingerprint differs, or the recipe names a base and none is at hand.
    """
    if recipe.base is not None and base is None:
        raise RecipeError(
            f"the recipe needs its base, {recipe.base.source}", valid="that checkpoint as base"
        )
    for role, reference, found in (
        ("VLM", recipe.vlm, vlm),
        ("backbone", recipe.backbone, backbone),
        ("base", recipe.base, base),
    ):
        if reference is not None and found is not None and reference.fingerprint != found:
            raise RecipeError(
                f"the recipe was made for another {role}: {reference.source} had fingerprint "
                f"{reference.fingerprint[:19]}..., this one has {found[:19]}...",
                valid=f"the {role} that the recipe was found on",
            )
