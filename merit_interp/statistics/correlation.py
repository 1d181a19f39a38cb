"""Rank correlation of two lists, with an interval and a permutation p-value.

    spearman(coefficients, effects).p_value

The interval is Fisher's z with Bonett and Wright's standard error (2000), not a bootstrap: with the
few points that layers give, a bootstrap draws the same point again and again and is too narrow.
Where the ranks agree wholly there is no error to measure; the inner end is then that of one
exchanged pair of neighbours. This file must not know what the lists are.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from merit_interp.statistics.clusters import FloatArray, Numbers
from merit_interp.statistics.intervals import LEVEL, RESAMPLES

FEWEST_POINTS = 4
"""With fewer, Fisher's z has no standard error."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation."""

    estimate: float
    """In [-1, 1]; NaN where a list is constant or has fewer than 2 points."""
    low: float
    """Lower end; NaN where undefined."""
    high: float
    """Upper end; NaN where undefined."""
    p_value: float
    """Two-sided, by permutation; NaN where undefined."""
    n_points: int
    level: float
    method: str
    """How the p-value was found: all orders, or random ones."""


def spearman(
    x: Numbers,
    y: Numbers,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Correlation:
    """Spearman's rank correlation of two lists; ties share their mean rank.

    Args:
        x: (points,) finite numbers.
        y: (points,) finite numbers, in the same order.
        level: Confidence level in (0, 1).
        resamples: Random orders, where not all are tried.
        seed: Seed of the random orders.

    Raises:
        ValueError: The lengths differ, or a number is not finite.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} points cannot be paired with {len(y)}")
    ranks_x, ranks_y = _standard_ranks(x), _standard_ranks(y)
    points = len(ranks_x)
    if points < 2 or not ranks_x.any() or not ranks_y.any():
        nan = math.nan
        return Correlation(nan, nan, nan, nan, points, level, "undefined: a list is constant")
    estimate = float(np.clip(ranks_x @ ranks_y, -1.0, 1.0))
    low, high = _fisher_ends(estimate, points, level)
    p_value, method = _permutation_p_value(ranks_x, ranks_y, estimate, resamples, seed)
    return Correlation(estimate, low, high, p_value, points, level, method)


def centred_ranks(values: Numbers) -> FloatArray:
    """Ranks less their mean, each a multiple of one half; ties share their mean rank.

    Raises:
        ValueError: A value is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite")
    ranks: FloatArray = rankdata(numbers)
    return ranks - (len(ranks) + 1) / 2


def _standard_ranks(values: Numbers) -> FloatArray:
    """Centred ranks of length 1; all zero where the values are constant."""
    ranks = centred_ranks(values)
    length = float(np.linalg.norm(ranks))
    return ranks / length if length > 0 else ranks


def _fisher_ends(estimate: float, points: int, level: float) -> tuple[float, float]:
    if points < FEWEST_POINTS:
        return math.nan, math.nan
    one_exchange = 1 - 12 / (points * (points**2 - 1))
    inner = math.copysign(min(abs(estimate), one_exchange), estimate)
    error = math.sqrt((1 + inner**2 / 2) / (points - 3))
    reach = float(ndtri((1 + level) / 2)) * error
    low, high = math.tanh(math.atanh(inner) - reach), math.tanh(math.atanh(inner) + reach)
    return min(low, estimate), max(high, estimate)


def _permutation_p_value(
    ranks_x: FloatArray, ranks_y: FloatArray, estimate: float, resamples: int, seed: int
) -> tuple[float, str]:
    seen = abs(estimate) - 1e-9
    points = len(ranks_x)
    if math.factorial(min(points, 20)) <= resamples:
        orders = np.array(list(itertools.permutations(range(points))))
        return float((np.abs(ranks_y[orders] @ ranks_x) >= seen).mean()), "all orders"
    generator = np.random.default_rng(seed)
    orders = generator.permuted(np.tile(np.arange(points), (resamples, 1)), axis=1)
    far = int((np.abs(ranks_y[orders] @ ranks_x) >= seen).sum())
    return (far + 1) / (resamples + 1), f"{resamples} random orders"
