"""Means and differences of means over clustered items, by linearisation: many at once, or crossed.

    mean_contrast(reasoning, their_videos, perception, their_videos).low
    linear_means(costs, videos).low                                       # (sets,)

Where two groups of items share videos, their means are not independent; the linearised variance
adds up what each video gives to both. Source: Binder 1983, Taylor linearisation, with the CR1
correction.
This file must not know what the values measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from merit_interp.statistics.clusters import FloatArray, Names, Numbers
from merit_interp.statistics.intervals import LEVEL, Interval

METHOD = "t, linearised, clustered"


@dataclass(frozen=True, eq=False)
class LinearMeans:
    """Means of several rows of values over the same items, each with its interval."""

    estimate: FloatArray
    """(rows,)"""
    low: FloatArray
    """(rows,); NaN where there are fewer than 2 clusters."""
    high: FloatArray
    """(rows,)"""
    n_items: int
    n_clusters: int


def linear_means(
    values: NDArray[np.float64], clusters: Names, *, level: float = LEVEL
) -> LinearMeans:
    """Mean over items of each row.

    Args:
        values: (rows, items) finite numbers.
        clusters: (items,) name of each item's cluster.
        level: Confidence level in (0, 1).
    """
    codes, n_clusters = _codes(clusters)
    n_items = values.shape[1]
    estimate = values.mean(axis=1) if n_items else np.full(values.shape[0], np.nan)
    parts = np.zeros((n_clusters, values.shape[0]))
    np.add.at(parts, codes, (values - estimate[:, None]).T / max(n_items, 1))
    half = _half_width(parts, level)
    return LinearMeans(estimate, estimate - half, estimate + half, n_items, n_clusters)


def mean_contrast(
    a: Numbers, clusters_a: Names, b: Numbers, clusters_b: Names, *, level: float = LEVEL
) -> Interval:
    """Mean of `a` minus mean of `b`, over other items that may lie in the same clusters.

    Args:
        a: (items of a,) finite numbers.
        clusters_a: (items of a,) name of each item's cluster.
        b: (items of b,) finite numbers.
        clusters_b: (items of b,) name of each item's cluster.
        level: Confidence level in (0, 1).
    """
    one, other = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n_items = one.size + other.size
    codes, n_clusters = _codes([*map(str, clusters_a), *map(str, clusters_b)])
    if not one.size or not other.size or n_clusters < 2:
        nan = math.nan
        return Interval(nan, nan, nan, n_items, n_clusters, level, "undefined: too few items")
    estimate = float(one.mean() - other.mean())
    influence = np.concatenate(
        [(one - one.mean()) / one.size, -(other - other.mean()) / other.size]
    )
    parts = np.bincount(codes, influence, minlength=n_clusters).astype(np.float64)[:, None]
    half = float(_half_width(parts, level)[0])
    return Interval(estimate, estimate - half, estimate + half, n_items, n_clusters, level, METHOD)


def _codes(clusters: Names) -> tuple[NDArray[np.int64], int]:
    names, codes = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return codes.astype(np.int64), len(names)


def _half_width(parts: FloatArray, level: float) -> FloatArray:
    """Of the interval of a sum of clusters' parts, (clusters, rows), whose expectation is zero."""
    n_clusters = parts.shape[0]
    if n_clusters < 2:
        return np.full(parts.shape[1], np.nan)
    variance = n_clusters / (n_clusters - 1) * (parts**2).sum(axis=0)
    half: FloatArray = float(stdtrit(n_clusters - 1, (1 + level) / 2)) * np.sqrt(variance)
    return half
