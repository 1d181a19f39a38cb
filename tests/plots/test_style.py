from __future__ import annotations

import math

from merit_interp.plots.style import interval_bars, skills_in_order


def test_skills_stand_in_one_order_however_they_are_found() -> None:
    assert skills_in_order(["other", "perception", "other"]) == ("perception", "other")
    assert skills_in_order([]) == ()


def test_bars_are_distances_in_units_of_the_axis() -> None:
    bars = interval_bars([(0.5, 0.25, 0.625), (1.0, math.nan, math.nan)], "#000000", scale=100.0)
    assert bars["array"] == [12.5, 0.0]
    assert bars["arrayminus"] == [25.0, 0.0]
    assert interval_bars([(2.0, 1.5, 4.0)], "#000000")["array"] == [2.0]
