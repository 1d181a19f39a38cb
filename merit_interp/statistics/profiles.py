"""How a profile lies over depth: where its centre is, how many layers carry it, and how surely.

    participation_ratio([1, 1, 0, 0])    # 2.0: two layers carry it

This file must not know what a layer's number measures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from merit_interp.statistics.clusters import FloatArray, Names, Numbers, drawn_counts
from merit_interp.statistics.intervals import LEVEL, Interval

RESAMPLES = 2000
MOST_UNDEFINED = 0.05
"""Share of resamples in which a statistic may be undefined before its interval is."""


def participation_ratio(weights: Numbers) -> float:
    """How many layers carry a profile: (sum of w)**2 / sum of w**2, in [1, layers].

    Equal weights on k layers give k. Negative weights count as none; NaN where none is positive.
    """
    positive = np.clip(np.asarray(weights, dtype=np.float64), 0.0, None)
    squares = float(positive @ positive)
    return float(positive.sum() ** 2 / squares) if squares > 0 else math.nan


def centre_of_mass(weights: Numbers) -> float:
    """Where a profile lies: the mean layer, counted from 0, weighted by what is positive in it.

    NaN where nothing is positive.
    """
    positive = np.clip(np.asarray(weights, dtype=np.float64), 0.0, None)
    total = float(positive.sum())
    return float(positive @ np.arange(positive.size) / total) if total > 0 else math.nan


def resampled_profiles(
    values: NDArray[np.float64],
    clusters: Names,
    *,
    among: Names,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> FloatArray:
    """Mean of each layer's values in each bootstrap resample of whole clusters.

    Profiles that share `among` and the seed are resampled together, so that differences between
    them are paired.

    Args:
        values: (layers, items) finite numbers.
        clusters: (items,) the cluster of each item.
        among: The clusters to draw from, which hold those of the items.
        resamples: How many.
        seed: Seed of the draws.

    Returns:
        (resamples, layers); NaN in a resample that drew none of the items.
    """
    names = sorted(set(among))
    place = {name: number for number, name in enumerate(names)}
    codes = np.array([place[name] for name in clusters], dtype=np.int64)
    sums = np.zeros((len(names), values.shape[0]))
    np.add.at(sums, codes, values.T)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    means = []
    for counts in drawn_counts(len(names), resamples, seed):
        items = counts @ sizes
        with np.errstate(invalid="ignore"):
            means.append(counts @ sums / items[:, None])
    return np.concatenate(means)


def percentile_interval(
    estimate: float, draws: FloatArray, *, n_items: int, n_clusters: int, level: float = LEVEL
) -> Interval:
    """The middle of a statistic's bootstrap draws, stretched to hold the estimate."""
    known = draws[~np.isnan(draws)]
    method = "cluster bootstrap, percentiles"
    if math.isnan(estimate) or n_clusters < 2 or known.size < (1 - MOST_UNDEFINED) * draws.size:
        nan = math.nan
        return Interval(estimate, nan, nan, n_items, n_clusters, level, "undefined: no importance")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        estimate, min(float(low), estimate), max(float(high), estimate),
        n_items, n_clusters, level, method,
    )  # fmt: skip
