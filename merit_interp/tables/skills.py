"""Accuracy and margin of each model on each skill, and how far each is from the unmerged VLM.

    table = skill_table(item_scores(run.scores))
    table.query("category == 'all' and skill == 'reasoning'")

Intervals are clustered by video (`ItemScore.group`); differences are paired by item. Items that
failed are left out of every mean and counted in `n_failed`. This file must not know what the models
are, but for the names of the VLM and of the random draws.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.intervals import Interval, clustered_mean, clustered_share
from merit_interp.statistics.paired import PairedDifference, paired_difference
from merit_interp.tables.item_frames import random_draws_averaged
from merit_interp.tables.model_names import RANDOM_LAYERS, VLM, in_listing_order, is_random_draw

SKILLS = ("reasoning", "perception", "other")
ALL = "all"
"""The category that stands for all categories of a skill."""

SKILL_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "skill": "str",
    "category": "str",
    "n_items": "int64",
    "n_videos": "int64",
    "n_failed": "int64",
    "chance": "float64",
    "accuracy": "float64",
    "accuracy_low": "float64",
    "accuracy_high": "float64",
    "margin_nats": "float64",
    "margin_nats_low": "float64",
    "margin_nats_high": "float64",
    "n_pairs": "int64",
    "delta_accuracy": "float64",
    "delta_accuracy_low": "float64",
    "delta_accuracy_high": "float64",
    "delta_accuracy_p": "float64",
    "delta_margin_nats": "float64",
    "delta_margin_nats_low": "float64",
    "delta_margin_nats_high": "float64",
    "delta_margin_nats_p": "float64",
}
"""`n_items` scored items from `n_videos` videos; `chance` is the accuracy of guessing; `delta_*` is
model minus VLM over the `n_pairs` items that both scored, missing for the VLM itself; `_low` and
`_high` are ends of 95% intervals, `_p` two-sided p-values. Accuracies are shares in [0, 1]."""

SPREAD_COLUMNS = {
    "n_draws": "int64",
    "draws_accuracy_sd": "float64",
    "draws_accuracy_min": "float64",
    "draws_accuracy_max": "float64",
}
"""Of `random_layers`: how many draws, and how their accuracies spread; 1 draw elsewhere."""


def skill_table(frame: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """One row for each item set, model, skill and category; category `all` comes first.

    A single draw of random layers has the category `all` alone.

    Args:
        frame: As `item_scores` returns it.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `SKILL_COLUMNS`; item sets in the order of the records, models in listing
        order.
    """
    scores = _Scores.of(frame)
    rows: list[dict[str, str | float | int]] = []
    for cell, models in _cells(frame).items():
        vlm = scores.scored(models.get(VLM, _NO_ROWS))
        for model, places in models.items():
            names = dict(zip(("item_set", "skill", "category"), cell, strict=True))
            measures = _measures(
                scores.scored(places), len(places), None if model == VLM else vlm, seed
            )
            rows.append({**names, "model": model, **measures})
    return _in_order(pd.DataFrame(rows, columns=list(SKILL_COLUMNS)).astype(SKILL_COLUMNS))


def baseline_summary(frame: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """The skill table over all categories, with the draws of random layers as one model.

    `random_layers` stands for the mean over the draws: each item's mean score, then the mean over
    items, so its interval is over videos; `draws_*` say how the draws spread.

    Args:
        frame: As `item_scores` returns it.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `SKILL_COLUMNS` (without `category`) and `SPREAD_COLUMNS`.
    """
    averaged = random_draws_averaged(frame).assign(category=ALL)
    table = skill_table(averaged, seed=seed).drop(columns="category")
    draws = frame[frame["model"].map(is_random_draw).astype(bool)]
    accuracies = draws.groupby(["item_set", "skill", "model"])["correct"].mean()
    spread = accuracies.groupby(level=["item_set", "skill"]).agg(["count", "std", "min", "max"])
    spread.columns = list(SPREAD_COLUMNS)
    spread = spread.reset_index().assign(model=RANDOM_LAYERS)
    table = table.merge(spread, on=["item_set", "model", "skill"], how="left")
    return table.fillna({"n_draws": 1}).astype(SPREAD_COLUMNS)


def compare_models(
    frame: pd.DataFrame,
    a: str,
    b: str,
    *,
    item_set: str,
    skill: str,
    measure: str = "correct",
    seed: int = 0,
) -> PairedDifference:
    """Mean of model a minus model b on the items that both scored.

    Args:
        frame: As `item_scores` or `random_draws_averaged` returns it.
        a: Name of a model.
        b: Name of the model that it is held against.
        item_set: Which items.
        skill: Which skill.
        measure: `correct` (a share) or `margin_nats`.
        seed: Seed of bootstrap and permutation.
    """
    one, other = _both(frame, a, b, item_set, skill)
    return _difference(one, other, measure, seed)


def videos_apart(frame: pd.DataFrame, a: str, b: str, *, item_set: str, skill: str) -> int:
    """Videos on which two models have not as many right answers, of the items that both scored.

    A sign-flip test knows of no other video: with fewer than 6 of them no p-value is below 0.05.

    Args:
        frame: As `item_scores` or `random_draws_averaged` returns it.
        a: Name of a model.
        b: Name of the model that it is held against.
        item_set: Which items.
        skill: Which skill.
    """
    one, other = _in_both(*_both(frame, a, b, item_set, skill))
    totals = np.bincount(one.video, weights=one.correct - other.correct)
    return int((np.abs(totals) > 1e-9).sum())


def _both(
    frame: pd.DataFrame, a: str, b: str, item_set: str, skill: str
) -> tuple[_Scores, _Scores]:
    """What two models scored of one set and skill."""
    cell = frame[(frame["item_set"] == item_set) & (frame["skill"] == skill)]
    scores = _Scores.of(cell)
    one, other = (scores.scored(np.flatnonzero(cell["model"] == model)) for model in (a, b))
    return one, other


@dataclass(frozen=True, eq=False)
class _Scores:
    """The numbers of a frame of item scores; a table takes thousands of pieces of them."""

    item: NDArray[np.int64]
    video: NDArray[np.int64]
    chance: FloatArray
    correct: FloatArray
    """NaN where the item failed."""
    margin_nats: FloatArray
    """NaN where the item failed or the model overflowed."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> _Scores:
        return cls(
            item=pd.factorize(frame["item"], sort=True)[0],
            video=pd.factorize(frame["group"], sort=True)[0],
            chance=1 / frame["n_options"].to_numpy(dtype=np.float64, na_value=math.nan),
            correct=frame["correct"].to_numpy(dtype=np.float64),
            margin_nats=frame["margin_nats"].to_numpy(dtype=np.float64),
        )

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> _Scores:
        return _Scores(**{f.name: getattr(self, f.name)[places] for f in dataclasses.fields(self)})

    def scored(self, places: NDArray[np.int64]) -> _Scores:
        """The items at these places that did not fail."""
        some = self.at(places)
        return some.at(~np.isnan(some.correct))

    def measured(self, measure: str) -> _Scores:
        """The items that have this measure."""
        return self.at(~np.isnan(getattr(self, measure)))


