"""Numbers as a reader is shown them; the filters of the templates.

    percent(0.683)             # "68.3"
    ends(0.6, 0.75)            # "60.0 to 75.0"

Missing numbers are a dash. This file must not know where a number stands.
"""

from __future__ import annotations

import math

from merit_interp.tables.agreement import ABOVE, BELOW, side_shown
from merit_interp.tables.verdict import p_text, points

MISSING = "–"


def percent(share: float) -> str:
    """A share in percent, without the sign of percent."""
    return MISSING if math.isnan(share) else f"{100 * share:.1f}"


def ends(low: float, high: float) -> str:
    """Interval of a share, in percent."""
    return "no interval" if math.isnan(low) else f"{percent(low)} to {percent(high)}"


def change(share: float) -> str:
    """A difference of shares in points, with its sign."""
    return MISSING if math.isnan(share) else points(share)


def change_ends(low: float, high: float) -> str:
    """Interval of a difference, in points."""
    return "no interval" if math.isnan(low) else f"{points(low)} to {points(high)}"


def direction(low: float, high: float, p: float) -> str:
    """Which side of zero a difference is shown to lie on: `▲`, `▼`, or nothing where it is not.

    As in a verdict, interval and test must agree.
    """
    return {ABOVE: "▲", BELOW: "▼", None: ""}[side_shown(low, high, p)]


def probability(p: float) -> str:
    """A p-value."""
    return "" if math.isnan(p) else p_text(p)


def spaced(name: str) -> str:
    """A name from a file as words: `longer_clips` is `longer clips`."""
    return name.replace("_", " ")
