from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import bdtrc, stdtrit

from merit_interp.statistics.clusters import group_by_cluster
from merit_interp.statistics.paired import paired_difference
from merit_interp.statistics.power import (
    cluster_correlation,
    design_effect,
    detectable_difference,
    power_to_find,
)

Drawn = tuple[NDArray[np.float64], NDArray[np.int64]]


def drawn_differences(
    generator: np.random.Generator,
    sizes: list[int],
    discordance: float,
    difference: float,
    correlation: float,
) -> Drawn:
    """Paired differences in {-1, 0, 1} whose correlation within a video is known.

    Each item has its video's draw with probability sqrt(correlation), else one of its own: two
    items of a video share a draw with probability `correlation`, and are independent otherwise.
    """
    shares = [(discordance - difference) / 2, 1 - discordance, (discordance + difference) / 2]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    of_video = generator.choice([-1.0, 0.0, 1.0], size=len(sizes), p=shares)
    own = generator.choice([-1.0, 0.0, 1.0], size=len(groups), p=shares)
    shared = generator.random(len(groups)) < math.sqrt(correlation)
    return np.where(shared, of_video[groups], own), groups


def found_share(
    sizes: list[int], discordance: float, difference: float, correlation: float
) -> float:
    """How often the t test with clustered errors finds a difference, in 3,000 drawn sets."""
    generator = np.random.default_rng(7)
    quantile = float(stdtrit(len(sizes) - 1, 0.975))
    found = 0
    for _ in range(3000):
        values, groups = drawn_differences(generator, sizes, discordance, difference, correlation)
        grouped = group_by_cluster(values, groups)
        error = math.sqrt(grouped.variance_of_mean)
        found += error > 0 and abs(grouped.mean) / error > quantile
    return found / 3000


SETS = {
    "one item a video": ([1] * 150, 0.2, 0.0),
    "three a video, as Video-MME": ([3] * 60, 0.25, 0.15),
    "unequal, alike within videos": ([1, 2, 4, 9] * 20, 0.3, 0.3),
    "few videos": ([8] * 15, 0.4, 0.1),
}


@pytest.mark.parametrize("name", SETS)
def test_a_simulated_test_finds_the_detectable_difference_eight_times_in_ten(name: str) -> None:
    sizes, discordance, correlation = SETS[name]
    least = detectable_difference(
        n_items=sum(sizes),
        n_clusters=len(sizes),
        discordance=discordance,
        effect=design_effect(sizes, correlation),
    )
    assert least is not None
    # 3,000 draws have a standard error of 0.7 points; the rest is what a formula may be off
    assert found_share(sizes, discordance, least, correlation) == pytest.approx(0.8, abs=0.05)


def test_without_the_design_effect_the_promise_is_broken() -> None:
    sizes, discordance, correlation = SETS["unequal, alike within videos"]
    least = detectable_difference(
        n_items=sum(sizes), n_clusters=len(sizes), discordance=discordance, effect=1.0
    )
    assert least is not None
    assert found_share(sizes, discordance, least, correlation) < 0.5


def test_the_sign_flip_test_of_this_package_has_that_power() -> None:
    sizes, discordance, correlation = SETS["three a video, as Video-MME"]
    least = detectable_difference(
        n_items=sum(sizes),
        n_clusters=len(sizes),
        discordance=discordance,
        effect=design_effect(sizes, correlation),
    )
    assert least is not None
    generator = np.random.default_rng(3)
    found = 0
    for _ in range(200):
        values, groups = drawn_differences(generator, sizes, discordance, least, correlation)
        tested = paired_difference(values, np.zeros(len(values)), groups.astype(str), resamples=400)
        found += tested.p_value < 0.05
    assert found / 200 == pytest.approx(0.8, abs=0.1)


def test_connor_1987_as_a_public_calculator_has_it() -> None:
    # p01 = 0.45, p10 = 0.05, two-sided 5%, 80% power: 23 pairs (powerandsamplesize.com); many
    # clusters, since that formula has normal quantiles
    common = {"n_clusters": 10**6, "discordance": 0.5, "effect": 1.0}
    assert power_to_find(0.4, n_items=23, **common) > 0.8  # type: ignore[arg-type]
    assert power_to_find(0.4, n_items=22, **common) < 0.8  # type: ignore[arg-type]


def test_video_mme_shows_only_large_changes_of_temporal_perception() -> None:
    least = detectable_difference(n_items=55, n_clusters=55, discordance=0.2, effect=1.0)
    assert least == pytest.approx(0.16, abs=0.01)


def test_more_items_fewer_discordant_ones_and_less_clustering_show_more() -> None:
    def least(n_items: int = 300, discordance: float = 0.2, effect: float = 1.3) -> float:
        found = detectable_difference(
            n_items=n_items, n_clusters=100, discordance=discordance, effect=effect
        )
        assert found is not None
        return found

    assert least(n_items=600) < least() < least(n_items=200)
    assert least(discordance=0.1) < least() < least(discordance=0.4)
    assert least(effect=1.0) < least() < least(effect=2.0)


def test_a_difference_needs_as_many_discordant_items() -> None:
    for n in (100, 240, 1000):
        least = detectable_difference(n_items=n, n_clusters=n, discordance=0.001, effect=1.0)
        assert least is not None
        # six that change, all one way, are the fewest with a two-sided sign-flip p below 5%
        assert float(bdtrc(5.0, n, least)) == pytest.approx(0.8, abs=0.05)


def test_a_set_that_can_show_nothing() -> None:
    assert detectable_difference(n_items=4, n_clusters=4, discordance=0.2, effect=1.0) is None
    assert detectable_difference(n_items=90, n_clusters=1, discordance=0.2, effect=1.0) is None
    assert detectable_difference(n_items=0, n_clusters=0, discordance=0.2, effect=1.0) is None


def test_the_design_effect_of_equal_and_unequal_clusters() -> None:
    assert design_effect([1] * 10, 0.5) == 1.0
    assert design_effect([4] * 10, 0.1) == pytest.approx(1.3)
    # a random item is in a cluster of (1 + 81) / 10 = 8.2 items
    assert design_effect([1, 9], 0.5) == pytest.approx(1 + 7.2 * 0.5)
    assert design_effect([4] * 10, -0.2) == design_effect([], 0.5) == 1.0


def test_the_correlation_within_videos_is_estimated() -> None:
    generator = np.random.default_rng(0)
    for correlation in (0.0, 0.1, 0.4):
        values, groups = drawn_differences(generator, [1, 3, 6] * 2000, 0.3, 0.05, correlation)
        found = cluster_correlation(values, groups.astype(str))
        assert found == pytest.approx(correlation, abs=0.02)


def test_a_correlation_that_no_data_define() -> None:
    assert math.isnan(cluster_correlation([1, 0, 1], ["a", "b", "c"]))
    assert math.isnan(cluster_correlation([1, 0, 1], ["a", "a", "a"]))
    assert math.isnan(cluster_correlation([0, 0, 0, 0], ["a", "a", "b", "b"]))
    assert cluster_correlation([1, 1, 0, 0], ["a", "a", "b", "b"]) == 1.0
