"""Frames say what the records say, no more and no less."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from merit_interp.errors import RunError
from merit_interp.records import Trial
from merit_interp.tables.item_frames import (
    ITEM_SCORE_COLUMNS,
    TRIAL_COLUMNS,
    item_scores,
    random_draws_averaged,
    trial_frame,
)
from tests.synthetic_run import made_up_recipe, made_up_score, made_up_trials

RIGHT = made_up_score("validation", "vlm", "reasoning", "after", "v1", 2.0)
WRONG = replace(made_up_score("validation", "vlm", "reasoning", "before", "v1", -2.0))
FAILED = replace(RIGHT, item="broken", log_probs=(), status="failed", reason="zero bytes")


def test_a_row_is_a_record() -> None:
    frame = item_scores([RIGHT, WRONG, FAILED])
    assert list(frame.columns) == list(ITEM_SCORE_COLUMNS)
    assert frame["correct"].tolist()[:2] == [1.0, 0.0]
    assert frame["margin_nats"].tolist()[:2] == pytest.approx([RIGHT.margin_nats, -2.0])
    assert frame["probability"][0] == pytest.approx(RIGHT.probability)
    assert frame["n_options"][0] == 4


def test_a_failed_item_is_missing_and_not_wrong() -> None:
    row = item_scores([FAILED]).iloc[0]
    assert row["reason"] == "zero bytes"
    for measure in ("correct", "margin_nats", "probability", "entropy_nats"):
        assert math.isnan(row[measure])
    assert pd.isna(row["chosen"])


def test_a_model_that_overflows_is_wrong_and_has_no_margin() -> None:
    row = item_scores([replace(RIGHT, log_probs=(math.nan,) * 4)]).iloc[0]
    assert row["correct"] == 0.0
    assert math.isnan(row["margin_nats"])


def test_frames_without_rows_keep_their_columns() -> None:
    assert list(item_scores([]).columns) == list(ITEM_SCORE_COLUMNS)
    empty = trial_frame([])
    assert list(empty.columns) == list(TRIAL_COLUMNS)
    assert empty["on_pareto_front"].dtype == bool
    assert random_draws_averaged(item_scores([])).empty


def test_an_item_scored_twice_is_refused() -> None:
    with pytest.raises(RunError, match="v1-after of 'validation' twice"):
        item_scores([RIGHT, RIGHT])


def test_random_draws_become_their_mean_by_item() -> None:
    scores = [
        made_up_score("validation", f"random_layers_0{draw}", "reasoning", "after", video, margin)
        for draw, margins in enumerate([(1.0, -1.0), (2.0, -2.0), (-3.0, -3.0)])
        for video, margin in zip(("v1", "v2"), margins, strict=True)
    ]
    frame = random_draws_averaged(item_scores([RIGHT, *scores]))
    drawn = frame[frame["model"] == "random_layers"].set_index("group")
    assert drawn["correct"].to_dict() == pytest.approx({"v1": 2 / 3, "v2": 0.0})
    assert drawn["margin_nats"]["v2"] == pytest.approx(-2.0)
    assert set(frame["model"]) == {"vlm", "random_layers"}


def test_an_item_that_failed_in_one_draw_has_no_mean() -> None:
    draws = [replace(RIGHT, model="random_layers_00"), replace(RIGHT, model="random_layers_01")]
    draws[1] = replace(draws[1], log_probs=(), status="failed")
    row = random_draws_averaged(item_scores(draws)).iloc[0]
    assert row["status"] == "failed"
    assert math.isnan(row["correct"])


def trial(number: int, tr: float, tp: float) -> Trial:
    return replace(
        made_up_trials(made_up_recipe(), 1)[0],
        number=number, recipe=str(number), delta_tr=tr, delta_tp=tp, objective=tr + min(tp, 0.0),
    )  # fmt: skip


def test_best_so_far_never_falls_and_the_front_is_what_nothing_beats() -> None:
    points = [(0.0, 0.0), (0.5, -0.1), (0.4, -0.2), (0.5, -0.3), (0.9, -0.4), (0.0, 0.0)]
    frame = trial_frame([trial(i, *point) for i, point in enumerate(points)], chosen="4")
    assert frame["best_so_far"].tolist() == pytest.approx([0.0, 0.4, 0.4, 0.4, 0.5, 0.5])
    assert frame["on_pareto_front"].tolist() == [True, True, False, False, True, True]
    assert frame["is_chosen"].tolist() == [False] * 4 + [True, False]


def test_splits_have_fronts_of_their_own_and_trials_are_put_in_order() -> None:
    search = [trial(1, 0.2, 0.0), trial(0, 0.1, 0.1)]
    again = replace(trial(0, 9.0, 9.0), split="validation")
    frame = trial_frame([*search, again])
    assert frame["number"].tolist() == [0, 1, 0]
    assert frame["on_pareto_front"].all()
