"""Merge methods: pure functions on plain tensors, each under its name in a registry.

    merged = merge_method("linear")(vlm_weight, backbone_weight, 0.5)

A method gets one tensor of each side and the recipe's coefficient, and returns a tensor of the
VLM's type; it changes neither. This file must not know layers, models or recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from merit_interp.errors import RecipeError
from merit_interp.tensor_shapes import Weight

MergeMethod = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""(the VLM's tensor, the backbone's, coefficient in [0, 1]) -> merged tensor of the VLM's type."""


def linear(vlm: Weight, backbone: Weight, coefficient: float) -> Weight:
    """`vlm + coefficient * (backbone - vlm)`, bit for bit one of them at 0 and at 1.

    Computed in float32 (float64 for float64 weights) by plain elementwise steps, since each is
    rounded alike on every device; `torch.lerp` may fuse them, and then differs by device.

    Source: MERIT (arXiv 2604.11399); uniform over all layers, "Bring Reason to Vision"
    (arXiv 2505.05464).
    """
    if coefficient == 0.0:
        return vlm
    if coefficient == 1.0:
        return backbone.to(vlm.dtype)
    wide = torch.promote_types(torch.promote_types(vlm.dtype, backbone.dtype), torch.float32)
    start = vlm.to(wide)
    return (start + (backbone.to(wide) - start) * coefficient).to(vlm.dtype)


METHODS: Mapping[str, MergeMethod] = MappingProxyType({"linear": linear})
"""Every merge method by the name that a recipe gives it."""


def merge_method(name: str) -> MergeMethod:
    """The method of a recipe.

    Raises:
        RecipeError: There is none of that name.
    """
    if name not in METHODS:
        raise RecipeError(f"no merge method {name!r}", valid=", ".join(sorted(METHODS)))
    return METHODS[name]
