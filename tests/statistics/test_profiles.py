from __future__ import annotations

import math

import numpy as np
import pytest

from merit_interp.statistics.profiles import (
    centre_of_mass,
    participation_ratio,
    percentile_interval,
    resampled_profiles,
)


@pytest.mark.parametrize(
    ("weights", "ratio", "centre"),
    [
        ([1, 1, 1, 1], 4.0, 1.5),
        ([0, 0, 5, 0], 1.0, 2.0),
        ([2, 0, 0, 2], 2.0, 1.5),
        ([1, -9, 1, -9], 2.0, 1.0),
        ([3, 1], 16 / 10, 0.25),
    ],
)
def test_by_hand(weights: list[int], ratio: float, centre: float) -> None:
    assert participation_ratio(weights) == pytest.approx(ratio)
    assert centre_of_mass(weights) == pytest.approx(centre)


def test_a_profile_without_weight_lies_nowhere() -> None:
    assert math.isnan(participation_ratio([0, -1]))
    assert math.isnan(centre_of_mass([0, -1]))


def test_profiles_are_resampled_by_cluster_and_together() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat([f"v{i}" for i in range(40)], 3)
    values = rng.normal(size=(2, 40)).repeat(3, axis=1) + np.array([[1.0], [2.0]])
    draws = resampled_profiles(values, clusters, among=clusters, resamples=1500)
    assert draws.shape == (1500, 2)
    assert draws.mean(axis=0) == pytest.approx(values.mean(axis=1), abs=0.02)
    wanted = values[:, ::3].std(axis=1) / math.sqrt(40)
    assert draws.std(axis=0) == pytest.approx(wanted, rel=0.1)
    shifted = resampled_profiles(values + 1, clusters, among=clusters, resamples=1500)
    assert shifted - draws == pytest.approx(1.0)


def test_an_interval_holds_its_estimate_or_says_why_not() -> None:
    draws = np.linspace(0, 1, 101)
    found = percentile_interval(0.5, draws, n_items=9, n_clusters=3)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert percentile_interval(2.0, draws, n_items=9, n_clusters=3).high == 2.0
    draws[:10] = np.nan
    assert not percentile_interval(0.5, draws, n_items=9, n_clusters=3).is_defined
    assert not percentile_interval(math.nan, draws, n_items=9, n_clusters=3).is_defined
