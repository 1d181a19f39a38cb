"""The map of skills over depth: what each layer alone costs, before and after merging.

    frame = layer_frame(run)        # cost of every set to every skill and category, with intervals
    depth = depth_map(run)
    depth.summaries, depth.changes

"Bring Reason to Vision" (arXiv 2505.05464) finds perception in early layers and reasoning in middle
and late ones; here each skill has a profile, its cost layer by layer, and numbers for it: the
centre of mass, the participation ratio, and the rank correlation of the profiles before and after.
All intervals resample whole videos, the same ones before and after. This file must not know how a
map is drawn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import linear_means
from merit_interp.statistics.intervals import Interval
from merit_interp.statistics.profiles import (
    centre_of_mass,
    participation_ratio,
    percentile_interval,
    resampled_profiles,
)
from merit_interp.tables.masking_effects import (
    OUTCOMES,
    PRIMARY,
    MaskingRun,
    ModelEffects,
    layers_text,
)
from merit_interp.tables.model_names import MERGED, VLM

ALL = "all"
"""The category that stands for all categories of a skill."""
BY_CATEGORY = ("single", "chosen", "complement")
"""Roles of the sets whose cost is given for each category too."""

LAYER_COLUMNS = {
    "model": "str",
    "layers": "str",
    "heads": "str",
    "roles": "str",
    "n_layers": "int64",
    "skill": "str",
    "category": "str",
    "outcome": "str",
    "cost": "float64",
    "low": "float64",
    "high": "float64",
    "n_items": "int64",
    "n_videos": "int64",
}
"""`cost` is the mean over items, in the outcome's unit; `low` and `high` its 95% interval."""


@dataclass(frozen=True)
class DepthNumber:
    """One number that sums up a profile, or compares two, with its interval over videos."""

    model: str
    """The model; for a change or a correlation the two, `vlm to merged`."""
    skill: str
    name: str
    """`centre_of_mass` (a layer, counted from 0), `participation_ratio` (layers), their changes
    from before to after, or `rank_correlation` of the two profiles."""
    estimate: float
    low: float
    """NaN where undefined."""
    high: float
    n_items: int
    n_videos: int


@dataclass(frozen=True)
class DepthMap:
    """Profiles over depth in numbers."""

    numbers: tuple[DepthNumber, ...]

    def number(self, model: str, skill: str, name: str) -> DepthNumber | None:
        """One of them, if it is there."""
        key = (model, skill, name)
        return next((n for n in self.numbers if (n.model, n.skill, n.name) == key), None)


BEFORE_AFTER = f"{VLM} to {MERGED}"
_SUMMARIES: dict[str, Callable[[FloatArray], float]] = {
    "centre_of_mass": centre_of_mass,
    "participation_ratio": participation_ratio,
}


def layer_frame(run: MaskingRun) -> pd.DataFrame:
    """Mean cost of every set in every model to every skill, with `LAYER_COLUMNS`.

    Single layers, the chosen layers and their complement have a row for each category too.
    """
    rows: list[dict[str, object]] = []
    for effects in run.models:
        for skill, category, places in _cells(effects):
            items = np.zeros(len(effects.items), dtype=bool)
            items[places] = True
            kept = [
                number
                for number, entry in enumerate(effects.sets)
                if category == ALL or set(entry.roles) & set(BY_CATEGORY)
            ]
            for outcome in OUTCOMES:
                costs = effects.costs[outcome][kept][:, items]
                means = linear_means(costs, effects.groups(items))
                rows += [
                    {
                        "model": effects.model,
                        "layers": layers_text(effects.sets[number].layers),
                        "heads": layers_text(effects.sets[number].heads)
                        if effects.sets[number].heads
                        else "",
                        "roles": " ".join(effects.sets[number].roles),
                        "n_layers": len(effects.sets[number].layers),
                        "skill": skill,
                        "category": category,
                        "outcome": outcome,
                        "cost": means.estimate[place],
                        "low": means.low[place],
                        "high": means.high[place],
                        "n_items": means.n_items,
                        "n_videos": means.n_clusters,
                    }
                    for place, number in enumerate(kept)
                ]
    return pd.DataFrame(rows, columns=list(LAYER_COLUMNS)).astype(LAYER_COLUMNS)


