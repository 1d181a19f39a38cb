"""Numbers as people read them: a minus as wide as a plus, and no sign for what rounds to zero.

    signed_text(-0.4)            # "−0.4"
    signed_text(0.011)           # "0.0"
    signed_ends(-1.2, 3.4)       # "−1.2 to +3.4"
    number_text(-0.004, 2)       # "0.00"

What is missing is a dash. Every figure, table and sentence writes its numbers with these, so that
one number reads the same everywhere. This file must not know what a number counts.
"""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
MISSING = "\N{EN DASH}"


def signed_text(value: float, digits: int = 1) -> str:
    """A number with its sign, plus or minus: a difference, a score, a correlation.

    Args:
        value: The number; NaN where there is none.
        digits: Digits after the point.
    """
    return _text(value, f"{value:+.{digits}f}")


def number_text(value: float, digits: int = 1) -> str:
    """A number without a plus: a share, a cost, a level; still with a minus below zero.

    Args:
        value: The number; NaN where there is none.
        digits: Digits after the point.
    """
    return _text(value, f"{value:.{digits}f}")


def signed_ends(low: float, high: float, digits: int = 1) -> str:
    """The ends of an interval of signed numbers."""
    return f"{signed_text(low, digits)} to {signed_text(high, digits)}"


def number_ends(low: float, high: float, digits: int = 1) -> str:
    """The ends of an interval of numbers without a plus."""
    return f"{number_text(low, digits)} to {number_text(high, digits)}"


def _text(value: float, text: str) -> str:
    if math.isnan(value):
        return MISSING
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)
