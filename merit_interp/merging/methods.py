"""Merge methods: pure functions on plain tensors, each under its name in a registry.

    merged = merge_method("linear")(vlm_weight, backbone_weight, 0.5)

A method gets one tensor of each side and the recipe's coefficient, and returns a tensor of the
VLM's type; it changes neither. This file must not know layers, models or recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

import torch

from merit_interp.errors import RecipeError
from merit_interp.recipe import Setting
from merit_interp.tensor_shapes import Weight

NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})


@dataclass(frozen=True)
class MergeContext:
    """What a method may need beside the two tensors."""

    base: torch.Tensor | None = None
    """The common ancestor's tensor, for a method that merges task vectors."""
    settings: Mapping[str, Setting] = field(default_factory=lambda: NO_SETTINGS)
    """The recipe's settings; those left out have the method's defaults."""
    tensor: str = ""
    """The tensor's name, `layers.3.self_attn.q_proj.weight` wherever it is stored; random numbers
    are drawn by it, so that they depend on no order."""


Merge = Callable[[torch.Tensor, torch.Tensor, float, MergeContext], torch.Tensor]
"""(the VLM's tensor, the backbone's, coefficient in (0, 1], context with every setting) -> merged
tensor. All tensors are float32 (or float64), and so is the result."""


@dataclass(frozen=True)
class MergeMethod:
    """A method with what it needs; call it to merge one tensor."""

    name: str
    function: Merge
    """What it computes between its ends; `__call__` sees to the ends and to types."""
    source: str
    """Where the method is from."""
    needs_base: bool = False
    """Whether the context must hold the common ancestor's tensor."""
    settings: Mapping[str, Setting] = field(default_factory=lambda: NO_SETTINGS)
    """Every setting with its default."""
    is_elementwise: bool = True
    """Whether a part of a tensor can be merged without its rest (and without its place in it)."""
    ends_only: bool = False
    """Whether the coefficient may only be 0 or 1."""

    def __call__(
        self,
        vlm: Weight,
        backbone: Weight,
        coefficient: float,
        context: MergeContext = MergeContext(),
    ) -> Weight:
        """The merged tensor: of the VLM's shape and type; at 0 the VLM's and at 1 the backbone's.

        Between the ends it is computed in float32 (float64 for float64 weights) and rounded once.

        Raises:
            RecipeError: The method has no such setting, needs a base, or takes only 0 and 1.
        """
        settings = self.whole_settings(context.settings)
        self.require_coefficient(coefficient)
        if coefficient == 0.0:
            return vlm
        if coefficient == 1.0 and not settings.get("keep_vlm"):
            return backbone.to(vlm.dtype)
        wide = torch.promote_types(torch.promote_types(vlm.dtype, backbone.dtype), torch.float32)
        base = None if context.base is None else context.base.to(wide)
        if self.needs_base and base is None:
            self.refuse_without_base()
        inner = MergeContext(base, settings, context.tensor)
        return self.function(vlm.to(wide), backbone.to(wide), coefficient, inner).to(vlm.dtype)

    def whole_settings(self, given: Mapping[str, Setting]) -> Mapping[str, Setting]:
        """The settings given, and the defaults of those left out.

        Raises:
            RecipeError: The method has no setting of that name.
        """
        for name in given:
            if name not in self.settings:
                raise RecipeError(
                    f"method {self.name} has no setting {name!r}",
                    valid=f"settings {', '.join(self.settings)}" if self.settings else "none",
                )
        return {**self.settings, **given}

    def refuse_without_base(self) -> NoReturn:
        """Say that the base is missing.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(
            f"method {self.name} needs a base",
            valid="the model that both were made from, as --base or the recipe's base",
        )

    def require_coefficient(self, coefficient: float) -> None:
        """Refuse a coefficient that the method does not take."""
        if self.ends_only and coefficient not in (0.0, 1.0):
            raise RecipeError(
                f"method {self.name} cannot take a share of {coefficient:g}",
                valid="coefficients 0 and 1",
            )


def linear(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """`vlm + coefficient * (backbone - vlm)`.

    By plain elementwise steps, since each is rounded alike on every device; `torch.lerp` may fuse
    them, and then differs by device.
    """
    return vlm + (backbone - vlm) * coefficient


METHODS: Mapping[str, MergeMethod] = MappingProxyType(
    {
        method.name: method
        for method in (
            MergeMethod(
                "linear",
                linear,
                source='MERIT (arXiv 2604.11399); all layers: "Bring Reason to Vision" '
                "(arXiv 2505.05464)",
            ),
        )
    }
)
"""Every merge method by the name that a recipe gives it."""


def merge_method(name: str) -> MergeMethod:
    """The method of a recipe.

    Raises:
        RecipeError: There is none of that name.
    """
    if name not in METHODS:
        raise RecipeError(f"no merge method {name!r}", valid=", ".join(sorted(METHODS)))
    return METHODS[name]
