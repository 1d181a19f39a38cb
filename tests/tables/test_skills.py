"""The skill table finds what was put into the records, pairs by item, and counts honestly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from merit_interp.records import ItemScore
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.skills import (
    SKILL_COLUMNS,
    SPREAD_COLUMNS,
    baseline_summary,
    compare_models,
    skill_table,
    videos_apart,
)
from tests.synthetic_run import Plan, made_up_score, made_up_scores


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return item_scores(made_up_scores(Plan()))


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> pd.DataFrame:
    return skill_table(frame)


def cell(table: pd.DataFrame, **names: str) -> pd.Series:
    rows = table
    for column, name in names.items():
        rows = rows[rows[column] == name]
    assert len(rows) == 1
    return rows.iloc[0]


def test_columns_and_order(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(SKILL_COLUMNS)
    assert list(table["item_set"].drop_duplicates()) == ["validation", "longer_clips"]
    models = list(table["model"].drop_duplicates())
    assert models[:3] == ["vlm", "merged", "uniform_attention_0.5"]
    assert models[-1] == "backbone_transcripts"
    assert list(table["category"])[:2] == ["all", "after"]
    assert not table.duplicated(["item_set", "model", "skill", "category"]).any()


def test_numbers_equal_those_counted_by_hand(frame: pd.DataFrame, table: pd.DataFrame) -> None:
    rows = frame.query("item_set == 'validation' and skill == 'reasoning'")
    vlm = rows[rows["model"] == "vlm"].set_index("item")
    merged = rows[rows["model"] == "merged"].set_index("item")
    found = cell(table, item_set="validation", model="merged", skill="reasoning", category="all")
    assert found["n_items"] == found["n_pairs"] == len(merged) == 24 * 5
    assert found["n_videos"] == 24
    assert found["accuracy"] == pytest.approx(merged["correct"].mean())
    assert found["margin_nats"] == pytest.approx(merged["margin_nats"].mean())
    difference = merged["correct"] - vlm["correct"]
    assert found["delta_accuracy"] == pytest.approx(difference.mean())
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    assert found["delta_accuracy_low"] < found["delta_accuracy"] < found["delta_accuracy_high"]
    # one of five categories has two options, the others four
    assert found["chance"] == pytest.approx((4 * 0.25 + 0.5) / 5)


def test_an_effect_that_is_there_is_found_and_the_vlm_has_no_difference_to_itself(
    table: pd.DataFrame,
) -> None:
    gain = cell(table, item_set="validation", model="merged", skill="reasoning", category="all")
    assert gain["delta_accuracy_low"] > 0.1
    assert gain["delta_accuracy_p"] < 0.001
    own = table[table["model"] == "vlm"]
    assert own["delta_accuracy"].isna().all()
    assert (own["n_pairs"] == 0).all()


def test_pairing_makes_the_interval_of_a_difference_narrow(table: pd.DataFrame) -> None:
    row = cell(table, item_set="validation", model="merged", skill="reasoning", category="all")
    difference = row["delta_margin_nats_high"] - row["delta_margin_nats_low"]
    assert difference < 0.5 * (row["margin_nats_high"] - row["margin_nats_low"])


def scores_of(model: str, margins: list[float]) -> list[ItemScore]:
    return [
        made_up_score("s", model, "reasoning", "after", f"v{i}", margin)
        for i, margin in enumerate(margins)
    ]


def test_failed_items_are_left_out_on_both_sides() -> None:
    vlm = scores_of("vlm", [1.0, 1.0, -1.0, -1.0, -1.0, 1.0])
    merged = scores_of("merged", [1.0, 1.0, 1.0, 1.0, -1.0, 1.0])
    merged[0] = replace(merged[0], log_probs=(), status="failed", reason="gone")
    row = cell(skill_table(item_scores([*vlm, *merged])), model="merged", category="all")
    assert (row["n_items"], row["n_failed"], row["n_pairs"]) == (5, 1, 5)
    assert row["accuracy"] == pytest.approx(0.8)
    assert row["delta_accuracy"] == pytest.approx(2 / 5)


def test_a_set_that_failed_whole_has_counts_and_no_numbers() -> None:
    failed = [replace(s, log_probs=(), status="failed") for s in scores_of("vlm", [1.0, 1.0])]
    row = cell(skill_table(item_scores(failed)), category="all")
    assert (row["n_items"], row["n_failed"]) == (0, 2)
    assert math.isnan(row["accuracy"])
    assert math.isnan(row["chance"])


def test_without_a_vlm_there_are_no_differences() -> None:
    row = cell(skill_table(item_scores(scores_of("merged", [1.0, -1.0, 1.0]))), category="all")
    assert row["n_pairs"] == 0
    assert math.isnan(row["delta_accuracy"])
    assert math.isnan(row["delta_accuracy_p"])


def test_no_records_make_an_empty_table() -> None:
    assert list(skill_table(item_scores([])).columns) == list(SKILL_COLUMNS)
    assert list(baseline_summary(item_scores([])).columns) == [
        *(column for column in SKILL_COLUMNS if column != "category"),
        *SPREAD_COLUMNS,
    ]


def test_draws_of_random_layers_become_one_row_with_their_spread(frame: pd.DataFrame) -> None:
    row = cell(
        baseline_summary(frame), item_set="validation", model="random_layers", skill="reasoning"
    )
    draws = frame[frame["model"].str.startswith("random_layers_")]
    draws = draws.query("item_set == 'validation' and skill == 'reasoning'")
    accuracies = draws.groupby("model")["correct"].mean()
    assert row["n_draws"] == len(accuracies) == 4
    assert row["accuracy"] == pytest.approx(accuracies.mean())
    assert row["draws_accuracy_sd"] == pytest.approx(accuracies.std())
    assert row["draws_accuracy_min"] == pytest.approx(accuracies.min())
    assert row["draws_accuracy_max"] == pytest.approx(accuracies.max())
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert row["delta_accuracy_low"] < row["delta_accuracy"] < row["delta_accuracy_high"]


def test_a_comparison_equals_the_tables_row(frame: pd.DataFrame, table: pd.DataFrame) -> None:
    found = compare_models(frame, "last_k", "vlm", item_set="longer_clips", skill="perception")
    row = cell(table, item_set="longer_clips", model="last_k", skill="perception", category="all")
    assert found.interval.low == row["delta_accuracy_low"]
    assert found.p_value == row["delta_accuracy_p"]


def test_equal_records_give_equal_tables(frame: pd.DataFrame, table: pd.DataFrame) -> None:
    mixed = frame.sample(frac=1.0, random_state=np.random.RandomState(0))
    again = skill_table(mixed[mixed["item_set"] == "validation"])
    pd.testing.assert_frame_equal(again, table[table["item_set"] == "validation"])


def test_videos_apart_are_those_whose_totals_differ() -> None:
    margins = {  # by model: two items on each of four videos
        "vlm": (1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0),
        "merged": (1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0),
    }
    scores = [
        made_up_score("a", model, "reasoning", f"c{place % 2}", f"v{place // 2}", margin)
        for model, of_items in margins.items()
        for place, margin in enumerate(of_items)
    ]
    where = {"item_set": "a", "skill": "reasoning"}
    # the second video swaps one right answer for another
    assert videos_apart(item_scores(scores), "merged", "vlm", **where) == 2
    failed = [replace(s, status="failed", log_probs=()) if s.group == "v2" else s for s in scores]
    assert videos_apart(item_scores(failed), "merged", "vlm", **where) == 1
    assert videos_apart(item_scores(scores), "merged", "nobody", **where) == 0
