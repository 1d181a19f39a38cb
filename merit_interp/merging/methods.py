"""Merge methods: pure functions on plain tensors, each under its name in a registry.

    merged = merge_method("linear")(vlm_weight, backbone_weight, 0.5)

A method gets one tensor of each side and the recipe's coefficient, and returns a tensor of the
VLM's type; it changes neither. This file must not know layers, models or recipes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

import torch

from merit_interp.errors import RecipeError
from merit_interp.merging.interpolation import layer_swap, linear, slerp
from merit_interp.merging.merge_context import NO_CONTEXT, NO_SETTINGS, MergeContext
from merit_interp.merging.task_vectors import dare_linear, dare_ties, task_arithmetic, ties
from merit_interp.recipe import Setting
from merit_interp.tensor_shapes import Weight

Merge = Callable[[torch.Tensor, torch.Tensor, float, MergeContext], torch.Tensor]
"""(the VLM's tensor, the backbone's, coefficient in (0, 1], context with every setting) -> merged
tensor. All tensors are float32 (or float64), and so is the result."""


_YES_OR_NO = "true or false"
_SETTINGS: Mapping[str, tuple[str, Callable[[Setting], bool]]] = MappingProxyType(
    {
        "density": ("a share above 0, at most 1", lambda value: 0 < value <= 1),
        "keep_vlm": (_YES_OR_NO, lambda value: True),
        "lambda": ("a finite number", math.isfinite),
        "normalize": (_YES_OR_NO, lambda value: True),
        "rescale": (_YES_OR_NO, lambda value: True),
        "seed": ("a whole number from 0 on", lambda value: value == int(value) >= 0),
    }
)
"""What each setting may be, in words and as a test."""


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
        context: MergeContext = NO_CONTEXT,
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
            RecipeError: The method has no setting of that name, or it cannot have that value.
        """
        for name, value in given.items():
            if name not in self.settings:
                raise RecipeError(
                    f"method {self.name} has no setting {name!r}",
                    valid=f"settings {', '.join(self.settings)}" if self.settings else "none",
                )
            valid, is_valid = _SETTINGS[name]
            if isinstance(value, bool) != (valid == _YES_OR_NO) or not is_valid(value):
                raise RecipeError(f"setting {name} of method {self.name} is {value}", valid=valid)
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


_TASK_SETTINGS: Mapping[str, Setting] = {"lambda": 1.0, "normalize": False, "keep_vlm": False}
_DROP_SETTINGS: Mapping[str, Setting] = {"density": 0.5, "rescale": True, "seed": 0}

_METHODS = (
    MergeMethod("linear", linear, 'MERIT (arXiv 2604.11399); BR2V (arXiv 2505.05464)'),
    MergeMethod("layer_swap", layer_swap, '"Layer Swapping" (arXiv 2410.01335)', ends_only=True),
    MergeMethod(
        "slerp", slerp, '"Animating rotation with quaternion curves" (1985)', is_elementwise=False
    ),
    MergeMethod(
        "task_arithmetic", task_arithmetic,
        '"Editing Models with Task Arithmetic" (arXiv 2212.04089)',
        needs_base=True, settings=_TASK_SETTINGS,
    ),
    MergeMethod(
        "ties", ties, '"TIES-Merging" (arXiv 2306.01708)',
        needs_base=True, settings={**_TASK_SETTINGS, "normalize": True, "density": 0.2},
        is_elementwise=False,
    ),
    MergeMethod(
        "dare_linear", dare_linear, 'DARE, "Language Models are Super Mario" (arXiv 2311.03099)',
        needs_base=True, settings={**_TASK_SETTINGS, **_DROP_SETTINGS}, is_elementwise=False,
    ),
    MergeMethod(
        "dare_ties", dare_ties, 'DARE (arXiv 2311.03099) and "TIES-Merging" (arXiv 2306.01708)',
        needs_base=True, settings={**_TASK_SETTINGS, **_DROP_SETTINGS}, is_elementwise=False,
    ),
)  # fmt: skip

METHODS: Mapping[str, MergeMethod] = MappingProxyType({method.name: method for method in _METHODS})
"""Every merge method by the name that a recipe gives it."""


def merge_method(name: str) -> MergeMethod:
    """The method of a recipe.

    Raises:
        RecipeError: There is none of that name.
    """
    if name not in METHODS:
        raise RecipeError(f"no merge method {name!r}", valid=", ".join(sorted(METHODS)))
    return METHODS[name]


def check_base(method: MergeMethod, base: str | None) -> None:
    """Refuse a method that is not given what it needs, or a base that nothing is done with.

    Args:
        method: The method.
        base: The common ancestor's source; None where there is none.

    Raises:
        RecipeError: The method needs a base and has none, or takes none and has one.
    """
    if method.needs_base and base is None:
        method.refuse_without_base()
    if base is not None and not method.needs_base:
        raise RecipeError(f"method {method.name} takes no base, and is given {base}", valid="none")
