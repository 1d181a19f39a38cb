"""What video controls say in plain words: does a model need the video, did merging change it?

    for line in control_lines(table, frame, "validation"): print(line)

A model that answers as well without the video is said to where its videos are enough to see that,
and so is one that answers better. This file must not know how the lines are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from merit_interp.statistics.intervals import LEVEL, Interval
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.skills import ALL, SKILLS
from merit_interp.tables.verdict import interval_text, p_text
from merit_interp.tables.video_controls import BLACK, MEASURES

_MODELS = {VLM: "the VLM", MERGED: "the merged model"}
WITHOUT = {
    BLACK: "without the video (black frames)",
    "shuffled": "with its frames shuffled",
    "reversed": "with its frames reversed",
    "single_frame": "with one frame everywhere",
    "evidence_only": "with everything but the evidence black",
    "evidence_removed": "with the evidence black",
}
"""What a sentence says of a control."""
_AS_WELL = {
    BLACK: "as well without the video",
    "shuffled": "as well whatever the order of the frames",
    "reversed": "as well backwards",
    "single_frame": "as well from one frame",
    "evidence_only": "as well from the evidence alone",
    "evidence_removed": "as well without the evidence",
}
_BETTER = {name: words.replace("as well", "better") for name, words in _AS_WELL.items()}
_BETTER["shuffled"] = "better with the frames shuffled"

Row = dict[str, Any]


def control_lines(table: pd.DataFrame, frame: pd.DataFrame, item_set: str) -> tuple[str, ...]:
    """What all controls of one item set say: the lines of `control_words`, one after another."""
    words = control_words(table, frame, item_set)
    return tuple(line for lines in words.values() for line in lines)


def control_words(
    table: pd.DataFrame, frame: pd.DataFrame, item_set: str
) -> dict[str, tuple[str, ...]]:
    """What each control of one item set says, a sentence or two a line.

    Args:
        table: As `video_control_table` returns it.
        frame: As `control_frame` returns it.
        item_set: Name of the item set.
    """
    mine = table[(table["item_set"] == item_set) & (table["category"] == ALL)]
    shown = frame[frame["item_set"] == item_set]
    words = {}
    for control in dict.fromkeys(mine["video_control"]):
        rows = {
            (str(row["skill"]), str(row["model"])): {str(k): v for k, v in row.items()}
            for row in mine[mine["video_control"] == control].to_dict("records")
        }
        left_out = _left_out(str(control), shown[shown["video_control"] == control])
        lines = [*_lines_of(str(control), rows), left_out]
        words[str(control)] = tuple(line for line in lines if line)
    return words


def _lines_of(control: str, rows: dict[tuple[str, str], Row]) -> Iterator[str]:
    for skill in SKILLS:
        for model, name in _MODELS.items():
            row = rows.get((skill, model))
            if row is None or not row["n_items"]:
                continue
            yield _level(control, skill, name, row)
            if model == MERGED and row["n_pairs"]:
                yield _change(control, skill, row)


def _level(control: str, skill: str, model: str, row: Row) -> str:
    """One model on the video and under a control."""
    drop = _interval(row, "drop")
    shown, measure = WITHOUT.get(control, control), MEASURES.get(control, "drop")
    text = (
        f"{skill.capitalize()}, {model}: {100 * row['accuracy']:.1f}% right {shown}, "
        f"{100 * row['video_accuracy']:.1f}% on the video as it is; "
        f"{measure} {interval_text(drop)}, {p_text(row['drop_p'])}."
    )
    # one video has no interval, and says neither
    if drop.is_above(0.0) or not drop.is_defined:
        return text
    if drop.is_below(0.0):
        return f"{text} It answers {skill} questions {_BETTER.get(control, 'better')}."
    as_well = f"answers {skill} questions {_AS_WELL.get(control, 'as well')}"
    if (drop.high - drop.low) / 2 > MARGIN:
        says = f"{row['n_videos']} videos are too few to say whether it {as_well}."
    elif abs(drop.estimate) < NEARLY_NONE:
        says = f"It {as_well}."
    else:
        says = f"It {as_well}, as far as this many videos can tell."
    return f"{text} {says}{_above_chance(control, row)}"


MARGIN = 0.1
"""Half-width of an interval, 10 points: around a wider one nothing is said to make no difference,
even where none was seen."""
NEARLY_NONE = 0.005
"""Half a point: a smaller drop needs no word on how many videos it was seen on."""


def _above_chance(control: str, row: Row) -> str:
    """What answers without a video are worth, where they are more than guesses."""
    above = _interval(row, "above_chance")
    if control != BLACK or not above.is_above(0.0):
        return ""
    return (
        f" Without it, answers are {interval_text(above)} above chance: the text gives them away."
    )


def _change(control: str, skill: str, row: Row) -> str:
    """What merging does to the drop."""
    change = _interval(row, "delta_drop")
    measure = MEASURES.get(control, "drop")
    text = (
        f"{skill.capitalize()}: merging changes {measure} by {interval_text(change)}, "
        f"{p_text(row['delta_drop_p'])}"
    )
    if change.is_above(0.0):
        return f"{text}: more than the VLM's."
    if change.is_below(0.0):
        return f"{text}: less than the VLM's."
    if not change.is_defined:
        return f"{text}."
    return f"{text}: not beyond its interval."


def _left_out(control: str, rows: pd.DataFrame) -> str:
    """How many questions a control says nothing of, and why."""
    items = rows.drop_duplicates("item")
    left_out = items[items["status"] == "not_applicable"]
    if left_out.empty:
        return ""
    reasons = left_out["reason"].value_counts()
    why = "; ".join(f"{count}: {reason}" for reason, count in reasons.items())
    return f"{control} does not apply to {len(left_out)} of {len(items)} questions ({why})."


def _interval(row: Row, name: str) -> Interval:
    ends = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    method = "undefined: too few videos" if math.isnan(ends[0]) else "as tabulated"
    return Interval(
        float(row[name]), *ends, int(row["n_items"]), int(row["n_videos"]), LEVEL, method
    )
