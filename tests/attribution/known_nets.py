"""Nets small enough that each frame's score is known by hand.

value = KnownValue(shown, absent, lambda pixels: pixels.sum(dim=(1, 2)))
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue


class KnownValue(AnswerValue):
    """A value of units' pixels (items, units, values) with no model behind it."""

    def __init__(self, shown: Tensor, absent: Tensor, net: Callable[[Tensor], Tensor]) -> None:
        items, units = shown.shape[:2]
        self.batch = SimpleNamespace(  # type: ignore[assignment]
            shown=shown, absent=absent, n_items=items, n_rows=items, n_units=units
        )
        self.net = net
        self.most_rows = 0
        self.of_all, self.of_none = net(shown), net(absent)

    def __call__(self, units: Tensor) -> Tensor:
        self.most_rows = max(self.most_rows, len(units))
        return self.net(units)


def random_pixels(items: int, units: int, values: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Shown and absent pixels."""
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn(2, items, units, values, generator=generator)
    return both[0], both[1]


def linear(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """The weighted sum of all pixels: a unit's score is its weights times what it changes."""
    return lambda pixels: (pixels * weights).sum(dim=(1, 2))


def interacting(weights: Tensor) -> Callable[[Tensor], Tensor]:
    """Units that need each other: no method but Shapley values shares this out fairly."""

    def net(pixels: Tensor) -> Tensor:
        units = (pixels * weights).sum(dim=2)
        return torch.tanh(units).prod(dim=1) + units[:, 0] * units[:, -1] + units.sum(dim=1) ** 2

    return net
