"""What a search may propose: one coefficient a layer, or one for each projection of a layer.

    space = Space(n_layers=8, projections=("q", "k", "v", "o"), levels=(0.0, 0.5, 1.0))
    space.layers((0.5,) + (0.0,) * 7)    # {0: 0.5}

A vector is a point of the space as samplers see it; layers are the same point as a recipe names
it. This file must not know models or samplers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from merit_interp.errors import SettingError
from merit_interp.recipe import PROJECTIONS, Coefficient

Vector = tuple[float, ...]
"""One coefficient in [0, 1] for each coordinate of a space."""

COEFFICIENT_DECIMALS = 3
"""A coefficient is rounded to 0.001, a quarter of what bfloat16 resolves near 1 (2^-8), so that a
recipe is readable and two proposals that differ in nothing a model sees are one trial."""

LEAST_COEFFICIENT = 0.05
"""Where coefficients are continuous, less than this is 0: a merge is selective only if leaving a
layer alone is something that a sampler of real numbers can propose."""


@dataclass(frozen=True)
class Space:
    """Coefficients of a model's text layers, continuous or on levels.

    Raises:
        SettingError: A level or projection is not a valid one.
    """

    n_layers: int
    """Text layers of the model."""
    projections: tuple[str, ...] = PROJECTIONS
    """Self-attention projections that the recipe merges."""
    levels: tuple[float, ...] | None = None
    """The coefficients that may be proposed, rising; None for all of [0, 1]."""
    per_projection: bool = False
    """Whether each projection of a layer has a coefficient of its own."""

    def __post_init__(self) -> None:
        if self.n_layers < 1:
            raise SettingError(f"a space of {self.n_layers} layers", valid="at least 1")
        check_projections(self.projections)
        if self.levels is not None:
            check_levels(self.levels)

    @property
    def dimension(self) -> int:
        """Number of coefficients in a vector."""
        return self.n_layers * (len(self.projections) if self.per_projection else 1)

    @property
    def n_points(self) -> int | None:
        """How many different vectors there are; None where coefficients are continuous."""
        return None if self.levels is None else len(self.levels) ** self.dimension

    def uniform(self, share: float) -> Vector:
        """The vector that gives every coordinate one coefficient."""
        return (share,) * self.dimension

    def uniform_vectors(self) -> Iterator[Vector]:
        """Uniform merges other than the VLM itself: each level above 0, or a half and the whole."""
        shares = (0.5, 1.0) if self.levels is None else self.levels
        return (self.uniform(share) for share in shares if share > 0)

    def layers(self, vector: Vector) -> dict[int, Coefficient]:
        """The vector as a recipe's layers; layers that stay the VLM's are left out."""
        least = LEAST_COEFFICIENT if self.levels is None else 0.0
        shares = [round(s, COEFFICIENT_DECIMALS) if s >= least else 0.0 for s in vector]
        if not self.per_projection:
            return {layer: share for layer, share in enumerate(shares) if share}
        width = len(self.projections)
        rows = (shares[start : start + width] for start in range(0, len(shares), width))
        named = (dict(zip(self.projections, row, strict=True)) for row in rows)
        return {layer: row for layer, row in enumerate(named) if any(row.values())}

    def vector(self, layers: Mapping[int, Coefficient]) -> Vector:
        """A recipe's layers as a vector: the inverse of `layers`."""
        shares: list[float] = []
        for layer in range(self.n_layers):
            coefficient = layers.get(layer, 0.0)
            if not self.per_projection:
                if isinstance(coefficient, Mapping):
                    raise SettingError(
                        f"layer {layer} has a coefficient for each projection",
                        valid="one number a layer, or --per-projection",
                    )
                shares.append(coefficient)
            elif isinstance(coefficient, Mapping):
                shares.extend(coefficient.get(name, 0.0) for name in self.projections)
            else:
                shares.extend([coefficient] * len(self.projections))
        return tuple(shares)


def check_levels(levels: tuple[float, ...]) -> None:
    """Refuse levels that no discrete space can have.

    Raises:
        SettingError: Fewer than two, not rising, or outside [0, 1].
    """
    # written so that NaN fails too
    rising = all(low < high for low, high in itertools.pairwise(levels))
    if len(levels) < 2 or not rising or not all(0.0 <= level <= 1.0 for level in levels):
        raise SettingError(
            f"levels {', '.join(f'{level:g}' for level in levels) or '(none)'}",
            valid="two or more rising numbers from 0 to 1, such as 0,0.5,1",
        )


def check_projections(projections: tuple[str, ...]) -> None:
    """Refuse projections that a self-attention layer does not have.

    Raises:
        SettingError: None is given, one twice, or one that is not among q, k, v, o.
    """
    known = [name for name in PROJECTIONS if name in projections]
    if not projections or tuple(known) != tuple(projections):
        raise SettingError(
            f"projections {','.join(projections) or '(none)'}",
            valid=f"one or more of {','.join(PROJECTIONS)}, in this order",
        )
