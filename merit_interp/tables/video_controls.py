"""Accuracy under each video control, and how far it is below that on the real video.

    table = video_control_table(item_scores(run.scores), control_frame(run.control_scores))
    table.query("video_control == 'black' and category == 'all'")
    visual_dependency(table)

The drop from the video to a control has a name of its own: from `black` it is visual dependency,
from `shuffled` frame-order sensitivity, from `single_frame` the gain of many frames over one. Every
difference is paired by item and clustered by video; items that failed, or of which the control says
nothing, are left out and counted. This file must not know what a control shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from merit_interp.records import ControlScore
from merit_interp.statistics.intervals import Interval, clustered_mean, clustered_share
from merit_interp.statistics.paired import PairedDifference, paired_difference
from merit_interp.tables.item_frames import ITEM_SCORE_COLUMNS, item_scores
from merit_interp.tables.model_names import VLM, in_listing_order
from merit_interp.tables.skills import ALL, SKILLS

BLACK = "black"
MEASURES = {
    BLACK: "visual dependency",
    "shuffled": "frame-order sensitivity",
    "reversed": "direction sensitivity",
    "single_frame": "multi-frame gain",
    "evidence_only": "context dependency",
    "evidence_removed": "evidence dependency",
}
"""What the drop of accuracy from the video to a control is called, in listing order."""

CONTROL_SCORE_COLUMNS = {"video_control": "str", **ITEM_SCORE_COLUMNS}

VIDEO_CONTROL_COLUMNS = {
    "item_set": "str",
    "video_control": "str",
    "measure": "str",
    "model": "str",
    "skill": "str",
    "category": "str",
    "n_items": "int64",
    "n_videos": "int64",
    "n_failed": "int64",
    "n_not_applicable": "int64",
    "chance": "float64",
    "video_accuracy": "float64",
    "video_accuracy_low": "float64",
    "video_accuracy_high": "float64",
    "accuracy": "float64",
    "accuracy_low": "float64",
    "accuracy_high": "float64",
    "above_chance": "float64",
    "above_chance_low": "float64",
    "above_chance_high": "float64",
    "drop": "float64",
    "drop_low": "float64",
    "drop_high": "float64",
    "drop_p": "float64",
    "drop_margin_nats": "float64",
    "drop_margin_nats_low": "float64",
    "drop_margin_nats_high": "float64",
    "n_pairs": "int64",
    "delta_drop": "float64",
    "delta_drop_low": "float64",
    "delta_drop_high": "float64",
    "delta_drop_p": "float64",
}
"""`n_items` items that the model answered on the video and under the control, from `n_videos`
videos; `video_accuracy` and `accuracy` are those on the video and under the control, over the same
items; `above_chance` is `accuracy` less guessing; `drop` is the video's less the control's;
`delta_drop` is the model's drop less the VLM's over the `n_pairs` items of both, missing for the
VLM itself. `_low` and `_high` are ends of 95% intervals, `_p` two-sided p-values."""

_SHOWN = ("item_set", "model", "skill", "category", "n_items", "n_videos", "n_failed", "chance")
DEPENDENCY_COLUMNS = {
    **{name: VIDEO_CONTROL_COLUMNS[name] for name in _SHOWN},
    **{
        f"{name}{end}": "float64"
        for name in ("video_accuracy", "black_accuracy", "black_above_chance")
        for end in ("", "_low", "_high")
    },
    **{
        f"{name}{end}": "float64"
        for name in ("visual_dependency", "delta_visual_dependency")
        for end in ("", "_low", "_high", "_p")
    },
}
"""The rows of `black` with its own names; `delta_` is the model's less the VLM's."""


def control_frame(scores: Iterable[ControlScore]) -> pd.DataFrame:
    """One row for each item that a model was asked under a control.

    Returns:
        A frame with `CONTROL_SCORE_COLUMNS`, control by control in listing order.

    Raises:
        RunError: One model scored one item of one set twice under one control.
    """
    by_control: dict[str, list[ControlScore]] = {}
    for score in scores:
        by_control.setdefault(score.video_control, []).append(score)
    parts = [
        item_scores(by_control[name]).assign(video_control=name)
        for name in sorted(by_control, key=_place)
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return frame.reindex(columns=list(CONTROL_SCORE_COLUMNS)).astype(CONTROL_SCORE_COLUMNS)


def video_control_table(
    video: pd.DataFrame, controls: pd.DataFrame, *, seed: int = 0
) -> pd.DataFrame:
    """One row for each item set, control, model, skill and category; category `all` comes first.

    Args:
        video: Scores on the real video, as `item_scores` returns them.
        controls: As `control_frame` returns it.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `VIDEO_CONTROL_COLUMNS`.
    """
    joined = _joined(video, controls)
    rows: list[dict[str, str | int | float]] = []
    for (item_set, control), part in joined.groupby(["item_set", "video_control"], sort=False):
        for skill, category, cell in _cells(part):
            vlm = cell[cell["model"] == VLM]
            for model in in_listing_order(cell["model"]):
                names: dict[str, str | int | float] = {
                    "item_set": str(item_set), "video_control": str(control),
                    "measure": MEASURES.get(str(control), "drop"),
                    "model": model, "skill": skill, "category": category,
                }  # fmt: skip
                own = cell[cell["model"] == model]
                rows.append(names | _measures(own, None if model == VLM else vlm, seed))
    return pd.DataFrame(rows, columns=list(VIDEO_CONTROL_COLUMNS)).astype(VIDEO_CONTROL_COLUMNS)


def visual_dependency(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the video less accuracy on black frames, and how merging changes that.

    Args:
        table: As `video_control_table` returns it.

    Returns:
        A frame with `DEPENDENCY_COLUMNS`: the rows of the control `black`.
    """
    names = {
        old: new
        for end in ("", "_low", "_high", "_p")
        for old, new in (
            (f"accuracy{end}", f"black_accuracy{end}"),
            (f"above_chance{end}", f"black_above_chance{end}"),
            (f"drop{end}", f"visual_dependency{end}"),
            (f"delta_drop{end}", f"delta_visual_dependency{end}"),
        )
    }
    rows = table[table["video_control"] == BLACK].rename(columns=names)
    return rows[list(DEPENDENCY_COLUMNS)].reset_index(drop=True)


