"""Paired tests keep their false-positive rate and agree with scipy's where it has the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from merit_interp.statistics.multiplicity import holm
from merit_interp.statistics.paired import paired_difference


def test_single_items_equal_scipys_permutation_test() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(0.5, size=11), generator.normal(size=11)
    ours = paired_difference(a, b, np.arange(11))
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples",
        n_resamples=np.inf,
    )  # fmt: skip
    assert ours.method == "sign flips, all"
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.estimate == pytest.approx(np.mean(a - b))


def test_random_signs_come_close_to_all_signs() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.4, size=13), generator.normal(size=13)
    everything = paired_difference(a, b, np.arange(13))
    some = paired_difference(a, b, np.arange(13), resamples=8000)
    assert "random" in some.method
    error = np.sqrt(everything.p_value * (1 - everything.p_value) / 8000)
    assert abs(some.p_value - everything.p_value) < 4 * error + 1 / 8000


def test_right_or_wrong_on_single_items_is_mcnemars_test() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.random(60) < 0.75, generator.random(60) < 0.65
    ours = paired_difference(a, b, np.arange(60), resamples=20_000)
    gained, lost = int((a & ~b).sum()), int((b & ~a).sum())
    assert ours.p_value == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, abs=0.02)
    assert ours.estimate == pytest.approx((gained - lost) / 60)


@pytest.mark.parametrize("clusters", [8, 40])
def test_chance_alone_is_called_a_difference_as_often_as_promised(clusters: int) -> None:
    generator = np.random.default_rng(clusters)
    trials, found = 400, 0
    for _ in range(trials):
        names = np.repeat(np.arange(clusters), 1 + generator.poisson(3, clusters))
        both = generator.normal(size=clusters)[names]
        # models differ by video, not only by item: a test over items would find far too much
        a = both + generator.normal(size=clusters)[names]
        b = both + generator.normal(size=clusters)[names]
        found += paired_difference(a, b, names, resamples=999).p_value <= 0.05
    assert found <= stats.binom.ppf(0.999, trials, 0.05)
    assert found >= stats.binom.ppf(0.001, trials, 0.02)


def test_a_real_difference_is_found() -> None:
    generator = np.random.default_rng(3)
    names = np.repeat(np.arange(60), 4)
    a, b = generator.random(240) < 0.7, generator.random(240) < 0.4
    result = paired_difference(a, b, names, bounds=(-1.0, 1.0))
    assert result.interval.is_above(0.0)
    assert result.p_value == pytest.approx(1 / 10_001)


def test_equal_models_have_no_difference_and_p_one() -> None:
    names = [str(i) for i in range(20)]
    result = paired_difference([1, 0] * 10, [1, 0] * 10, names, bounds=(-1.0, 1.0))
    assert result.estimate == 0.0
    assert result.p_value == 1.0
    assert result.interval.low < 0 < result.interval.high


def test_no_items_and_uneven_lists() -> None:
    assert np.isnan(paired_difference([], [], []).p_value)
    with pytest.raises(ValueError, match="paired"):
        paired_difference([1.0], [1.0, 2.0], ["a", "b"])


def test_holm_by_hand_and_against_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([]) == ()
    assert holm([0.6, 0.9]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="undefined"):
        holm([float("nan")])


def test_holm_keeps_the_familys_error_rate() -> None:
    generator = np.random.default_rng(4)
    families = 1000
    wrong = sum(min(holm(generator.random(10).tolist())) <= 0.05 for _ in range(families))
    assert wrong <= stats.binom.ppf(0.999, families, 0.05)
