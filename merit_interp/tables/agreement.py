"""Which way a difference goes, where its interval and its sign-flip test agree on it.

    found = Evidence(difference, n_apart)
    found.shows(ABOVE)         # True, False, or None where the two disagree
    found.why_open(ABOVE)      # "only 4 videos differ, too few for the test"

An interval and a test are built differently, and on few videos one of them says what the other does
not. Nothing is claimed then. This file must not know what was compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from merit_interp.statistics.paired import PairedDifference

ABOVE, BELOW = 1, -1
"""The sides of zero."""
P_SHOWN = 0.05
"""The greatest two-sided p-value that shows a difference."""
FEWEST_VIDEOS = 6
"""Of fewer videos that differ no pattern of signs is rare enough: 2 in 2^5 is 0.0625."""


def side_shown(low: float, high: float, p: float) -> int | None:
    """`ABOVE` or `BELOW` where interval and test agree on that side of zero, else None.

    Args:
        low: Lower end of the interval; NaN where there is none.
        high: Upper end.
        p: Two-sided p-value; NaN where there is none.
    """
    if not p <= P_SHOWN:
        return None
    return ABOVE if low > 0 else BELOW if high < 0 else None


@dataclass(frozen=True)
class Evidence:
    """What interval and test say of one paired difference."""

    difference: PairedDifference
    n_apart: int
    """Videos on which the two models' totals differ: all that the test goes by."""

    def shows(self, side: int) -> bool | None:
        """Whether the difference lies on this side of zero.

        Returns:
            True where interval and test say so, False where neither does; None where one says so
            alone, and where there are too few videos for the test to say anything.
        """
        interval, test = self.interval_says(side), self.test_says(side)
        if interval != test or self._is_mute:
            return None
        return interval

    def interval_says(self, side: int) -> bool:
        """Whether the whole interval lies on this side of zero."""
        interval = self.difference.interval
        return interval.is_above(0.0) if side == ABOVE else interval.is_below(0.0)

    def test_says(self, side: int) -> bool:
        """Whether the sign-flip test finds the difference on this side of zero."""
        return self.difference.p_value <= P_SHOWN and self.difference.estimate * side > 0

    def why_open(self, side: int) -> str:
        """Why `shows` is None, as a clause; `so` is what is asked."""
        if self._is_mute:
            count = self.difference.interval.n_clusters
            return f"only {count} video{'s' * (count != 1)}, too few for the test"
        if self.interval_says(side) and self.n_apart < FEWEST_VIDEOS:
            differ = "s differ" if self.n_apart != 1 else " differs"
            return f"only {self.n_apart} video{differ}, too few for the test"
        if self.interval_says(side):
            return "the interval says so, the test does not"
        return "the test says so, the interval does not"

    @property
    def _is_mute(self) -> bool:
        return self.difference.interval.n_clusters < FEWEST_VIDEOS
