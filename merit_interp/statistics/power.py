"""What difference between two models a set of items can show, before either is run.

    effect = design_effect([3, 3, 2], correlation=0.1)
    detectable_difference(n_items=8, n_clusters=3, discordance=0.2, effect=effect)

Two models answer the same items. Only discordant items, which one of them has right and the other
not, tell them apart (McNemar 1947). With a share `p` of discordant items and a true difference `d`
in accuracy, the estimated difference has variance `p / n` if there is none and `(p - d^2) / n`
else, so that a two-sided test at level `a` finds it with power `1 - b` where

    d * sqrt(n) = t(1 - a / 2) * sqrt(p) + t(1 - b) * sqrt(p - d^2)

Sources: Miettinen 1968, Biometrics 24:339; Connor 1987, Biometrics 43:207, there with normal
quantiles. Here `n` is the number of items divided by the design effect of clusters, and `t` are
quantiles of Student's distribution on clusters - 1 degrees of freedom (Donner & Klar 2000, "Design
and Analysis of Cluster Randomization Trials"), as in the intervals of this package. A difference
of `d` needs discordant items in a share of `d` at least, so `p` is never taken below it.

This file must not know items or models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from merit_interp.statistics.clusters import Names, Numbers

LEVEL = 0.05
POWER = 0.8


def design_effect(sizes: Sequence[int], correlation: float) -> float:
    """By how much clusters widen the variance of a mean over items; at least 1.

    `1 + (m - 1) * correlation`, where `m` is the size of the cluster that a random item is in,
    `sum(size^2) / sum(size)`: the mean size if all are equal. Sources: Kish 1965, "Survey
    Sampling", section 5.4; for unequal sizes Kerry & Bland 2001, Statistics in Medicine 20:377.

    Args:
        sizes: Items of each cluster.
        correlation: Intra-cluster correlation; a negative one counts as 0.
    """
    if not sum(sizes):
        return 1.0
    seen_size = sum(size**2 for size in sizes) / sum(sizes)
    return 1.0 + (seen_size - 1.0) * max(0.0, correlation)


def detectable_difference(
    *,
    n_items: int,
    n_clusters: int,
    discordance: float,
    effect: float,
    level: float = LEVEL,
    power: float = POWER,
) -> float | None:
    """The least true difference in accuracy that a test finds with this power.

    Args:
        n_items: Items that both models answer.
        n_clusters: Videos that they lie on.
        discordance: Share of the items that one model has right and the other not, in (0, 1]; a
            difference that is larger has all its discordant items on one side.
        effect: Design effect of the clusters.
        level: Two-sided level of the test.
        power: How often it is to find the difference.

    Returns:
        A share in (0, 1]; None if not even a change on every item would do.
    """
    if n_clusters < 2:
        return None

    def missing(difference: float) -> float:
        return power - power_to_find(
            difference,
            n_items=n_items,
            n_clusters=n_clusters,
            discordance=max(discordance, difference),
            effect=effect,
            level=level,
        )

    if missing(1.0) > 0.0:
        return None
    return float(brentq(missing, 0.0, 1.0))


def power_to_find(
    difference: float,
    *,
    n_items: int,
    n_clusters: int,
    discordance: float,
    effect: float,
    level: float = LEVEL,
) -> float:
    """How often a two-sided test finds a true difference in accuracy.

    Args:
        difference: At most `discordance`.
        n_items: As for `detectable_difference`, and so are the others.
        n_clusters: Videos, two or more.
        discordance: Share of discordant items.
        effect: Design effect of the clusters.
        level: Two-sided level of the test.
    """
    freedom = n_clusters - 1
    shift = abs(difference) * math.sqrt(n_items / effect)
    shift -= float(stdtrit(freedom, 1 - level / 2)) * math.sqrt(discordance)
    # where every discordant item goes one way and all items are discordant, nothing varies
    spread = max(discordance - difference**2, 1e-12)
    return float(stdtr(freedom, shift / math.sqrt(spread)))


def cluster_correlation(values: Numbers, clusters: Names) -> float:
    """Intra-cluster correlation by analysis of variance; NaN where no cluster has two items.

    Source: Donner 1986, International Statistical Review 54:67. It can be negative.

    Args:
        values: (items,) numbers, like the difference of two models' right and wrong.
        clusters: (items,) name of each item's cluster.
    """
    numbers = np.asarray(values, dtype=np.float64)
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sizes = np.bincount(codes).astype(np.float64)
    n_items, n_clusters = len(numbers), len(sizes)
    if not 1 < n_clusters < n_items:
        return math.nan
    means = np.bincount(codes, numbers) / sizes
    between = float(sizes @ (means - numbers.mean()) ** 2) / (n_clusters - 1)
    within = float(((numbers - means[codes]) ** 2).sum()) / (n_items - n_clusters)
    size = (n_items - float(sizes @ sizes) / n_items) / (n_clusters - 1)
    total = between + (size - 1.0) * within
    return (between - within) / total if total > 0.0 else math.nan