def _cells(effects: ModelEffects) -> list[tuple[str, str, Sequence[int]]]:
    """Skill, category and places of its items; all categories of a skill first."""
    items = effects.items.reset_index(drop=True)
    cells: list[tuple[str, str, Sequence[int]]] = []
    for skill, of_skill in items.groupby("skill", sort=True):
        cells.append((str(skill), ALL, of_skill.index.tolist()))
        for category, of_category in of_skill.groupby("category", sort=True):
            if category and category != ALL:
                cells.append((str(skill), str(category), of_category.index.tolist()))
    return cells


def single_layer_costs(effects: ModelEffects, outcome: str = PRIMARY) -> FloatArray:
    """(layers, items) cost of each layer masked alone, in the order of the layers."""
    places = sorted(effects.having("single"), key=lambda place: effects.sets[place].layers[0])
    costs: FloatArray = effects.costs[outcome][places]
    return costs


def depth_map(run: MaskingRun, *, seed: int = 0) -> DepthMap:
    """Centre of mass and participation ratio of each skill, and what merging changed of them.

    Args:
        run: A finished sweep.
        seed: Seed of the bootstrap.
    """
    numbers: list[DepthNumber] = []
    for skill in ("reasoning", "perception"):
        profiles = {e.model: _Profile.of(e, skill, seed) for e in run.models}
        profiles = {model: profile for model, profile in profiles.items() if profile.n_items}
        for model, profile in profiles.items():
            for name, summary in _SUMMARIES.items():
                draws = _each(summary, profile.draws)
                numbers.append(profile.number(model, name, summary(profile.costs), draws))
        if VLM in profiles and MERGED in profiles:
            numbers += _changes(profiles[VLM], profiles[MERGED])
    return DepthMap(tuple(numbers))


@dataclass(frozen=True, eq=False)
class _Profile:
    """Cost of each layer alone to one skill, with resamples of the videos."""

    skill: str
    costs: FloatArray
    """(layers,)"""
    draws: FloatArray
    """(resamples, layers)"""
    n_items: int
    n_videos: int

    @classmethod
    def of(cls, effects: ModelEffects, skill: str, seed: int) -> _Profile:
        chosen = effects.of_skill(skill)
        groups = effects.groups(chosen)
        costs = single_layer_costs(effects)[:, chosen]
        if not costs.shape[1]:
            return cls(skill, costs.sum(axis=1), np.zeros((0, costs.shape[0])), 0, 0)
        draws = resampled_profiles(costs, groups, among=groups, seed=seed)
        return cls(skill, costs.mean(axis=1), draws, costs.shape[1], len(set(groups)))

    def number(self, model: str, name: str, estimate: float, draws: FloatArray) -> DepthNumber:
        interval: Interval = percentile_interval(
            estimate, draws, n_items=self.n_items, n_clusters=self.n_videos
        )
        return DepthNumber(
            model, self.skill, name, interval.estimate, interval.low, interval.high,
            interval.n_items, interval.n_clusters,
        )  # fmt: skip


def _changes(before: _Profile, after: _Profile) -> list[DepthNumber]:
    """After less before, and how alike the two orders of layers are."""
    found = []
    for name, summary in _SUMMARIES.items():
        change = summary(after.costs) - summary(before.costs)
        draws = _each(summary, after.draws) - _each(summary, before.draws)
        found.append(after.number(BEFORE_AFTER, f"change_of_{name}", change, draws))
    found.append(
        after.number(
            BEFORE_AFTER,
            "rank_correlation",
            float(_rank_correlations(before.costs[None], after.costs[None])[0]),
            _rank_correlations(before.draws, after.draws),
        )
    )
    return found


def _each(summary: Callable[[FloatArray], float], draws: FloatArray) -> FloatArray:
    return np.array([summary(draw) for draw in draws])


def _rank_correlations(one: FloatArray, other: FloatArray) -> FloatArray:
    """(rows,) Spearman's correlation of each pair of rows; NaN where a row is constant."""
    ranks = [rankdata(profiles, axis=1, nan_policy="propagate") for profiles in (one, other)]
    ranks = [r - r.mean(axis=1, keepdims=True) for r in ranks]
    lengths = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        correlations: FloatArray = (ranks[0] * ranks[1]).sum(axis=1) / lengths
    return correlations


def depth_frame(depth: DepthMap) -> pd.DataFrame:
    """One row a number."""
    names = [field.name for field in dataclasses.fields(DepthNumber)]
    return pd.DataFrame([dataclasses.asdict(n) for n in depth.numbers], columns=names)
