from __future__ import annotations

import math

import numpy as np
import pytest

from merit_interp.statistics.layered_correlation import layered_correlation


def test_exchanges_are_drawn_where_there_are_too_many() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=12), generator.normal(size=12)
    layers = [0] * 6 + [1] * 6
    every = layered_correlation(x, y, layers, resamples=720)
    assert every.method == "all exchanges"
    drawn = layered_correlation(x, y, layers, resamples=719, seed=3)
    assert drawn.method == "719 random exchanges"
    assert drawn.p_value == pytest.approx(every.p_value, abs=0.06)
    assert layered_correlation(x, y, layers, resamples=719, seed=3) == drawn
    one = layered_correlation(x, y, [0] * 12)
    assert one.by_layers == pytest.approx(0)
    # heads that have their layer for themselves cannot be exchanged
    assert layered_correlation(x, y, range(12)).p_value == 1
    assert math.isnan(layered_correlation(x, [1.0] * 12, layers).p_value)
