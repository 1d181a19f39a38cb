from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from merit_interp.statistics.set_test import set_test


def test_the_largest_of_all_sets_has_the_least_p() -> None:
    found = set_test(3.0, [1.0, 2.0, 0.0])
    assert found.p_value == found.least_p == 0.25
    assert found.rank == 1
    assert found.estimate == pytest.approx(2.0)
    assert set_test(-1.0, [1.0, 2.0, 0.0]).p_value == 1.0


def test_ties_count_against_the_set() -> None:
    assert set_test(0.1 + 0.2, [0.3, 0.0]).p_value == pytest.approx(2 / 3)
    assert set_test(0.0, [0.0] * 9).p_value == 1.0


def test_a_set_alone_is_not_tested() -> None:
    found = set_test(1.0, [])
    assert math.isnan(found.p_value)
    assert math.isnan(found.estimate)
    assert found.n_others == 0


@pytest.mark.parametrize("n_drawn", [None, 30])
def test_a_set_drawn_at_random_is_rarely_significant(n_drawn: int | None) -> None:
    """Whatever the numbers are: the chosen set is any of them, and p <= 0.05 in at most 5%."""
    rng = np.random.default_rng(0)
    layers = rng.normal(size=8)
    sums = [layers[list(s)].sum() for s in itertools.combinations(range(8), 4)]
    hits = 0
    for _ in range(2000):
        order = rng.permutation(len(sums))
        others = [sums[i] for i in order[1:][:n_drawn]]
        hits += set_test(sums[order[0]], others).p_value <= 0.05
    assert hits / 2000 <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 2000)
