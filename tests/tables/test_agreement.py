"""A difference is shown where interval and sign-flip test agree, and only there."""

from __future__ import annotations

from math import nan

import pytest

from merit_interp.statistics.intervals import Interval
from merit_interp.statistics.paired import PairedDifference
from merit_interp.tables.agreement import (
    ABOVE,
    BELOW,
    FEWEST_VIDEOS,
    P_SHOWN,
    Evidence,
    side_shown,
)


def evidence(low: float, high: float, p: float, *, videos: int = 40, apart: int = 20) -> Evidence:
    interval = Interval((low + high) / 2, low, high, videos, videos, 0.95, "made up")
    return Evidence(PairedDifference(interval, p, "made up"), apart)


@pytest.mark.parametrize(
    ("low", "high", "p", "above", "below"),
    [
        (0.01, 0.09, 0.01, True, False),
        (-0.09, -0.01, 0.01, False, True),
        (-0.09, 0.05, 0.40, False, False),
        (0.01, 0.09, 0.06, None, False),
        (-0.01, 0.09, 0.04, None, False),
        (-0.09, -0.01, 0.06, False, None),
        (0.00, 0.09, 0.05, None, False),
    ],
)
def test_both_must_say_so(
    low: float, high: float, p: float, above: bool | None, below: bool | None
) -> None:
    found = evidence(low, high, p)
    assert found.shows(ABOVE) is above
    assert found.shows(BELOW) is below
    assert side_shown(low, high, p) == (ABOVE if above else BELOW if below else None)


def test_why_names_what_disagrees() -> None:
    assert evidence(0.01, 0.09, 0.06).why_open(ABOVE) == "the interval says so, the test does not"
    assert evidence(-0.01, 0.09, 0.04).why_open(ABOVE) == "the test says so, the interval does not"
    four = evidence(-0.04, -0.01, 0.125, apart=4)
    assert four.why_open(BELOW) == "only 4 videos differ, too few for the test"
    one = evidence(-0.04, -0.01, 1.0, apart=1)
    assert one.why_open(BELOW) == "only 1 video differs, too few for the test"


def test_too_few_videos_settle_nothing_either_way() -> None:
    few = evidence(0.4, 0.9, 0.0625, videos=5, apart=5)
    assert (few.shows(ABOVE), few.shows(BELOW)) == (None, None)
    assert few.why_open(ABOVE) == "only 5 videos, too few for the test"
    alone = evidence(nan, nan, 1.0, videos=1, apart=1)
    assert (alone.shows(ABOVE), alone.shows(BELOW)) == (None, None)
    assert alone.why_open(BELOW) == "only 1 video, too few for the test"


def test_the_fewest_videos_are_those_of_which_a_pattern_can_be_rare() -> None:
    assert 2 / 2**FEWEST_VIDEOS <= P_SHOWN < 2 / 2 ** (FEWEST_VIDEOS - 1)


def test_a_missing_number_shows_nothing() -> None:
    assert side_shown(nan, nan, 0.001) is None
    assert side_shown(0.1, 0.2, nan) is None
