"""Intervals hold the truth as often as they say, and say so where they cannot be drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from merit_interp.statistics.clusters import drawn_counts, group_by_cluster, random_signs
from merit_interp.statistics.intervals import clustered_mean, clustered_share


def fewest_hits(trials: int, level: float = 0.95) -> int:
    """Hits that an honest interval falls below once in a thousand test runs."""
    return int(stats.binom.ppf(0.001, trials, level))


def drawn_clusters(generator: np.random.Generator, count: int) -> np.ndarray:
    """Names of clusters of unequal sizes, 1 and more, 4 on average."""
    return np.repeat(np.arange(count), 1 + generator.poisson(3, count))


@pytest.mark.parametrize("clusters", [5, 12, 60])
@pytest.mark.parametrize("likeness", [0.0, 0.3])
def test_a_share_is_covered_when_items_of_a_video_are_alike(clusters: int, likeness: float) -> None:
    generator = np.random.default_rng(clusters)
    trials, share, hits = 500, 0.8, 0
    for _ in range(trials):
        names = drawn_clusters(generator, clusters)
        if likeness:
            spread = 1 / likeness - 1
            chances = generator.beta(share * spread, (1 - share) * spread, clusters)
        else:
            chances = np.full(clusters, share)
        interval = clustered_share(generator.random(len(names)) < chances[names], names)
        hits += interval.low <= share <= interval.high
    assert hits >= fewest_hits(trials)


@pytest.mark.parametrize("clusters", [5, 15, 60])
def test_a_mean_is_covered_when_items_of_a_video_are_alike(clusters: int) -> None:
    generator = np.random.default_rng(clusters)
    trials, hits = 400, 0
    for trial in range(trials):
        names = drawn_clusters(generator, clusters)
        values = generator.normal(size=len(names)) + generator.normal(size=clusters)[names]
        interval = clustered_mean(values, names, resamples=2000, seed=trial % 3)
        hits += interval.low <= 0 <= interval.high
    # the ratio mean's own small-sample error costs a point where sizes differ
    assert hits >= fewest_hits(trials, 0.94)


def test_taking_items_as_independent_would_be_too_narrow() -> None:
    generator = np.random.default_rng(0)
    names = np.repeat(np.arange(40), 8)
    right = np.repeat(generator.random(40) < 0.6, 8)
    clustered = clustered_share(right, names)
    single = clustered_share(right, np.arange(len(right)))
    assert clustered.high - clustered.low > 2 * (single.high - single.low)


def test_single_items_give_wilson_and_normal_bounds_as_scipy_has_them() -> None:
    generator = np.random.default_rng(1)
    names = np.arange(4000)
    right = generator.random(4000) < 0.7
    ours = clustered_share(right, names)
    scipys = stats.binomtest(int(right.sum()), 4000).proportion_ci(method="wilson")
    # t on 3999 degrees of freedom, and variance over n - 1
    assert ours.low == pytest.approx(scipys.low, abs=2e-5)
    assert ours.high == pytest.approx(scipys.high, abs=2e-5)
    values = generator.normal(size=4000)
    mean = clustered_mean(values, names)
    low, high = stats.t.interval(0.95, 3999, values.mean(), stats.sem(values))
    assert mean.low == pytest.approx(low, abs=0.002)
    assert mean.high == pytest.approx(high, abs=0.002)


def test_few_clusters_of_one_item_give_students_t() -> None:
    values = [1.0, 4.0, 2.0, 7.0, 3.0]
    ours = clustered_mean(values, list("abcde"))
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx((low, high))
    assert ours.method == "t, few clusters"


def test_the_bootstrap_agrees_with_scipys() -> None:
    values = np.random.default_rng(2).exponential(size=300)
    ours = clustered_mean(values, np.arange(300), seed=5)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="percentile", rng=np.random.default_rng(6)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


def test_all_right_is_no_certainty() -> None:
    interval = clustered_share([True] * 24, [f"v{i // 2}" for i in range(24)])
    assert interval.high == 1.0
    assert 0.6 < interval.low < 0.9
    none = clustered_share([False] * 24, [f"v{i // 2}" for i in range(24)])
    assert none.low == 0.0
    assert none.high == pytest.approx(1 - interval.low)


def test_equal_differences_leave_room_for_clusters_not_seen() -> None:
    interval = clustered_mean([0.0] * 30, [str(i) for i in range(30)], bounds=(-1.0, 1.0))
    # the most that 30 draws without a hit allow
    assert interval.high == pytest.approx(stats.binomtest(0, 30).proportion_ci().high)
    assert interval.low == pytest.approx(-interval.high)
    assert not interval.is_above(0.0)


def test_where_nothing_can_be_said_the_interval_is_undefined() -> None:
    for interval, reason in (
        (clustered_mean([1.5] * 12, [str(i) for i in range(12)]), "no spread"),
        (clustered_mean([1.0, 2.0], ["a", "a"]), "one cluster"),
        (clustered_share([1, 0], ["a", "a"]), "one cluster"),
        (clustered_share([], []), "no items"),
    ):
        assert not interval.is_defined
        assert not interval.is_above(-math.inf)
        assert not interval.is_below(math.inf)
        assert reason in interval.method


def test_clusters_that_cancel_are_no_certainty_either() -> None:
    right = [1, 0] * 12
    names = [f"v{i // 2}" for i in range(24)]
    assert not clustered_mean(right, names).is_defined
    share = clustered_share(right, names)
    assert share.high - share.low > 0.3


def test_the_seed_alone_decides() -> None:
    values = np.random.default_rng(3).normal(size=50)
    names = np.arange(50)
    assert clustered_mean(values, names, seed=4) == clustered_mean(values, names, seed=4)
    assert clustered_mean(values, names, seed=4) != clustered_mean(values, names, seed=5)
    shuffled = np.random.default_rng(4).permutation(50)
    again = clustered_mean(values[shuffled], names[shuffled], seed=4)
    assert again.low == pytest.approx(clustered_mean(values, names, seed=4).low)


def test_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        clustered_mean([math.nan, 1.0], ["a", "b"])
    with pytest.raises(ValueError, match="clusters"):
        clustered_mean([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="zeros and ones"):
        clustered_share([0.5, 1.0], ["a", "b"])


def test_resamples_come_in_blocks_that_are_whole() -> None:
    blocks = list(drawn_counts(3000, 1000, seed=0))
    assert len(blocks) > 1
    drawn = np.concatenate(blocks)
    assert drawn.shape == (1000, 3000)
    assert (drawn.sum(axis=1) == 3000).all()
    assert len(np.unique(drawn, axis=0)) == 1000
    signs = np.concatenate(list(random_signs(3000, 1000, seed=0)))
    assert set(np.unique(signs)) == {-1.0, 1.0}


def test_grouping_adds_up() -> None:
    grouped = group_by_cluster([1, 2, 3, 4], ["b", "a", "b", "a"])
    assert grouped.sums.tolist() == [6.0, 4.0]
    assert grouped.sizes.tolist() == [2.0, 2.0]
    assert grouped.mean == 2.5
