"""The logit lens in numbers: what the options' scores are at each layer, per skill, with intervals.

    frame = layer_lens_frame(run)

The last state is the model's own answer. Intervals are over videos and hold for one layer at a
time. This file must not know how a state became a score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import linear_means
from merit_interp.tables.lens_frames import SKILLS, LensRun, ModelReadings
from merit_interp.tables.model_names import MERGED, VLM

CHANGE = f"{MERGED} minus {VLM}"
"""Stands in a table's column of models for the paired difference."""
MEASURES: Mapping[str, str] = {
    "margin_nats": "right option's log-probability less the best other's, in nats",
    "log_prob_nats": "right option's log-probability, in nats",
    "accuracy": "share of items whose right option has the greatest score",
}

LAYER_COLUMNS = {
    "model": "str",
    "skill": "str",
    "measure": "str",
    "after_layer": "int64",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n_items": "int64",
    "n_videos": "int64",
}
"""`after_layer` is -1 for what enters the first layer; `low` and `high` are a 95% interval."""


def layer_lens_frame(run: LensRun) -> pd.DataFrame:
    """One row for each model (and their difference), skill, measure and state."""
    rows: list[dict[str, object]] = []
    for model, skill, measures, groups in _cells(run):
        for measure, values in measures.items():
            means = linear_means(values.T, groups)
            rows += [
                {
                    "model": model,
                    "skill": skill,
                    "measure": measure,
                    "after_layer": state - 1,
                    "value": means.estimate[state],
                    "low": means.low[state],
                    "high": means.high[state],
                    "n_items": means.n_items,
                    "n_videos": means.n_clusters,
                }
                for state in range(values.shape[1])
            ]
    return pd.DataFrame(rows, columns=list(LAYER_COLUMNS)).astype(LAYER_COLUMNS)


def _cells(run: LensRun) -> list[tuple[str, str, dict[str, FloatArray], list[str]]]:
    cells = []
    for skill in SKILLS:
        for name, own in run.models.items():
            chosen = own.of_skill(skill)
            if chosen.any():
                measures = {m: values[chosen] for m, values in _measures(own).items()}
                cells.append((name, skill, measures, own.groups(chosen)))
        pair = paired(run)
        if pair is not None and pair[0].of_skill(skill).any():
            vlm, merged = map(_measures, pair)
            chosen = pair[0].of_skill(skill)
            change = {m: (merged[m] - vlm[m])[chosen] for m in MEASURES}
            cells.append((CHANGE, skill, change, pair[0].groups(chosen)))
    return cells


def paired(run: LensRun) -> tuple[ModelReadings, ModelReadings] | None:
    """VLM and merged model, whose items are the same ones in the same order; None without both."""
    if VLM not in run.models or MERGED not in run.models:
        return None
    vlm, merged = run.models[VLM], run.models[MERGED]
    assert list(vlm.items["item"]) == list(merged.items["item"])  # one evaluation, read twice
    return vlm, merged


def _measures(readings: ModelReadings) -> dict[str, FloatArray]:
    return {
        "margin_nats": readings.margins,
        "log_prob_nats": readings.log_probs,
        "accuracy": readings.correct,
    }


@dataclass(frozen=True)
class Onset:
    """From where on the merged model's states favour the right option more, or less."""

    after_layer: int
    """The first layer from which on every interval of the difference lies on one side of zero."""
    sign: int
    """1 where the merged model is ahead, -1 where it is behind."""


def onset(frame: pd.DataFrame, skill: str, measure: str = "margin_nats") -> Onset | None:
    """Where the difference begins that lasts to the end; None where the last one holds zero.

    Args:
        frame: As `layer_lens_frame` returns it.
        skill: Of which items.
        measure: One of `MEASURES`.
    """
    rows = frame[
        (frame["model"] == CHANGE) & (frame["skill"] == skill) & (frame["measure"] == measure)
    ].sort_values("after_layer")
    side = np.where(rows["low"] > 0, 1, np.where(rows["high"] < 0, -1, 0))
    if not len(side) or side[-1] == 0:
        return None
    start = len(side) - 1
    while start and side[start - 1] == side[-1]:
        start -= 1
    return Onset(int(rows["after_layer"].iloc[start]), int(side[-1]))
