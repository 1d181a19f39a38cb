"""Does merging move attribution to the evidence? Means with intervals, differences paired by item.

    table = shift_table(frame)
    table.query("model == 'merged' and against == 'vlm' and metric == 'excess_mass'")

Intervals are clustered by video. Controls, randomised weights, masked models and agreement between
methods are rows of the same table. An item for which a metric is undefined is left out of it and
counted. This file must not know how attributions are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merit_interp.statistics.intervals import clustered_mean
from merit_interp.statistics.paired import PairedDifference, paired_difference
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_series import Contrast, Series, contrasts, draws_averaged
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM

METRICS = {
    "excess_mass": (-1.0, 1.0),
    "excess_positive_mass": (-1.0, 1.0),
    "excess_pointing": (-1.0, 1.0),
    "excess_precision": (-1.0, 1.0),
    "deletion_excess_nats": None,
    "insertion_excess_nats": None,
    "agreement": (-1.0, 1.0),
}
"""Every metric, the headline first, with its bounds; zero is chance for each."""

ITEMS = ("all", "right", "broken")
"""All items, those that merging turned from wrong to right, those that it broke."""

SHIFT_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "condition": "str",
    "method": "str",
    "metric": "str",
    "skill": "str",
    "items": "str",
    "n_items": "int64",
    "n_videos": "int64",
    "n_undefined": "int64",
    "n_flagged": "int64",
    "chance_share": "float64",
    "mean": "float64",
    "mean_low": "float64",
    "mean_high": "float64",
    "against": "str",
    "n_pairs": "int64",
    "difference": "float64",
    "difference_low": "float64",
    "difference_high": "float64",
    "difference_p": "float64",
    "effect_size": "float64",
}
"""`chance_share` is the evidence's mean share of the frames, which `excess_mass` is beyond;
`effect_size` is the mean paired difference in standard deviations of the items' differences."""


@dataclass(frozen=True)
class _Cell:
    """One row of the table to come."""

    contrast: Contrast
    metric: str
    skill: str
    items: str


def shift_table(frame: pd.DataFrame, *, method: str, seed: int = 0) -> pd.DataFrame:
    """One row for each item set, contrast, metric, skill and choice of items.

    Args:
        frame: As `attribution_frame` returns it.
        method: The run's main method.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `SHIFT_COLUMNS`.
    """
    rows = []
    for item_set, part in frame.groupby("item_set", sort=False):
        averaged = draws_averaged(part[part["status"] == "ok"])
        keys = ["model", "condition", "method"]
        by_series = {
            Series(*map(str, key)): rows.set_index("item")
            for key, rows in averaged.groupby(keys, sort=False)
        }
        for cell in _cells(averaged, method):
            row = _row(by_series, cell, seed)
            if row["n_items"]:
                rows.append({"item_set": item_set, **row})
    return pd.DataFrame(rows, columns=list(SHIFT_COLUMNS)).astype(SHIFT_COLUMNS)


def _cells(averaged: pd.DataFrame, method: str) -> Iterator[_Cell]:
    skills = [s for s in ("reasoning", "perception", "other") if s in set(averaged["skill"])]
    for contrast in contrasts(averaged, method):
        series = contrast.series
        on_main = series.condition == VIDEO and series.method == method
        # what merging did is a question to VLM, merged and random-layer merges alone
        turned = on_main and series.model in (VLM, MERGED, RANDOM_LAYERS)
        for metric in METRICS:
            for skill in skills:
                for items in ITEMS if turned else ITEMS[:1]:
                    yield _Cell(contrast, metric, skill, items)


def _row(
    by_series: Mapping[Series, pd.DataFrame], cell: _Cell, seed: int
) -> dict[str, str | int | float]:
    series, against = cell.contrast.series, cell.contrast.against
    rows = by_series[series]
    own = rows[rows["skill"] == cell.skill]
    if cell.items != "all":
        own = own[own["turned"] == cell.items]
    defined = own[own[cell.metric].notna()]
    bounds = METRICS[cell.metric]
    level = clustered_mean(
        defined[cell.metric].to_numpy(), defined["group"].to_numpy(), seed=seed, bounds=bounds
    )
    row: dict[str, str | int | float] = {
        "model": series.model,
        "condition": series.condition,
        "method": series.method,
        "metric": cell.metric,
        "skill": cell.skill,
        "items": cell.items,
        "n_items": len(defined),
        "n_videos": level.n_clusters,
        "n_undefined": len(own) - len(defined),
        "n_flagged": int(defined["flagged"].sum()),
        "chance_share": float(defined["evidence_share"].mean()) if len(defined) else math.nan,
        "mean": level.estimate,
        "mean_low": level.low,
        "mean_high": level.high,
        "against": against_name(cell.contrast),
        "n_pairs": 0,
    }
    if against is None:
        return row
    other = by_series[against][cell.metric].reindex(defined.index).to_numpy()
    paired = ~np.isnan(other)
    a, b = defined[cell.metric].to_numpy()[paired], other[paired]
    found = paired_difference(a, b, defined["group"].to_numpy()[paired], seed=seed, bounds=bounds)
    return row | {
        "n_pairs": len(a),
        "difference": found.estimate,
        "difference_low": found.interval.low,
        "difference_high": found.interval.high,
        "difference_p": found.p_value,
        "effect_size": effect_size(found, a - b),
    }


def effect_size(difference: PairedDifference, differences: np.ndarray) -> float:
    """Mean paired difference in standard deviations of the items' differences (Cohen's d_z)."""
    if len(differences) < 2:
        return math.nan
    deviation = float(np.std(differences, ddof=1))
    return difference.estimate / deviation if deviation > 0 else math.nan


def against_name(contrast: Contrast) -> str:
    """What a row is held against: another model, the same one on the real video, or chance."""
    if contrast.against is None:
        return "chance"
    if contrast.against.model == contrast.series.model:
        return "video"
    return contrast.against.model
