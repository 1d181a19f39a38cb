"""The figure of video controls draws the numbers of its table."""

from __future__ import annotations

import pandas as pd
import pytest

from merit_interp.plots.video_controls import (
    MARKS,
    control_comparison,
    draw_control_comparison,
)
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.video_controls import control_frame, video_control_table
from tests.synthetic_controls import made_up_control_scores
from tests.synthetic_run import Plan, made_up_scores


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    scores = made_up_scores(Plan(("validation",), videos=12, draws=0))
    return video_control_table(item_scores(scores), control_frame(made_up_control_scores(scores)))


def test_every_control_model_and_skill_is_a_point(table: pd.DataFrame) -> None:
    data = control_comparison(table, "validation")
    assert data.controls == ("black", "shuffled", "evidence_removed")
    assert data.skills == ("reasoning", "perception")
    assert len(data.points) == 3 * 2 * 2
    for point in data.points:
        (row,) = table[
            (table["video_control"] == point.control)
            & (table["model"] == point.model)
            & (table["skill"] == point.skill)
            & (table["category"] == "all")
        ].to_dict("records")
        assert (point.accuracy, point.on_video) == (row["accuracy"], row["video_accuracy"])
        assert (point.low, point.high) == (row["accuracy_low"], row["accuracy_high"])
        assert point.text in data.describe()


def test_marks_ticks_and_intervals_are_drawn(table: pd.DataFrame) -> None:
    data = control_comparison(table, "validation")
    figure = draw_control_comparison(data)
    merged = [trace for trace in figure.data if trace.name == MARKS["merged"].label]
    assert len(merged) == 2  # one panel a skill
    own = [p for p in data.points if (p.model, p.skill) == ("merged", "reasoning")]
    assert list(merged[0].x) == [100 * point.accuracy for point in own]
    ends = [100 * (point.high - point.accuracy) for point in own]
    assert list(merged[0].error_x.array) == pytest.approx(ends)
    ticks = [trace for trace in figure.data if trace.name == "on the video"]
    assert list(ticks[1].x) == [100 * point.on_video for point in own]
    # each name stands once in the legend
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == sorted({"VLM", "Merged", "on the video"})
    # the two models differ in grey print too: one open, one filled
    assert {mark.symbol for mark in MARKS.values()} == {"circle-open", "diamond"}


def test_an_item_set_without_controls_is_an_empty_figure(table: pd.DataFrame) -> None:
    data = control_comparison(table, "other")
    assert data.points == ()
    assert draw_control_comparison(data).layout.height > 0
