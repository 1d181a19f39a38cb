"""Spearman's correlation equals scipy's, and its interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from merit_interp.statistics.correlation import spearman


def test_estimate_equals_scipys_with_and_without_ties() -> None:
    generator = np.random.default_rng(0)
    for y in (generator.normal(size=30), generator.integers(0, 4, 30).astype(float)):
        x = generator.normal(size=30)
        assert spearman(x, y, resamples=99).estimate == pytest.approx(stats.spearmanr(x, y)[0])


def test_p_value_over_all_orders_equals_scipys() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=6), generator.normal(size=6)
    theirs = stats.permutation_test(
        (x,), lambda z: stats.spearmanr(z, y)[0], permutation_type="pairings", n_resamples=np.inf
    )
    ours = spearman(x, y)
    assert ours.method == "all orders"
    assert ours.p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("points", [8, 28])
def test_the_interval_holds_the_truth(points: int) -> None:
    generator = np.random.default_rng(points)
    pearson, trials, hits = 0.6, 500, 0
    truth = 6 / math.pi * math.asin(pearson / 2)
    for _ in range(trials):
        pair = generator.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], size=points)
        found = spearman(pair[:, 0], pair[:, 1], resamples=10)
        hits += found.low <= truth <= found.high
    assert hits >= stats.binom.ppf(0.001, trials, 0.94)


def test_perfect_agreement_keeps_a_width() -> None:
    found = spearman(list(range(7)), [2 * i for i in range(7)])
    assert found.estimate == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)
    assert found.low < 0.99
    assert found.p_value == pytest.approx(2 / math.factorial(7))
    turned = spearman(list(range(7)), [-i for i in range(7)])
    assert turned.low == pytest.approx(-1.0)


def test_where_nothing_can_be_said() -> None:
    flat = spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert math.isnan(flat.estimate)
    assert "constant" in flat.method
    assert math.isnan(spearman([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).low)
    with pytest.raises(ValueError, match="paired"):
        spearman([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        spearman([1.0, math.inf], [1.0, 2.0])
