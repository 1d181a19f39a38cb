"""One set against others of its size.

    set_test(chosen=1.3, others=[0.2, 0.9, 1.5]).p_value     # 0.5: one of three others is as large

This file must not know what the sets are of, or what was measured on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from merit_interp.statistics.clusters import Numbers


@dataclass(frozen=True)
class SetTest:
    """Whether one set's number is larger than those of the other sets, one-sided."""

    estimate: float
    """The set's number minus the others' mean; NaN where there are no others."""
    p_value: float
    """Share of all sets, this one among them, whose number is at least as large; NaN if alone."""
    rank: int
    """1 where no other set has a larger number; ties share the lower rank."""
    n_others: int

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many sets can give."""
        return 1 / (1 + self.n_others)


def set_test(chosen: float, others: Numbers) -> SetTest:
    """Hold one set's number against those of other sets, all or drawn at random.

    Under the null hypothesis the set could have been any of them. Equal numbers count against it.

    Args:
        chosen: The set's number.
        others: (sets,) the other sets' numbers, without its own.
    """
    numbers = np.asarray(others, dtype=np.float64)
    if not numbers.size:
        return SetTest(math.nan, math.nan, 1, 0)
    # numbers that are equal but for rounding count as equal
    slack = 1e-9 * max(1.0, abs(chosen), float(np.abs(numbers).max()))
    as_large = int((numbers >= chosen - slack).sum())
    return SetTest(
        estimate=float(chosen - numbers.mean()),
        p_value=(1 + as_large) / (1 + numbers.size),
        rank=1 + as_large,
        n_others=numbers.size,
    )
