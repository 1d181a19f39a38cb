"""What other methods and measures say of merging: each tested, and corrected for their number.

    for found in measured_shifts(table, "validation", "reasoning"): found.label, found.p_holm

One measure through one method is chosen before a run and is its headline; a finding of another is
shown only where Holm's correction over all of them leaves it standing. This file must not know how
they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from merit_interp.statistics.multiplicity import holm
from merit_interp.tables.agreement import side_shown
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_series import METHOD_LABELS
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.number_text import signed_ends, signed_text

HEADLINE = "excess_mass"
"""The measure that a run's first sentence is about."""
MEASURE_LABELS = {
    "excess_mass": "mass",
    "excess_positive_mass": "positive mass",
    "excess_pointing": "pointing game",
    "excess_precision": "average precision",
    "deletion_excess_nats": "deletion of the evidence",
    "insertion_excess_nats": "insertion of the evidence",
}
"""Measures of how much lies on the evidence, in reading order; for each, more is more. Agreement
of two methods is none of them."""
IN_NATS = ("deletion_excess_nats", "insertion_excess_nats")
"""Those that ask the model itself, through no method; the others are shares."""


@dataclass(frozen=True)
class MeasuredShift:
    """Merged against VLM by one measure through one method, on one skill's items."""

    measure: str
    method: str
    is_headline: bool
    difference: float
    """Merged less VLM: a share, or nats."""
    low: float
    """Lower end of the 95% interval, not corrected; NaN where undefined."""
    high: float
    p_value: float
    p_holm: float
    """Corrected over all measures and methods of the skill."""
    n_items: int

    @property
    def side(self) -> int:
        """1 where it is shown to move to the evidence, -1 away from it, 0 where neither is.

        Shown is what the corrected p-value and the interval both say.
        """
        return side_shown(self.low, self.high, self.p_holm) or 0

    @property
    def in_nats(self) -> bool:
        """Whether numbers are nats; else they are shares."""
        return self.measure in IN_NATS

    @property
    def label(self) -> str:
        """Measure and method."""
        name = MEASURE_LABELS[self.measure]
        return name if self.in_nats else f"{name} by {METHOD_LABELS.get(self.method, self.method)}"

    @property
    def text(self) -> str:
        """The difference with its interval."""
        scale, digits, unit = (1, 2, "nats") if self.in_nats else (100, 1, "points")
        text = f"{signed_text(scale * self.difference, digits)} {unit}"
        if math.isnan(self.low):
            return text
        return f"{text}, 95% {signed_ends(scale * self.low, scale * self.high, digits)}"


def measured_shifts(
    table: pd.DataFrame, item_set: str, skill: str, *, method: str
) -> tuple[MeasuredShift, ...]:
    """Every measure through every method, with Holm's correction over all of them.

    Args:
        table: As `shift_table` returns it.
        item_set: Which items.
        skill: Of which skill.
        method: The run's main method.

    Returns:
        The headline first, then by measure and method; without those that no item defines.
    """
    rows = table[
        (table["item_set"] == item_set)
        & (table["skill"] == skill)
        & (table["items"] == "all")
        & (table["condition"] == VIDEO)
        & (table["model"] == MERGED)
        & (table["against"] == VLM)
        & table["metric"].isin(list(MEASURE_LABELS))
        & table["difference_p"].notna()
    ]
    # a measure that goes through no method is the same number beside each
    once = rows["metric"].isin(IN_NATS) & rows.duplicated("metric")
    rows = rows[~once]
    order = {name: place for place, name in enumerate(MEASURE_LABELS)}
    rows = rows.assign(place=rows["metric"].map(order)).sort_values("place", kind="stable")
    corrected = holm(rows["difference_p"].tolist())
    return tuple(
        MeasuredShift(
            measure=str(row["metric"]),
            method=str(row["method"]),
            is_headline=row["metric"] == HEADLINE and row["method"] == method,
            difference=float(row["difference"]),
            low=float(row["difference_low"]),
            high=float(row["difference_high"]),
            p_value=float(row["difference_p"]),
            p_holm=p_holm,
            n_items=int(row["n_pairs"]),
        )
        for (_, row), p_holm in zip(rows.iterrows(), corrected, strict=True)
    )


def others_sentence(shifts: Sequence[MeasuredShift]) -> str:
    """Which other methods and measures show a shift, with their numbers, and of how many.

    Args:
        shifts: As `measured_shifts` returns them.

    Returns:
        One sentence; empty where nothing but the headline was measured.
    """
    others = [shift for shift in shifts if not shift.is_headline]
    if not others:
        return ""
    there, away = ([shift for shift in others if shift.side == side] for side in (1, -1))
    found = f"none of {len(others)} is shown to move either way"
    if there or away:
        verb = "is" if len(there) < 2 else "are"
        found = (
            f"of {len(others)}, {len(there) or 'none'} {verb} shown to move TO the evidence"
            f"{_named(there)}, {len(away) or 'none'} AWAY from it{_named(away)}"
        )
    return f"By other methods and measures: {found}; Holm's correction over all {len(shifts)}."


def _named(shifts: Sequence[MeasuredShift]) -> str:
    """Each with its numbers, in parentheses; empty where there are none."""
    return f" ({'; '.join(f'{shift.label} {shift.text}' for shift in shifts)})" if shifts else ""
