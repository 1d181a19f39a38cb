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

import dataclasses
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from merit_interp.records import ControlScore
from merit_interp.statistics.clusters import FloatArray
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
    answers = _Answers.of(joined)
    rows: list[dict[str, str | int | float]] = []
    for (item_set, control), places in _groups(joined, ["item_set", "video_control"]):
        for skill, category, cell in _cells(joined, places):
            models = {str(m): where for (m,), where in _groups(joined, ["model"], cell)}
            vlm = answers.at(models.get(VLM, _NO_PLACES))
            for model in in_listing_order(models):
                row = _measures(answers.at(models[model]), None if model == VLM else vlm, seed)
                row |= {
                    "item_set": item_set, "video_control": control, "model": model,
                    "measure": MEASURES.get(control, "drop"), "skill": skill, "category": category,
                }  # fmt: skip
                rows.append(row)
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
    joined = joined.sort_values("item_set", key=lambda names: names.map(order), kind="stable")
    return joined.reset_index(drop=True)


Places = NDArray[np.int64]
_NO_PLACES = np.zeros(0, dtype=np.int64)


def _groups(
    rows: pd.DataFrame, keys: list[str], places: Places | None = None
) -> Iterator[tuple[tuple[str, ...], Places]]:
    """Places of the rows that have equal keys, in the order in which the keys come."""
    part = rows[keys] if places is None else rows[keys].iloc[places]
    for key, group in part.groupby(keys, sort=False):
        yield tuple(map(str, key)), group.index.to_numpy()


def _cells(rows: pd.DataFrame, places: Places) -> Iterator[tuple[str, str, Places]]:
    """(skill, category, places) in reading order; all categories of a skill first."""
    by_skill = {skill: where for (skill,), where in _groups(rows, ["skill"], places)}
    for skill in [name for name in SKILLS if name in by_skill]:
        yield skill, ALL, by_skill[skill]
        categories = {key: where for (key,), where in _groups(rows, ["category"], by_skill[skill])}
        for category in sorted(set(categories) - {ALL}):
            yield skill, category, categories[category]


@dataclass(frozen=True, eq=False)
class _Answers:
    """What a model did with items under a control and on the video; NaN where there is nothing."""

    item: Places
    video: Places
    is_not_applicable: NDArray[np.bool_]
    chance: FloatArray
    right: FloatArray
    right_on_video: FloatArray
    margin_drop: FloatArray

    @classmethod
    def of(cls, joined: pd.DataFrame) -> _Answers:
        numbers = {
            name: joined[name].to_numpy(dtype=np.float64)
            for name in ("correct", "video_correct", "margin_nats", "video_margin_nats")
        }
        return cls(
            item=pd.factorize(joined["item"])[0].astype(np.int64),
            video=pd.factorize(joined["group"])[0].astype(np.int64),
            is_not_applicable=(joined["status"] == "not_applicable").to_numpy(),
            chance=1 / joined["n_options"].to_numpy(dtype=np.float64, na_value=math.nan),
            right=numbers["correct"],
            right_on_video=numbers["video_correct"],
            margin_drop=numbers["video_margin_nats"] - numbers["margin_nats"],
        )

    def at(self, places: Places | NDArray[np.bool_]) -> _Answers:
        return _Answers(**{f.name: getattr(self, f.name)[places] for f in dataclasses.fields(self)})

    @property
    def both(self) -> _Answers:
        """Those that the model answered under the control and on the video."""
        return self.at(~np.isnan(self.right) & ~np.isnan(self.right_on_video))


def _measures(own: _Answers, vlm: _Answers | None, seed: int) -> dict[str, str | int | float]:
    """The numbers of one row."""
    both, n_not_applicable = own.both, int(own.is_not_applicable.sum())
    above = clustered_mean(both.right - both.chance, both.video, seed=seed, bounds=(-1.0, 1.0))
    drop = paired_difference(
        both.right_on_video, both.right, both.video, bounds=(-1.0, 1.0), seed=seed
    )
    margins = both.at(~np.isnan(both.margin_drop))
    row: dict[str, str | int | float] = {
        "n_items": len(both.item),
        "n_videos": len(np.unique(both.video)),
        "n_failed": len(own.item) - len(both.item) - n_not_applicable,
        "n_not_applicable": n_not_applicable,
        "chance": float(both.chance.mean()) if len(both.item) else math.nan,
        **_ends("video_accuracy", clustered_share(both.right_on_video, both.video)),
        **_ends("accuracy", clustered_share(both.right, both.video)),
        **_ends("above_chance", above),
        **_tested("drop", drop),
        **_ends("drop_margin_nats", clustered_mean(margins.margin_drop, margins.video, seed=seed)),
        "n_pairs": 0,
    }
    if vlm is None:
        return row
    change = _change_of_drop(both, vlm.both, seed)
    return row | {"n_pairs": change.interval.n_items, **_tested("delta_drop", change)}


def _change_of_drop(own: _Answers, vlm: _Answers, seed: int) -> PairedDifference:
    """The model's drop less the VLM's, item by item."""
    _, here, there = np.intersect1d(own.item, vlm.item, assume_unique=True, return_indices=True)
    own, vlm = own.at(here), vlm.at(there)
    return paired_difference(
        own.right_on_video - own.right,
        vlm.right_on_video - vlm.right,
        own.video,
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
