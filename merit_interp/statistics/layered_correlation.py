"""Rank correlation over points of several layers, with a p-value that holds each one's layer fixed.

    layered_correlation(change, cost, layers).p_value

Where layers differ in both lists, a correlation over their points is partly one over layers. The
p-value exchanges points within their layer alone (a stratified permutation test: Good,
"Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005). This file must not know what is
correlated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from merit_interp.statistics.clusters import FloatArray, Numbers
from merit_interp.statistics.correlation import centred_ranks
from merit_interp.statistics.intervals import RESAMPLES


@dataclass(frozen=True)
class LayeredCorrelation:
    """Spearman's rank correlation over heads of several layers."""

    estimate: float
    """In [-1, 1]; NaN where a list is constant or has fewer than 2 heads."""
    by_layers: float
    """Its mean over all exchanges of heads within their layers: what depth alone gives."""
    p_value: float
    """Two-sided: how often exchanges within layers lie as far from `by_layers`; NaN: undefined."""
    n_heads: int
    n_layers: int
    method: str
    """How the p-value was found: all exchanges, or random ones."""


def layered_correlation(
    x: Numbers,
    y: Numbers,
    layers: Sequence[int],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LayeredCorrelation:
    """Rank correlation over all points, with a p-value that holds each point's layer fixed.

    Args:
        x: (heads,) finite numbers.
        y: (heads,) finite numbers, in the same order.
        layers: (heads,) layer of each.
        resamples: Random exchanges, where not all are tried.
        seed: Of the random exchanges.
    """
    ranks_x, ranks_y = centred_ranks(x), centred_ranks(y)
    own = np.asarray(layers)
    groups = [np.flatnonzero(own == layer) for layer in sorted(set(layers))]
    length = float(np.linalg.norm(ranks_x) * np.linalg.norm(ranks_y))
    if not length:
        nan = math.nan
        return LayeredCorrelation(
            nan, nan, nan, len(ranks_x), len(groups), "undefined: a list is constant"
        )
    estimate = float(np.clip(ranks_x @ ranks_y / length, -1.0, 1.0))
    by_layers = sum(len(g) * ranks_x[g].mean() * ranks_y[g].mean() for g in groups) / length
    p_value, method = _p_value(ranks_x, ranks_y, groups, resamples, seed)
    return LayeredCorrelation(
        estimate, float(by_layers), p_value, len(ranks_x), len(groups), method
    )


def _p_value(
    ranks_x: FloatArray,
    ranks_y: FloatArray,
    groups: Sequence[NDArray[np.int64]],
    resamples: int,
    seed: int,
) -> tuple[float, str]:
    """Share of exchanges within groups whose sum of products is as far from the mean one."""
    expected = sum(len(g) * ranks_x[g].mean() * ranks_y[g].mean() for g in groups)
    # equal but for rounding counts as equal
    seen = abs(float(ranks_x @ ranks_y) - expected) - 1e-9
    if all(math.factorial(min(len(group), 20)) <= resamples for group in groups):
        values, counts = _every_sum(ranks_x, ranks_y, groups)
        far = np.abs(values - expected) >= seen
        return float(counts[far].sum() / counts.sum()), "all exchanges"
    generator = np.random.default_rng(seed)
    sums = np.zeros(resamples)
    for group in groups:
        order = generator.permuted(np.tile(group, (resamples, 1)), axis=1)
        sums += ranks_y[order] @ ranks_x[group]
    far = np.abs(sums - expected) >= seen
    # the order seen is one of the random ones, so that p is never 0
    return (int(far.sum()) + 1) / (resamples + 1), f"{resamples} random exchanges"


def _every_sum(
    ranks_x: FloatArray, ranks_y: FloatArray, groups: Sequence[NDArray[np.int64]]
) -> tuple[FloatArray, FloatArray]:
    """Values of the sum of products over all exchanges, and how often each comes.

    A product of two ranks is a multiple of 1/4, and groups are exchanged independently: so the
    sum's distribution is the convolution of theirs.
    """
    counts, least = np.ones(1), 0
    for group in groups:
        orders = np.array(list(itertools.permutations(group.tolist())), dtype=np.int64)
        quarters = np.rint(4 * (ranks_y[orders] @ ranks_x[group])).astype(np.int64)
        counts = np.convolve(counts, np.bincount(quarters - quarters.min()).astype(np.float64))
        least += int(quarters.min())
    return (np.arange(len(counts)) + least) / 4, counts
