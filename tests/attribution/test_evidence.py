from __future__ import annotations

import math

import numpy as np
import pytest

from merit_interp.attribution.evidence import evidence_metrics, expected_precision


def test_metrics_by_hand() -> None:
    found = evidence_metrics([0.5, -0.2, 0.3, 0.0], [True, False, False, True])
    assert found.share == 0.5
    assert found.mass == pytest.approx(0.5 / 1.0)
    assert found.positive_mass == pytest.approx(0.5 / 0.8)
    assert found.pointing == 1.0
    # ranked 0.5 (hit), 0.3, 0.0 (hit), -0.2
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found.excess_mass == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("scores", "flags"),
    [
        ([1.0, 2.0], [False, False]),  # no sampled frame in the span
        ([1.0, 2.0], [True, True]),  # nothing but evidence
        ([0.0, 0.0], [True, False]),  # nothing decides
        ([], []),
    ],
)
def test_what_the_data_do_not_define_is_nan_and_not_zero(
    scores: list[float], flags: list[bool]
) -> None:
    found = evidence_metrics(scores, flags)
    for value in (found.mass, found.positive_mass, found.pointing, found.average_precision):
        assert math.isnan(value)
    assert math.isnan(found.excess_mass)


def test_positive_mass_is_undefined_where_nothing_speaks_for_the_answer() -> None:
    found = evidence_metrics([-1.0, -3.0], [True, False])
    assert found.mass == 0.25
    assert math.isnan(found.positive_mass)


def test_ties_are_no_luck() -> None:
    found = evidence_metrics([1.0, 1.0, 0.5], [True, False, False])
    assert found.pointing == 0.5
    assert found.average_precision == pytest.approx((1 + 1 / 2) / 2)


@pytest.mark.parametrize(("hits", "units"), [(1, 8), (3, 5), (2, 2), (1, 1)])
def test_chance_precision_is_the_mean_over_random_orders(hits: int, units: int) -> None:
    generator = np.random.default_rng(0)
    flags = [True] * hits + [False] * (units - hits)
    drawn = []
    for _ in range(4000):
        ranks = np.flatnonzero(generator.permutation(flags)) + 1
        drawn.append((np.arange(1, hits + 1) / ranks).mean())
    assert expected_precision(hits, units) == pytest.approx(float(np.mean(drawn)), abs=0.02)


def test_random_scores_are_at_chance() -> None:
    generator = np.random.default_rng(1)
    flags = [True, False, False, False, True, False]
    found = [evidence_metrics(generator.normal(size=6).tolist(), flags) for _ in range(3000)]
    for name in ("excess_mass", "excess_positive_mass", "excess_pointing", "excess_precision"):
        values = [getattr(one, name) for one in found]
        assert abs(np.nanmean(values)) < 0.02, name
