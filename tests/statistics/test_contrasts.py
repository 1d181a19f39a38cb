from __future__ import annotations

import math

import numpy as np
import pytest

from merit_interp.statistics.contrasts import linear_means, mean_contrast
from merit_interp.statistics.intervals import clustered_mean


def test_one_row_is_the_t_interval_of_few_clusters() -> None:
    values, clusters = [1.0, 2.0, 4.0, 0.0, 3.0], ["a", "a", "b", "c", "c"]
    wanted = clustered_mean(values, clusters)
    assert wanted.method == "t, few clusters"
    found = linear_means(np.array([values, [-v for v in values]]), clusters)
    assert found.estimate.tolist() == pytest.approx([2.0, -2.0])
    assert (found.low[0], found.high[0]) == pytest.approx((wanted.low, wanted.high))
    assert (found.low[1], found.high[1]) == pytest.approx((-wanted.high, -wanted.low))
    assert (found.n_items, found.n_clusters) == (5, 3)


def test_one_cluster_or_no_item_defines_no_interval() -> None:
    assert np.isnan(linear_means(np.ones((2, 3)), ["a"] * 3).low).all()
    assert np.isnan(linear_means(np.ones((2, 0)), []).estimate).all()
    assert not mean_contrast([1.0], ["a"], [2.0], ["a"]).is_defined
    assert not mean_contrast([], [], [2.0, 1.0], ["a", "b"]).is_defined


def test_what_a_video_gives_to_both_groups_cancels() -> None:
    """The same shift of a video's items in both groups is no difference between the groups."""
    rng = np.random.default_rng(0)
    videos = [f"v{i}" for i in range(30)]
    shift = rng.normal(size=30) * 10
    noise = rng.normal(size=30) * 0.1
    shared = mean_contrast(shift + 1, videos, shift + noise, videos)
    apart = mean_contrast(shift + 1, videos, shift + noise, [f"w{i}" for i in range(30)])
    assert shared.is_above(0.9)
    assert apart.low < 0 < apart.high


def test_coverage() -> None:
    """Two groups on shared videos: about 95% of intervals hold the true difference, 1."""
    rng = np.random.default_rng(1)
    videos = np.array([f"v{i}" for i in range(25)])
    held = 0
    for _ in range(600):
        a_of, b_of = rng.integers(0, 25, 60), rng.integers(0, 25, 90)
        shift = rng.normal(size=25)
        a = shift[a_of] + rng.normal(size=60) + 1
        b = 0.5 * shift[b_of] + rng.normal(size=90)
        found = mean_contrast(a, videos[a_of], b, videos[b_of])
        held += found.low <= 1 <= found.high
    assert held / 600 == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 600))
