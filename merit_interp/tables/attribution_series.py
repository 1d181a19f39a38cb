"""Which rows of an attribution table are one thing, and what each is held against.

    for series in attribution_series(frame): series.label, series.against

A series is a model under a condition through a method; draws of one kind (random layers, randomised
weights) are one series, each item's mean over them. This file must not know what is measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM

MASKED, MASKED_OTHERS, RANDOMISED = "masked", "masked_others", "randomised"

_MODELS = {
    VLM: "VLM",
    MERGED: "Merged",
    RANDOM_LAYERS: "Random layers",
    MASKED: "Recipe's layers masked",
    MASKED_OTHERS: "Other layers masked",
    RANDOMISED: "Randomised weights",
}
_CONDITIONS = {
    VIDEO: "",
    "shuffled": "frames shuffled",
    "reversed": "frames reversed",
    "black": "black video",
    "single_frame": "one frame everywhere",
    "evidence_only": "all but the evidence black",
    "evidence_removed": "the evidence black",
}
METHOD_LABELS = {
    "ig": "integrated gradients",
    "ig_pixels": "integrated gradients on pixels",
    "gradient": "input x gradient",
    "occlusion": "leave one out",
    "shapley": "Shapley values",
}


@dataclass(frozen=True, order=True)
class Series:
    """A model under a condition through a method."""

    model: str
    condition: str
    method: str

    @property
    def label(self) -> str:
        """What a reader is shown, without the method."""
        condition = _CONDITIONS.get(self.condition, self.condition)
        model = _MODELS.get(self.model, self.model)
        return f"{model}, {condition}" if condition else model


@dataclass(frozen=True)
class Contrast:
    """A series and what it is held against; None where chance is all there is."""

    series: Series
    against: Series | None


def model_kind(name: str) -> str:
    """A model's name without the number of its draw: `random_layers_03` is `random_layers`."""
    return re.sub(r"_\d+$", "", name)


def draws_averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Each item's mean over the draws of one kind; every other row as it is.

    Text columns are those of the first draw; a metric is undefined only where it is in every draw.
    """
    keys = ["item_set", "model", "condition", "method", "item"]
    kinds = frame.assign(model=frame["model"].map(model_kind))
    numbers = [name for name in frame.select_dtypes("number").columns if name not in keys]
    rest = [name for name in frame.columns if name not in (*keys, *numbers)]
    if frame.empty:
        return kinds
    groups = kinds.groupby(keys, sort=False)
    averaged = pd.concat([groups[rest].first(), groups[numbers].mean()], axis=1).reset_index()
    averaged["flagged"] = groups["flagged"].any().to_numpy()
    return averaged[list(frame.columns)]


def contrasts(averaged: pd.DataFrame, method: str) -> tuple[Contrast, ...]:
    """Everything that a table has a row for, in reading order.

    Args:
        averaged: As `draws_averaged` returns it.
        method: The run's main method.
    """
    there = {
        Series(*map(str, key))
        for key in averaged[["model", "condition", "method"]].drop_duplicates().to_numpy()
    }

    def on_video(model: str, by: str = method) -> Series:
        return Series(model, VIDEO, by)

    pairs: list[tuple[Series, Series | None]] = [
        (on_video(VLM), None),
        (on_video(MERGED), on_video(VLM)),
        (on_video(MERGED), on_video(RANDOM_LAYERS)),
        (on_video(RANDOM_LAYERS), on_video(VLM)),
        (on_video(MASKED), on_video(MERGED)),
        (on_video(MASKED), on_video(MASKED_OTHERS)),
        (on_video(MASKED_OTHERS), on_video(MERGED)),
        (on_video(RANDOMISED), on_video(VLM)),
    ]
    for condition in _in_order([s.condition for s in there], list(_CONDITIONS)):
        if condition != VIDEO:
            pairs += [
                (Series(model, condition, method), on_video(model)) for model in (VLM, MERGED)
            ]
    for other in _in_order([s.method for s in there], list(METHOD_LABELS)):
        if other != method:
            pairs += [(on_video(VLM, other), None), (on_video(MERGED, other), on_video(VLM, other))]
    return tuple(
        Contrast(series, against)
        for series, against in pairs
        if series in there and (against is None or against in there)
    )


def _in_order(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """Names once each; those that are not in the order come last."""
    known = {name: place for place, name in enumerate(order)}
    return sorted(dict.fromkeys(names), key=lambda name: (known.get(name, len(known)), name))