def _place(control: str) -> tuple[int, str]:
    known = list(MEASURES)
    return (known.index(control) if control in known else len(known), control)


def _joined(video: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """Each row under a control with what the same model did with the item on the video."""
    keys = ["item_set", "model", "item"]
    real = video[[*keys, "correct", "margin_nats"]]
    real = real.rename(columns={"correct": "video_correct", "margin_nats": "video_margin_nats"})
    joined = controls.merge(real, on=keys, how="left")
    order = {name: place for place, name in enumerate(dict.fromkeys(controls["item_set"]))}
    return joined.sort_values("item_set", key=lambda names: names.map(order), kind="stable")


def _cells(part: pd.DataFrame) -> Iterable[tuple[str, str, pd.DataFrame]]:
    """(skill, category, rows) in reading order; all categories of a skill first."""
    found = set(part["skill"])
    for skill in [s for s in SKILLS if s in found]:
        rows = part[part["skill"] == skill]
        yield skill, ALL, rows
        for category in sorted(set(rows["category"]) - {ALL}):
            yield skill, category, rows[rows["category"] == category]


def _measures(
    own: pd.DataFrame, vlm: pd.DataFrame | None, seed: int
) -> dict[str, str | int | float]:
    """The numbers of one row."""
    not_applicable = own["status"] == "not_applicable"
    both = own[own["correct"].notna() & own["video_correct"].notna()]
    videos = both["group"].to_numpy()
    right, right_on_video = (both[name].to_numpy() for name in ("correct", "video_correct"))
    chance = 1 / both["n_options"].to_numpy(dtype=np.float64, na_value=math.nan)
    above = clustered_mean(right - chance, videos, seed=seed, bounds=(-1.0, 1.0))
    drop = paired_difference(right_on_video, right, videos, bounds=(-1.0, 1.0), seed=seed)
    margins = both[both["margin_nats"].notna() & both["video_margin_nats"].notna()]
    drop_margin = clustered_mean(
        (margins["video_margin_nats"] - margins["margin_nats"]).to_numpy(),
        margins["group"].to_numpy(),
        seed=seed,
    )
    row: dict[str, str | int | float] = {
        "n_items": len(both),
        "n_videos": len(set(videos)),
        "n_failed": len(own) - len(both) - int(not_applicable.sum()),
        "n_not_applicable": int(not_applicable.sum()),
        "chance": float(chance.mean()) if len(both) else math.nan,
        **_ends("video_accuracy", clustered_share(right_on_video, videos)),
        **_ends("accuracy", clustered_share(right, videos)),
        **_ends("above_chance", above),
        **_tested("drop", drop),
        **_ends("drop_margin_nats", drop_margin),
        "n_pairs": 0,
    }
    if vlm is None:
        return row
    change = _change_of_drop(both, vlm, seed)
    return row | {"n_pairs": change.interval.n_items, **_tested("delta_drop", change)}


def _change_of_drop(both: pd.DataFrame, vlm: pd.DataFrame, seed: int) -> PairedDifference:
    """The model's drop less the VLM's, item by item."""
    there = vlm[vlm["correct"].notna() & vlm["video_correct"].notna()]
    pairs = both.merge(there, on="item", suffixes=("", "_vlm"))
    return paired_difference(
        (pairs["video_correct"] - pairs["correct"]).to_numpy(),
        (pairs["video_correct_vlm"] - pairs["correct_vlm"]).to_numpy(),
        pairs["group"].to_numpy(),
        bounds=(-2.0, 2.0),
        seed=seed,
    )


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: interval.estimate,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def _tested(name: str, difference: PairedDifference) -> dict[str, float]:
    return {**_ends(name, difference.interval), f"{name}_p": difference.p_value}