_NO_ROWS = np.zeros(0, dtype=np.int64)


def _cells(frame: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, NDArray[np.int64]]]:
    """Places of each model's rows, by item set, skill and category."""
    cells: dict[tuple[str, str, str], dict[str, NDArray[np.int64]]] = {}
    keys = ["item_set", "skill", "category", "model"]
    rows = frame[keys].reset_index(drop=True)
    one_category = rows["category"].ne(ALL) & ~rows["model"].map(is_random_draw).astype(bool)
    for part in (rows.assign(category=ALL), rows[one_category]):
        for (item_set, skill, category, model), group in part.groupby(keys, sort=False):
            cell = cells.setdefault((str(item_set), str(skill), str(category)), {})
            cell[str(model)] = group.index.to_numpy()
    return cells


def _measures(
    scored: _Scores, n_rows: int, vlm: _Scores | None, seed: int
) -> dict[str, float | int]:
    """The numbers of one row of the table."""
    margins = scored.measured("margin_nats")
    row: dict[str, float | int] = {
        "n_items": len(scored.item),
        "n_videos": len(np.unique(scored.video)),
        "n_failed": n_rows - len(scored.item),
        "chance": float(scored.chance.mean()) if len(scored.item) else math.nan,
        **_ends("accuracy", _accuracy(scored, seed)),
        **_ends("margin_nats", clustered_mean(margins.margin_nats, margins.video, seed=seed)),
        "n_pairs": 0,
    }
    if vlm is None:
        return row
    accuracy = _difference(scored, vlm, "correct", seed)
    margin = _difference(scored, vlm, "margin_nats", seed)
    return row | {
        "n_pairs": accuracy.interval.n_items,
        **_ends("delta_accuracy", accuracy.interval),
        "delta_accuracy_p": accuracy.p_value,
        **_ends("delta_margin_nats", margin.interval),
        "delta_margin_nats_p": margin.p_value,
    }


def _accuracy(scored: _Scores, seed: int) -> Interval:
    if np.isin(scored.correct, (0.0, 1.0)).all():
        return clustered_share(scored.correct, scored.video)
    # a mean over draws is no count of right answers
    return clustered_mean(scored.correct, scored.video, bounds=(0.0, 1.0), seed=seed)


def _difference(a: _Scores, b: _Scores, measure: str, seed: int) -> PairedDifference:
    a, b = _in_both(a.measured(measure), b.measured(measure))
    return paired_difference(
        getattr(a, measure),
        getattr(b, measure),
        a.video,
        bounds=(-1.0, 1.0) if measure == "correct" else None,
        seed=seed,
    )


def _in_both(a: _Scores, b: _Scores) -> tuple[_Scores, _Scores]:
    """The items that both have, in one order."""
    _, in_a, in_b = np.intersect1d(a.item, b.item, assume_unique=True, return_indices=True)
    return a.at(in_a), b.at(in_b)


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: interval.estimate,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Item sets as they came, models in listing order, reasoning before perception, all first."""
    ranks = pd.DataFrame(
        {
            "item_set": table["item_set"].map(_ranks(table["item_set"])),
            "model": table["model"].map(_ranks(in_listing_order(table["model"]))),
            "skill": table["skill"].map(_ranks(SKILLS)).fillna(math.inf),
            "rest": table["category"] != ALL,
            "category": table["category"],
        }
    )
    return table.loc[ranks.sort_values(list(ranks.columns)).index].reset_index(drop=True)


def _ranks(names: Iterable[str]) -> dict[str, int]:
    return {name: rank for rank, name in enumerate(dict.fromkeys(names))}
