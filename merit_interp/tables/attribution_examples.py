"""Which items a reader is shown: typical ones of each kind, chosen by a rule and never by hand.

    for example in example_items(frame, "validation", method="ig"): example.item, example.kind

The rule: of the items with defined evidence, for each thing that merging did to an answer (turned
right, broken, kept right, kept wrong) those whose shift of attribution to the evidence is nearest
to the median shift of that kind; reasoning items first. This file must not know how items are
drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.model_names import MERGED, VLM

KINDS = {
    "right": "turned from wrong to right",
    "broken": "turned from right to wrong",
    "kept_right": "right before and after",
    "kept_wrong": "wrong before and after",
}
"""What merging did to an answer, in the order in which examples are shown."""


@dataclass(frozen=True)
class Example:
    """One item to show."""

    item: str
    skill: str
    kind: str
    """One of `KINDS`."""
    shift: float
    """Mass in evidence, merged less VLM: a share."""


def example_items(
    frame: pd.DataFrame, item_set: str, *, method: str, each: int = 2
) -> tuple[Example, ...]:
    """Typical items of each kind.

    Args:
        frame: As `attribution_frame` returns it.
        item_set: Name of the item set.
        method: The run's main method.
        each: Items of each kind, reasoning and perception together.
    """
    rows = frame[
        (frame["item_set"] == item_set)
        & (frame["condition"] == VIDEO)
        & (frame["method"] == method)
        & frame["model"].isin([VLM, MERGED])
    ]
    keys = ["item", "skill", "turned"]
    wide = rows.pivot_table(index=keys, columns="model", values="mass", sort=False).dropna()
    if wide.empty or len(wide.columns) < 2:
        return ()
    shifts = (wide[MERGED] - wide[VLM]).rename("shift").reset_index()
    examples: list[Example] = []
    for kind in KINDS:
        own = shifts[shifts["turned"] == kind]
        distance = (own["shift"] - own["shift"].median()).abs()
        nearest = own.assign(distance=distance, later=own["skill"] != "reasoning")
        nearest = nearest.sort_values(["later", "distance", "item"]).head(each)
        examples += [
            Example(str(item), str(skill), kind, float(shift))
            for item, skill, shift in zip(
                nearest["item"], nearest["skill"], nearest["shift"], strict=True
            )
        ]
    return tuple(examples)
