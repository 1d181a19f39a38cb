"""Items grouped by their cluster (the video), and seeded resamples of whole clusters.

    grouped = group_by_cluster([1.0, 0.0, 1.0], ["video a", "video a", "video b"])
    grouped.sums, grouped.sizes    # (clusters,), (clusters,)

Questions on one video share its difficulty, so a video is what is drawn again, flipped and counted.
This file must not know which statistic is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
SmallIntegers = NDArray[np.uint8] | NDArray[np.int8]
Numbers = Sequence[float | int] | NDArray[Any]
Names = Sequence[str] | NDArray[Any]

BLOCK_ELEMENTS = 1 << 20
"""Resamples are made in blocks of about this many numbers, one byte each: 1 MB."""
KEPT_BLOCKS = 64
"""Blocks kept for the next call: a table asks for the same number of clusters again and again."""


@dataclass(frozen=True, eq=False)
class Grouped:
    """Values of items, added up within each cluster."""

    sums: FloatArray
    """(clusters,) sum of the values of each cluster's items."""
    sizes: FloatArray
    """(clusters,) number of items of each cluster."""

    @property
    def n_items(self) -> int:
        """Items in all clusters."""
        return int(self.sizes.sum())

    @property
    def n_clusters(self) -> int:
        """Clusters that hold at least one item."""
        return len(self.sizes)

    @property
    def mean(self) -> float:
        """Mean over items; NaN where there are none."""
        return float(self.sums.sum() / self.sizes.sum()) if self.n_items else float("nan")

    @property
    def residuals(self) -> FloatArray:
        """(clusters,) what each cluster adds to the error of the mean, times the item count."""
        return self.sums - self.mean * self.sizes

    @property
    def variance_of_mean(self) -> float:
        """Linearised variance of the ratio mean with clusters as the units (CR1)."""
        residuals = self.residuals
        small_sample = self.n_clusters / (self.n_clusters - 1)
        return float(small_sample * (residuals @ residuals) / self.n_items**2)


def group_by_cluster(values: Numbers, clusters: Names) -> Grouped:
    """Add values up by cluster.

    Args:
        values: (items,) finite numbers; booleans count as 0 and 1.
        clusters: (items,) the name of each item's cluster.

    Raises:
        ValueError: The lengths differ, or a value is not finite (leave failed items out).
    """
    numbers = np.asarray(values, dtype=np.float64)
    names = np.asarray(clusters)
    if numbers.shape != names.shape or numbers.ndim != 1:
        raise ValueError(f"{numbers.shape} values do not go with {names.shape} clusters")
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite: leave failed items out")
    if not numbers.size:
        return Grouped(np.zeros(0), np.zeros(0))
    codes = np.unique(names, return_inverse=True)[1]
    return Grouped(
        np.bincount(codes, numbers).astype(np.float64), np.bincount(codes).astype(np.float64)
    )


def drawn_counts(n_clusters: int, resamples: int, seed: int) -> Iterator[SmallIntegers]:
    """How often each cluster is drawn, with replacement, in each bootstrap resample.

    Yields:
        Blocks (rows, clusters); each row sums to the number of clusters, `resamples` rows in all.
    """
    return _blocks(_counts_block, n_clusters, resamples, seed)


def random_signs(n_clusters: int, resamples: int, seed: int) -> Iterator[SmallIntegers]:
    """Random signs for each cluster, -1 or +1, in blocks (rows, clusters)."""
    return _blocks(_signs_block, n_clusters, resamples, seed)


@lru_cache(KEPT_BLOCKS)
def every_sign(n_clusters: int) -> SmallIntegers:
    """All sign patterns of the clusters, (2 ** clusters, clusters) of -1 and +1."""
    bits = np.arange(2**n_clusters)[:, None] >> np.arange(n_clusters) & 1
    return _kept((2 * bits - 1).astype(np.int8))


def _blocks(
    make: Callable[[int, int, int, int], SmallIntegers],
    n_clusters: int,
    resamples: int,
    seed: int,
) -> Iterator[SmallIntegers]:
    most_rows = max(1, BLOCK_ELEMENTS // n_clusters)
    for number, start in enumerate(range(0, resamples, most_rows)):
        yield make(min(most_rows, resamples - start), n_clusters, seed, number)


@lru_cache(KEPT_BLOCKS)
def _counts_block(rows: int, n_clusters: int, seed: int, number: int) -> SmallIntegers:
    generator = np.random.default_rng([seed, number])
    drawn = generator.integers(0, n_clusters, size=(rows, n_clusters))
    drawn += np.arange(rows)[:, None] * n_clusters
    counts = np.bincount(drawn.ravel(), minlength=rows * n_clusters)
    # a cluster is drawn Poisson(1) times, nearly: more than 255 has a chance below 1e-500
    return _kept(counts.reshape(rows, n_clusters).astype(np.uint8))


@lru_cache(KEPT_BLOCKS)
def _signs_block(rows: int, n_clusters: int, seed: int, number: int) -> SmallIntegers:
    generator = np.random.default_rng([seed, number])
    return _kept((2 * generator.integers(0, 2, size=(rows, n_clusters)) - 1).astype(np.int8))


def _kept(block: SmallIntegers) -> SmallIntegers:
    """A block that is shared between calls, so that nobody may change it."""
    block.setflags(write=False)
    return block
