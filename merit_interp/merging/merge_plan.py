"""What a recipe changes: the share of the backbone in each tensor of a model's text layers.

    shares = tensor_shares(recipe, tensors_of_vlm, family, n_layers=28)
    shares[TextTensor(4, "self_attn.q_proj.weight")]    # 0.5

The merge in memory and the merge on disk both take their tensors from here, so that they cannot
differ. This file must not know where the tensors are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from merit_interp.errors import PairError, RecipeError
from merit_interp.models.families import Family
from merit_interp.models.text_tensors import TextTensor
from merit_interp.recipe import PROJECTIONS, Recipe

Shapes = Mapping[TextTensor, tuple[int, ...]]


def shared_tensors(vlm: Shapes, backbone: Shapes, family: Family) -> tuple[TextTensor, ...]:
    """Those of the VLM's tensors that the backbone has too; any other (a bias) stays the VLM's.

    Args:
        vlm: The VLM's tensors that may be merged.
        backbone: All tensors of the backbone's layers.
        family: The VLM's.

    Raises:
        PairError: A shape differs, or the backbone lacks the weight of a projection.
    """
    for tensor, shape in vlm.items():
        where = f"layer {tensor.layer} {tensor.name}"
        if tensor in backbone:
            if backbone[tensor] != shape:
                raise PairError(
                    f"{where} is {list(shape)} in the VLM and {list(backbone[tensor])} in the "
                    "backbone",
                    valid="equal shapes of all that is merged",
                )
        elif tensor.name.endswith(".weight") and family.projection_of(tensor.name):
            raise PairError(
                f"{where} is missing in the backbone", valid="every projection on both sides"
            )
    return tuple(tensor for tensor in vlm if tensor in backbone)


def tensor_shares(
    recipe: Recipe, tensors: Iterable[TextTensor], family: Family, *, n_layers: int
) -> dict[TextTensor, float]:
    """Share of the backbone, in (0, 1], of every tensor that the recipe changes.

    Raises:
        RecipeError: The recipe names a layer that the model lacks, or gives projections their own
            coefficients although it merges whole layers.
    """
    beyond = [layer for layer in recipe.layers if layer >= n_layers]
    if beyond:
        raise RecipeError(
            f"layer {beyond[0]} is not in the model", valid=f"layers 0 to {n_layers - 1}"
        )
    if recipe.weights == "text":
        _require_whole_layers(recipe)
    shares = {tensor: _share(recipe, tensor, family) for tensor in tensors}
    return {tensor: share for tensor, share in shares.items() if share}


def _share(recipe: Recipe, tensor: TextTensor, family: Family) -> float:
    if recipe.weights == "text":
        return recipe.layer_coefficient(tensor.layer)
    projection = family.projection_of(tensor.name)
    return recipe.coefficient(tensor.layer, projection) if projection else 0.0


def _require_whole_layers(recipe: Recipe) -> None:
    split = [layer for layer, c in recipe.layers.items() if isinstance(c, Mapping)]
    if split or recipe.projections != PROJECTIONS:
        raise RecipeError(
            'a recipe with "weights": "text" merges whole layers, not single projections',
            valid=f"one number a layer, and projections {', '.join(PROJECTIONS)}",
        )


def require_made_for(recipe: Recipe, *, vlm: str, backbone: str) -> None:
    """Refuse a recipe that was made for other weights.

    Args:
        recipe: The recipe.
        vlm: Fingerprint of the VLM at hand.
        backbone: Fingerprint of the backbone at hand.

    Raises:
        RecipeError: A fingerprint differs.
    """
    for role, reference, found in (
        ("VLM", recipe.vlm, vlm),
        ("backbone", recipe.backbone, backbone),
    ):
        if reference.fingerprint != found:
            raise RecipeError(
                f"the recipe was made for another {role}: {reference.source} had fingerprint "
                f"{reference.fingerprint[:19]}..., this one has {found[:19]}...",
                valid=f"the {role} that the recipe was found on",
            )
