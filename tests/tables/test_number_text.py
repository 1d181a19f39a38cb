"""Numbers that people read: their signs, and what has none."""

from __future__ import annotations

import math

import pytest

from merit_interp.tables.number_text import number_ends, number_text, signed_ends, signed_text


@pytest.mark.parametrize(
    ("value", "digits", "signed", "unsigned"),
    [
        (1.25, 1, "+1.2", "1.2"),
        (-1.0, 2, "−1.00", "−1.00"),
        (0.0, 1, "0.0", "0.0"),
        (-0.0, 1, "0.0", "0.0"),
        (-0.011, 1, "0.0", "0.0"),
        (0.049, 1, "0.0", "0.0"),
        (0.05001, 1, "+0.1", "0.1"),
        (-0.4, 0, "0", "0"),
        (-12.0, 0, "−12", "−12"),
        (math.nan, 1, "–", "–"),
        (-math.inf, 1, "−inf", "−inf"),
    ],
)
def test_signs(value: float, digits: int, signed: str, unsigned: str) -> None:
    assert signed_text(value, digits) == signed
    assert number_text(value, digits) == unsigned


def test_ends_of_intervals() -> None:
    assert signed_ends(-1.24, 3.0) == "−1.2 to +3.0"
    assert signed_ends(-0.004, 0.5, 2) == "0.00 to +0.50"
    assert number_ends(-0.3, 2.0, 2) == "−0.30 to 2.00"
