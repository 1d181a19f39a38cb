"""Intervals for a share and for a mean over items that are clustered by video.

    interval = clustered_share([1, 0, 1, 1], ["a", "a", "b", "c"])
    interval.low, interval.high

Which method, and why:

- A share of items (accuracy): Wilson's interval on the effective number of items, which is the
  number of items divided by the design effect, with Student's t on clusters - 1 degrees of freedom
  in place of the normal quantile. It stays inside [0, 1] and does not shrink to nothing when all
  items are right; a bootstrap does both. Sources: Korn & Graubard 1998; Dean & Pagano 2015.
- Any other mean, 10 clusters or more: a bootstrap that draws whole clusters, with the percentiles
  widened to what t on clusters - 1 degrees of freedom would ask for, since plain percentiles are
  too narrow with tens of clusters. Source: Hesterberg 2015, "expanded percentiles".
- Fewer than 10 clusters: t with the linearised, clustered standard error.
- No spread between the clusters: their values say nothing of what an unseen cluster would do. For
  values with bounds the interval leaves room for the share of unlike clusters that a sample of
  this size may miss (none seen in G clusters: at most 1 - (alpha / 2) ** (1 / G)). For values
  without bounds, and for a single cluster, the interval is undefined: NaN, and `method` says why.

This file must not know what the values measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from merit_interp.statistics.clusters import (
    FloatArray,
    Grouped,
    Names,
    Numbers,
    drawn_counts,
    group_by_cluster,
)

LEVEL = 0.95
RESAMPLES = 10_000
FEWEST_BOOTSTRAP_CLUSTERS = 10
WITHOUT_SPREAD = "no spread: room for unseen clusters"
"""Method of an interval around values that do not differ between clusters."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, and what stands behind it."""

    estimate: float
    """Mean over items; NaN where there are none."""
    low: float
    """Lower end; NaN where the data define none (`method` says why)."""
    high: float
    """Upper end; NaN where the data define none."""
    n_items: int
    n_clusters: int
    """Videos behind the items."""
    level: float
    """Share of such intervals that hold the truth."""
    method: str
    """How the ends were found, in a few words."""

    @property
    def is_defined(self) -> bool:
        """Whether the data define an interval."""
        return not math.isnan(self.low)

    def is_above(self, value: float) -> bool:
        """Whether the whole interval lies above a value; an undefined one does not."""
        return self.is_defined and self.low > value

    def is_below(self, value: float) -> bool:
        """Whether the whole interval lies below a value; an undefined one does not."""
        return self.is_defined and self.high < value


def clustered_share(successes: Numbers, clusters: Names, *, level: float = LEVEL) -> Interval:
    """Share of successes with a Wilson interval on the effective number of items.

    Args:
        successes: (items,) booleans, or zeros and ones.
        clusters: (items,) name of each item's cluster.
        level: Confidence level in (0, 1).

    Raises:
        ValueError: A value is neither 0 nor 1.
    """
    grouped = group_by_cluster(successes, clusters)
    if not np.isin(np.asarray(successes, dtype=np.float64), (0.0, 1.0)).all():
        raise ValueError("a share counts zeros and ones")
    if grouped.n_clusters < 2:
        return _undefined(grouped, level)
    n = _effective_items(grouped)
    share = grouped.mean
    t = _t_quantile(level, grouped.n_clusters)
    centre = (share + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t / (1 + t**2 / n) * math.sqrt(share * (1 - share) / n + t**2 / (4 * n**2))
    return _interval(
        grouped, max(0.0, centre - half), min(1.0, centre + half), level, "Wilson, clustered"
    )


def clustered_mean(
    values: Numbers,
    clusters: Names,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Mean over items with an interval clustered by video.

    Args:
        values: (items,) finite numbers.
        clusters: (items,) name of each item's cluster.
        level: Confidence level in (0, 1).
        resamples: Bootstrap resamples.
        seed: Seed of the resamples; the same seed gives the same interval.
        bounds: Least and greatest value that an item can have, where there are such.

    Raises:
        ValueError: The lengths differ, or a value is not finite.
    """
    grouped = group_by_cluster(values, clusters)
    if grouped.n_clusters < 2:
        return _undefined(grouped, level)
    spread = np.abs(grouped.residuals).max()
    if spread <= 1e-12 * max(1.0, np.abs(grouped.sums).max()):
        return _without_spread(grouped, level, bounds)
    if grouped.n_clusters < FEWEST_BOOTSTRAP_CLUSTERS:
        half = _t_quantile(level, grouped.n_clusters) * math.sqrt(grouped.variance_of_mean)
        low, high, method = grouped.mean - half, grouped.mean + half, "t, few clusters"
    else:
        low, high = _bootstrap_ends(grouped, level, resamples, seed)
        method = "cluster bootstrap"
    if bounds is not None:
        low, high = max(low, float(bounds[0])), min(high, float(bounds[1]))
    return _interval(grouped, low, high, level, method)


def _bootstrap_ends(
    grouped: Grouped, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Expanded percentiles of the ratio mean over resampled clusters."""
    # vecdot, row by row, since a threaded matrix product is many times slower on a busy machine
    drawn = [
        np.vecdot(counts, grouped.sums) / np.vecdot(counts, grouped.sizes)
        for counts in drawn_counts(grouped.n_clusters, resamples, seed)
    ]
    means: FloatArray = np.concatenate(drawn)
    clusters = grouped.n_clusters
    widened = math.sqrt(clusters / (clusters - 1)) * _t_quantile(level, clusters)
    tail = float(ndtr(-widened))
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _effective_items(grouped: Grouped) -> float:
    """Items divided by the design effect, kept between one a cluster and all of them.

    Where all items agree nothing tells how alike a cluster's items are; the cautious end is used.
    """
    items = grouped.n_items
    fewest = items**2 / float(grouped.sizes @ grouped.sizes)
    share = grouped.mean
    if share in (0.0, 1.0):
        return fewest
    variance = grouped.variance_of_mean
    if variance == 0.0:
        return float(items)
    return min(max(share * (1 - share) / variance, fewest), float(items))


def _without_spread(grouped: Grouped, level: float, bounds: tuple[float, float] | None) -> Interval:
    if bounds is None:
        return _interval(grouped, math.nan, math.nan, level, "undefined: no spread")
    unseen = 1 - ((1 - level) / 2) ** (1 / grouped.n_clusters)
    mean = grouped.mean
    low = mean - unseen * (mean - bounds[0])
    high = mean + unseen * (bounds[1] - mean)
    return _interval(grouped, low, high, level, WITHOUT_SPREAD)


def _undefined(grouped: Grouped, level: float) -> Interval:
    reason = "undefined: one cluster" if grouped.n_clusters else "undefined: no items"
    return _interval(grouped, math.nan, math.nan, level, reason)


def _interval(grouped: Grouped, low: float, high: float, level: float, method: str) -> Interval:
    return Interval(
        grouped.mean, float(low), float(high), grouped.n_items, grouped.n_clusters, level, method
    )


def _t_quantile(level: float, n_clusters: int) -> float:
    return float(stdtrit(n_clusters - 1, (1 + level) / 2))
