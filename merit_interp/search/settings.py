"""What a search is asked to do, in one frozen value.

    settings = SearchSettings(sampler="tpe", budget=100, seed=1)

Equal settings on equal models and items give the same recipe. This file must not know models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from merit_interp.benchmarks.splits import SplitSettings
from merit_interp.errors import SettingError
from merit_interp.merging.methods import merge_method
from merit_interp.provenance import versions
from merit_interp.recipe import PROJECTIONS, Setting
from merit_interp.search.objective import MARGIN_CLIP_NATS, Objective
from merit_interp.search.samplers import ON_LEVELS, SAMPLERS
from merit_interp.search.spaces import Space, check_levels, check_projections

PINNED_PACKAGES = ("merit-interp", "torch", "transformers", "numpy", "scipy", "optuna", "cmaes")
"""Packages whose version may change a score, a proposal or an interval."""

Split = Literal["search", "validation"]
SPLITS: tuple[Split, ...] = ("search", "validation")
"""Parts of the items: one to search on, one to choose the winner on. They share no video."""

DEFAULT_LEVELS = (0.0, 0.5, 1.0)
"""Levels of a sampler that needs some and was given none."""


@dataclass(frozen=True)
class SearchSettings:
    """Space, sampler, objective and split of one search.

    Raises:
        SettingError: A value is not one that it can have.
    """

    sampler: str = "cmaes"
    """A name in `samplers.SAMPLERS`."""
    budget: int = 200
    """Different recipes to score on the search split."""
    penalty: float = 1.0
    """Weight of perception lost against reasoning gained."""
    levels: tuple[float, ...] | None = None
    """Coefficients that may be proposed; None for all of [0, 1], or for the default levels where
    the sampler needs some."""
    projections: tuple[str, ...] = PROJECTIONS
    """Which self-attention projections are merged, in the order q, k, v, o."""
    per_projection: bool = False
    """Whether each projection of a layer has a coefficient of its own."""
    method: str = "linear"
    """Name of the merge method."""
    method_settings: Mapping[str, Setting] = field(default_factory=dict)
    """Its settings; those left out have its defaults."""
    objective: str = "margin"
    """Unit of the objective: `margin` or `accuracy`."""
    margin_clip_nats: float = MARGIN_CLIP_NATS
    """An item's margin counts as if it lay within plus or minus this."""
    seed: int = 0
    """Seed of sampler, split and intervals."""
    top: int = 8
    """Recipes, best first on the search split, that are scored on the validation split."""
    validation_share: float = 0.5
    """Share of the items that is kept from the search for choosing the winner."""
    held_out_share: float = 0.0
    """Share of the items that is kept from the choice too, for `evaluate --split held_out`."""
    parsimony: float = 0.1
    """Share of the objective that may be lost for a recipe of fewer layers: the best recipe is
    pruned so far, beyond the budget, and chosen with that much leniency; 0 prunes nothing."""

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise SettingError(f"sampler {self.sampler!r} is unknown", valid=", ".join(SAMPLERS))
        method = merge_method(self.method)
        method.whole_settings(self.method_settings)
        if self.levels is None and method.ends_only:
            object.__setattr__(self, "levels", (0.0, 1.0))
        if self.levels is None and self.sampler in ON_LEVELS:
            object.__setattr__(self, "levels", DEFAULT_LEVELS)
        if self.levels is not None:
            check_levels(self.levels)
            for level in self.levels:
                method.require_coefficient(level)
        check_projections(self.projections)
        for name in ("budget", "top"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name} {getattr(self, name)}", valid="at least 1")
        if not 0.0 <= self.parsimony < 1.0:
            raise SettingError(
                f"parsimony {self.parsimony}", valid="a number from 0 to less than 1"
            )
        if not 0 <= self.seed < 2**32:
            raise SettingError(f"seed {self.seed}", valid="a whole number from 0 to 2**32 - 1")
        self.made_objective()
        self.made_split()

    def made_split(self) -> SplitSettings:
        """How these settings share the items out."""
        return SplitSettings(self.validation_share, self.held_out_share, self.seed)

    def made_objective(self) -> Objective:
        """The objective that these settings ask for."""
        return Objective(self.objective, self.penalty, self.margin_clip_nats)

    def space(self, n_layers: int) -> Space:
        """The space that these settings ask for, on a model of so many text layers."""
        return Space(n_layers, self.projections, self.levels, self.per_projection)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values; method and held-out share only if not the default.

        So searches from before there were others still are what they were.
        """
        values = dataclasses.asdict(self)
        later = {"method": "linear", "method_settings": {}, "held_out_share": 0.0}
        for name, default in later.items():
            if values[name] == default:
                del values[name]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def pinned_versions() -> dict[str, str]:
    """Version of each package that a search's result depends on."""
    installed = versions()
    return {package: installed[package] for package in PINNED_PACKAGES}
