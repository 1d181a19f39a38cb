"""What moved and by how much, in three lines.

    for line in shift_lines(table, frame, "validation"): print(line)

The first two are the claim itself, reasoning and perception apart, against the VLM and against
random layers, with what other methods and measures show; the third says whether to believe it:
completeness, and what randomised weights do.
This file must not know how lines are shown.
"""

from __future__ import annotations

import math

import pandas as pd

from merit_interp.tables.agreement import ABOVE, BELOW, side_shown
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_measures import HEADLINE, measured_shifts, others_sentence
from merit_interp.tables.attribution_series import RANDOMISED
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM
from merit_interp.tables.number_text import number_text, signed_ends, signed_text

RANKING, DELETION = "excess_precision", "deletion_excess_nats"
"""How early the evidence ranks, and what losing it costs."""
COMPLETE = 0.01
"""Completeness error that counts as none."""


def shift_lines(table: pd.DataFrame, frame: pd.DataFrame, item_set: str) -> tuple[str, str, str]:
    """The verdict on one item set.

    Args:
        table: As `shift_table` returns it.
        frame: As `attribution_frame` returns it, for the completeness of the main method.
        item_set: Which items.
    """
    own = frame[frame["item_set"] == item_set]
    method = str(own["method"].iloc[0]) if len(own) else ""
    rows = table[
        (table["item_set"] == item_set)
        & (table["items"] == "all")
        & (table["condition"] == VIDEO)
        & (table["method"] == method)
    ]
    reasoning, perception = (
        " ".join(
            filter(None, (
                _skill_line(rows, skill),
                others_sentence(measured_shifts(table, item_set, skill, method=method)),
            ))
        )
        for skill in ("reasoning", "perception")
    )  # fmt: skip
    return reasoning, perception, _quality_line(rows[rows["metric"] == HEADLINE], own, method)


def _skill_line(rows: pd.DataFrame, skill: str) -> str:
    own, ranks, deletion = (
        rows[(rows["skill"] == skill) & (rows["metric"] == metric)]
        for metric in (HEADLINE, RANKING, DELETION)
    )
    vlm, merged = _one(own, VLM, "chance"), _one(own, MERGED, VLM)
    if vlm is None or merged is None or not merged["n_pairs"]:
        return f"{skill.capitalize()}: not known, no items with evidence among them."
    chance = vlm["chance_share"]
    text = (
        f"{skill.capitalize()}: the evidence holds {_percent(chance + vlm['mean'])} of attribution "
        f"in the VLM and {_percent(chance + merged['mean'])} in the merged model (chance "
        f"{_percent(chance)}); {_moved(merged)} on {merged['n_pairs']} items"
    )
    random = _one(own, MERGED, RANDOM_LAYERS)
    if random is not None and random["n_pairs"]:
        text += f"; against random layers {_points(random)}"
    precision = _one(ranks, MERGED, VLM)
    if precision is not None and precision["n_pairs"]:
        text += f"; average precision of the evidence {_points(precision)}"
    cost = _one(deletion, MERGED, VLM)
    if cost is not None and cost["n_pairs"]:
        text += (
            "; without the evidence the right option loses "
            f"{number_text(cost['mean'], 2)} nats more than without other frames (VLM "
            f"{number_text(cost['mean'] - cost['difference'], 2)})"
        )
    return f"{text}."


def _moved(row: pd.Series) -> str:
    side = side_shown(row["difference_low"], row["difference_high"], row["difference_p"])
    word = {
        ABOVE: "it moved TO the evidence", BELOW: "it moved AWAY from the evidence",
    }.get(side or 0, "no clear shift")  # fmt: skip
    # items that all moved alike have no spread to measure a size by
    known = math.isfinite(row["effect_size"])
    size = f", d = {number_text(row['effect_size'], 2)}" if known else ""
    return f"{word}, {_points(row)}{size}"


def _quality_line(rows: pd.DataFrame, frame: pd.DataFrame, method: str) -> str:
    """Of the headline's rows alone: an item is left out once, not once a method."""
    parts = []
    main = frame[(frame["method"] == method) & (frame["status"] == "ok")]
    if len(main):
        complete = int((main["completeness_error"] <= COMPLETE).sum())
        flagged = int(main["flagged"].sum())
        parts.append(
            f"completeness error at most 1% in {complete} of {len(main)} attributions, "
            f"{flagged} flagged"
        )
    pooled = rows[(rows["model"] == RANDOMISED)]
    for _, row in pooled.iterrows():
        if math.isnan(row["mean_low"]):
            continue
        held = row["mean_low"] <= 0 <= row["mean_high"]
        parts.append(
            f"randomised weights are {'at' if held else 'NOT at'} chance on {row['skill']} "
            f"({_signed(row['mean'])} points, {_ends(row, 'mean')})"
        )
    undefined = rows[(rows["model"] == MERGED) & (rows["against"] == VLM)]["n_undefined"].sum()
    if undefined:
        noun = "item" if undefined == 1 else "items"
        verb = "is" if undefined == 1 else "are"
        parts.append(f"{undefined} {noun} without defined evidence {verb} left out")
    text = "; ".join(parts) or "nothing was attributed"
    return f"Checks: {text}."


def _one(rows: pd.DataFrame, model: str, against: str) -> pd.Series | None:
    found = rows[(rows["model"] == model) & (rows["against"] == against)]
    return None if found.empty else found.iloc[0]


def _points(row: pd.Series) -> str:
    return f"{_signed(row['difference'])} points ({_ends(row, 'difference')})"


def _ends(row: pd.Series, name: str) -> str:
    if math.isnan(row[f"{name}_low"]):
        return "interval undefined"
    return f"95% {signed_ends(100 * row[f'{name}_low'], 100 * row[f'{name}_high'])}"


def _signed(share: float) -> str:
    return signed_text(100 * share)


def _percent(share: float) -> str:
    return f"{number_text(100 * share)}%"
