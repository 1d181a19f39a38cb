"""Records to tidy frames, one row a record.

    frame = item_scores(run.scores)
    trials = trial_frame(run.trials)

Columns are the constants below, with their types, also where there are no rows. This file must
not aggregate: `skills` does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable

import pandas as pd

from merit_interp.errors import RunError
from merit_interp.records import ItemScore, Trial
from merit_interp.tables.model_names import RANDOM_LAYERS, is_random_draw

ITEM_SCORE_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "recipe": "str",
    "skill": "str",
    "category": "str",
    "group": "str",
    "item": "str",
    "status": "str",
    "reason": "str",
    "n_options": "Int64",
    "answer": "Int64",
    "chosen": "Int64",
    "correct": "float64",
    "margin_nats": "float64",
    "probability": "float64",
    "entropy_nats": "float64",
}
"""`correct` is 1 or 0; what cannot be known of a failed item is missing (NaN). An answer that
could not be read (`status` is `unparsed`) is 0, with the margin of the letters. Where a merge made
the model overflow (a log-probability is not finite) the item counts as wrong, without a margin."""

TRIAL_COLUMNS = {
    "split": "str",
    "number": "Int64",
    "recipe": "str",
    "layers": "str",
    "n_layers": "Int64",
    "objective": "float64",
    "delta_tr": "float64",
    "delta_tp": "float64",
    "delta_tr_accuracy": "float64",
    "delta_tp_accuracy": "float64",
    "delta_tr_margin_nats": "float64",
    "delta_tp_margin_nats": "float64",
    "best_so_far": "float64",
    "on_pareto_front": "bool",
    "is_chosen": "bool",
}
"""`layers` is the recipe's coefficients as JSON; `best_so_far` and the front are per split."""


def item_scores(scores: Iterable[ItemScore]) -> pd.DataFrame:
    """One row for each item that a model scored.

    Returns:
        A frame with `ITEM_SCORE_COLUMNS`, in the order of the records.

    Raises:
        RunError: One model scored one item of one set twice.
    """
    rows = [
        {
            "item_set": score.item_set,
            "model": score.model,
            "recipe": score.recipe,
            "skill": score.skill,
            "category": score.category,
            "group": score.group,
            "item": score.item,
            "status": score.status,
            "reason": score.reason or "",
            "n_options": len(score.log_probs) or None,
            "answer": score.answer,
            "chosen": score.chosen,
            "correct": _correct(score),
            **_option_measures(score),
        }
        for score in scores
    ]
    frame = pd.DataFrame(rows, columns=list(ITEM_SCORE_COLUMNS)).astype(ITEM_SCORE_COLUMNS)
    twice = frame.duplicated(["item_set", "model", "item"])
    if twice.any():
        first = frame[twice].iloc[0]
        raise RunError(
            f"{first['model']} scored item {first['item']} of {first['item_set']!r} twice",
            valid="one score for each model and item",
        )
    return frame


def _correct(score: ItemScore) -> float:
    if score.status == "unparsed":
        return 0.0
    if score.status != "ok":
        return math.nan
    return float(score.correct and all(map(math.isfinite, score.log_probs)))


def _option_measures(score: ItemScore) -> dict[str, float]:
    measures = {
        "margin_nats": score.margin_nats,
        "probability": score.probability,
        "entropy_nats": score.entropy_nats,
    }
    if not all(map(math.isfinite, score.log_probs)):
        return dict.fromkeys(measures, math.nan)
    return measures


def random_draws_averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Put one model `random_layers` in the place of all draws: each item's mean over the draws.

    An item that failed in one draw is failed. Columns that have no mean are dropped.
    """
    kept = ["item_set", "model", "skill", "category", "group", "item", "status", "n_options"]
    kept += ["correct", "margin_nats"]
    drawn = frame["model"].map(is_random_draw).astype(bool)
    if not drawn.any():
        return frame[kept]
    items = frame[drawn].groupby(["item_set", "item"], sort=False)
    means = items[["correct", "margin_nats"]].mean()
    constant = items[["skill", "category", "group", "n_options"]].first()
    # an answer that could not be read is wrong, which is a score
    scored = frame[drawn].assign(status=frame["status"].replace("unparsed", "ok"))
    statuses = scored.groupby(["item_set", "item"], sort=False)["status"]
    status = statuses.max().where(statuses.min() == statuses.max(), "failed")
    averaged = pd.concat([constant, means, status], axis=1).reset_index()
    averaged.loc[averaged["status"] == "failed", ["correct", "margin_nats"]] = float("nan")
    averaged["model"] = RANDOM_LAYERS
    return pd.concat([frame.loc[~drawn, kept], averaged[kept]], ignore_index=True)


def trial_frame(trials: Iterable[Trial], *, chosen: str | None = None) -> pd.DataFrame:
    """One row for each trial, with the best objective so far and the Pareto front.

    Args:
        trials: Trials of one search, of one or both splits.
        chosen: Merge hash of the recipe that the search ended in.

    Returns:
        A frame with `TRIAL_COLUMNS`, ordered by split and number.
    """
    rows = [
        {
            "split": trial.split,
            "number": trial.number,
            "recipe": trial.recipe,
            "layers": json.dumps(dict(trial.layers), sort_keys=True),
            "n_layers": len(trial.layers),
            "objective": trial.objective,
            "delta_tr": trial.delta_tr,
            "delta_tp": trial.delta_tp,
            "delta_tr_accuracy": trial.delta_tr_accuracy,
            "delta_tp_accuracy": trial.delta_tp_accuracy,
            "delta_tr_margin_nats": trial.delta_tr_margin_nats,
            "delta_tp_margin_nats": trial.delta_tp_margin_nats,
            "best_so_far": trial.objective,
            "on_pareto_front": False,
            "is_chosen": trial.recipe == chosen,
        }
        for trial in sorted(trials, key=lambda trial: (trial.split, trial.number))
    ]
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS)).astype(TRIAL_COLUMNS)
    frame["best_so_far"] = frame.groupby("split", sort=False)["objective"].cummax()
    for _, split in frame.groupby("split", sort=False):
        frame.loc[split.index, "on_pareto_front"] = _on_front(split)
    return frame


def _on_front(trials: pd.DataFrame) -> pd.Series:
    """Whether no other trial is at least as good on both skills and better on one."""
    order = trials.sort_values(["delta_tp", "delta_tr"], ascending=False)
    best_before = order["delta_tr"].cummax().shift(fill_value=float("-inf"))
    front = order["delta_tr"] > best_before
    # equal points stand or fall together
    points = ["delta_tp", "delta_tr"]
    return order.assign(front=front).groupby(points)["front"].transform("any")[trials.index]
