"""Two models on the same items: the difference, its interval, and how likely chance alone is.

    difference = paired_difference(merged_correct, vlm_correct, videos, bounds=(-1.0, 1.0))
    difference.interval.low, difference.p_value

The p-value flips the sign of whole clusters: under the null hypothesis the two models could have
been swapped on any video. This file must not know what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merit_interp.statistics.clusters import (
    FloatArray,
    Names,
    Numbers,
    every_sign,
    group_by_cluster,
    random_signs,
)
from merit_interp.statistics.intervals import LEVEL, RESAMPLES, Interval, clustered_mean


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b over items, with interval and two-sided p-value."""

    interval: Interval
    """The mean difference, in the unit of the values."""
    p_value: float
    """Two-sided; NaN where there are no items."""
    method: str
    """How the p-value was found: all sign patterns of the clusters, or random ones."""

    @property
    def estimate(self) -> float:
        """The mean difference, in the unit of the values."""
        return self.interval.estimate


def paired_difference(
    a: Numbers,
    b: Numbers,
    clusters: Names,
    *,
    seed: int = 0,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] | None = None,
) -> PairedDifference:
    """Mean of `a - b` with an interval and a sign-flip p-value, both clustered.

    Args:
        a: (items,) values of one model.
        b: (items,) values of the other on the same items, in the same order.
        clusters: (items,) name of each item's cluster.
        seed: Seed of resamples and of random signs.
        level: Confidence level in (0, 1).
        resamples: Bootstrap resamples, and random sign patterns where not all are tried.
        bounds: Least and greatest difference that an item can have: (-1, 1) for right or wrong.

    Raises:
        ValueError: The lengths differ, or a value is not finite.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} values cannot be paired with {len(b)}")
    differences: FloatArray = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    interval = clustered_mean(
        differences, clusters, level=level, resamples=resamples, seed=seed, bounds=bounds
    )
    if not len(differences):
        return PairedDifference(interval, float("nan"), "no items")
    sums = group_by_cluster(differences, clusters).sums
    p_value, method = _sign_flip_p_value(sums, resamples, seed)
    return PairedDifference(interval, p_value, method)


def _sign_flip_p_value(sums: FloatArray, resamples: int, seed: int) -> tuple[float, str]:
    """Share of sign patterns whose total is at least as far from zero as the one seen.

    All patterns of the clusters that differ, where these are no more than `resamples`; else random
    ones, and the pattern seen counts as one of them (so that p is never 0).
    """
    moving = sums[np.abs(sums) > 1e-12 * max(1.0, float(np.abs(sums).max()))]
    if not moving.size:
        return 1.0, "no cluster differs"
    # totals that are equal but for rounding count as equal
    seen = abs(float(moving.sum())) - 1e-9 * float(np.abs(moving).sum())
    if 2**moving.size <= resamples:
        far_share = np.abs(np.vecdot(every_sign(moving.size), moving)) >= seen
        return float(far_share.mean()), "sign flips, all"
    far = sum(
        int((np.abs(np.vecdot(signs, sums)) >= seen).sum())
        for signs in random_signs(len(sums), resamples, seed)
    )
    return (far + 1) / (resamples + 1), f"sign flips, {resamples} random"
