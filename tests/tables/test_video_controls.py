"""Accuracy under controls, held against counts by hand and against what made-up odds imply."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from merit_interp.records import ControlScore, ItemScore
from merit_interp.tables.control_verdict import control_lines
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.video_controls import (
    CONTROL_SCORE_COLUMNS,
    DEPENDENCY_COLUMNS,
    MEASURES,
    VIDEO_CONTROL_COLUMNS,
    control_frame,
    video_control_table,
    visual_dependency,
)
from tests.synthetic_controls import made_up_control_scores
from tests.synthetic_run import Plan, made_up_scores

T, F = True, False


def score(item: str, right: bool, *, model: str = "vlm", video: str = "", n: int = 4) -> ItemScore:
    values = [-1.0] * n
    values[0 if right else 1] = 0.0
    return ItemScore(
        item=item, model=model, recipe=model, skill="reasoning", category="after",
        group=video or item, answer=0, log_probs=tuple(values), item_set="validation",
    )  # fmt: skip


def answers(pattern: str, *, model: str = "vlm", n: int = 4) -> list[ItemScore]:
    """Items i0, i1, ...; R is right, W is wrong. Two items a video."""
    return [
        score(f"i{place}", mark == "R", model=model, video=f"v{place // 2}", n=n)
        for place, mark in enumerate(pattern)
    ]


def under(control: str, pattern: str, *, model: str = "vlm") -> list[ControlScore]:
    """The same under a control; - is not applicable, x failed."""
    made = []
    for one, mark in zip(answers(pattern, model=model), pattern, strict=True):
        status = {"-": "not_applicable", "x": "failed"}.get(mark, "ok")
        values = {} if status == "ok" else {"log_probs": (), "reason": "why"}
        changed = ItemScore(**{**vars(one), "status": status, **values})  # type: ignore[arg-type]
        made.append(ControlScore.of(changed, control))
    return made


def only_row(table: pd.DataFrame, **names: str) -> dict[str, float]:
    rows = table[table["category"] == "all"]
    for name, value in names.items():
        rows = rows[rows[name] == value]
    (row,) = rows.to_dict("records")
    return row


def test_drops_by_hand() -> None:
    table = video_control_table(
        item_scores(answers("RRRRRRWW")), control_frame(under("black", "RWWWRWWR"))
    )
    assert list(table.columns) == list(VIDEO_CONTROL_COLUMNS)
    row = only_row(table)
    assert row["measure"] == "visual dependency"
    assert (row["n_items"], row["n_videos"], row["n_pairs"]) == (8, 4, 0)
    assert row["video_accuracy"] == 0.75
    assert row["accuracy"] == 0.375
    assert row["drop"] == 0.375
    assert row["chance"] == 0.25
    assert row["above_chance"] == 0.125
    assert row["drop_low"] < 0.375 < row["drop_high"]
    assert math.isnan(row["delta_drop"])
    dependency = visual_dependency(table)
    assert list(dependency.columns) == list(DEPENDENCY_COLUMNS)
    first = dependency.iloc[0]
    assert first["visual_dependency"] == 0.375
    assert first["black_accuracy"] == 0.375
    assert first["black_above_chance"] == 0.125


def test_only_items_with_both_scores_count_and_the_others_are_told_apart() -> None:
    table = video_control_table(
        item_scores(answers("RRRRRRRR")), control_frame(under("evidence_removed", "WR--xRWW"))
    )
    row = only_row(table)
    assert (row["n_items"], row["n_not_applicable"], row["n_failed"]) == (5, 2, 1)
    # over the same five items, not over all eight
    assert row["video_accuracy"] == 1.0
    assert row["accuracy"] == 0.4


def test_the_change_by_merging_is_the_difference_of_the_drops() -> None:
    video = [*answers("RRRRWWWW"), *answers("RRRRRRRR", model="merged")]
    controls = [*under("black", "RRRRWWWW"), *under("black", "RRRRWWWW", model="merged")]
    table = video_control_table(item_scores(video), control_frame(controls))
    vlm, merged = (only_row(table, model=model) for model in ("vlm", "merged"))
    assert vlm["drop"] == 0
    assert merged["drop"] == 0.5
    assert merged["delta_drop"] == 0.5
    assert merged["n_pairs"] == 8
    assert visual_dependency(table)["delta_visual_dependency"].tolist()[1] == 0.5


def test_a_control_without_an_applicable_item_has_a_row_without_numbers() -> None:
    table = video_control_table(
        item_scores(answers("RRWW")), control_frame(under("evidence_only", "----"))
    )
    row = only_row(table)
    assert (row["n_items"], row["n_not_applicable"]) == (0, 4)
    assert math.isnan(row["accuracy"])
    assert control_lines(table, control_frame(under("evidence_only", "----")), "validation") == (
        "evidence_only does not apply to 4 of 4 questions (4: why).",
    )


def test_every_measure_has_its_rows_in_listing_order() -> None:
    controls = [s for name in reversed(MEASURES) for s in under(name, "RWRW")]
    frame = control_frame(controls)
    assert list(frame.columns) == list(CONTROL_SCORE_COLUMNS)
    table = video_control_table(item_scores(answers("RRRR")), frame)
    assert list(dict.fromkeys(table["video_control"])) == list(MEASURES)
    assert list(dict.fromkeys(table["measure"])) == list(MEASURES.values())


def test_nothing_gives_empty_tables() -> None:
    table = video_control_table(item_scores([]), control_frame([]))
    assert table.empty
    assert visual_dependency(table).empty
    assert control_lines(table, control_frame([]), "validation") == ()


@pytest.fixture(scope="module")
def made_up() -> tuple[pd.DataFrame, pd.DataFrame]:
    scores = made_up_scores(Plan(("validation",), videos=40, draws=0))
    frame = control_frame(made_up_control_scores(scores))
    return video_control_table(item_scores(scores), frame), frame


def test_words_say_what_the_video_is_worth(made_up: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    lines = "\n".join(control_lines(*made_up, "validation"))
    # the VLM reasons as well without the video, and perceives with it
    assert "Reasoning, the VLM: " in lines
    assert "It answers reasoning questions as well without the video" in lines
    perception = next(line for line in lines.splitlines() if line.startswith("Perception, the VLM"))
    assert "as well without" not in perception
    assert "visual dependency +" in perception
    # merging adds what only the video tells
    assert "Reasoning: merging changes visual dependency by +" in lines
    assert "more than the VLM's." in lines
    assert "with its frames shuffled" in lines
    assert "evidence_removed does not apply to " in lines


def test_words_say_that_the_text_gives_answers_away() -> None:
    video, frame = answers("RRRW" * 20), control_frame(under("black", "RRRW" * 20))
    (line,) = control_lines(video_control_table(item_scores(video), frame), frame, "validation")
    assert "75.0% right without the video (black frames), 75.0% on the video as it is" in line
    assert "as well without the video. Without it, answers are +50.0 points" in line
    assert line.endswith("above chance: the text gives them away.")


def test_words_say_that_a_model_is_better_without() -> None:
    video = answers("WW" * 12)
    black = under("black", "RR" * 12)
    frame = control_frame(black)
    (line,) = control_lines(video_control_table(item_scores(video), frame), frame, "validation")
    assert "visual dependency −100.0 points" in line
    assert "It answers reasoning questions better without the video." in line


@pytest.mark.parametrize(
    ("on_video", "on_black", "says"),
    [
        # nothing seen on few videos is no equality: 71 points to either side
        ("RRRRWW", "RRRRWW", "3 videos are too few to say whether it answers reasoning questions"),
        ("RRRRWW", "RRWWWW", "3 videos are too few to say whether it answers reasoning questions"),
        ("RRRW" * 20, "RRRW" * 20, "It answers reasoning questions as well without the video. "),
        (
            "RRRW" * 20 + "RRR",
            "RRRW" * 20 + "RWW",
            "It answers reasoning questions as well without the video, as far as this many videos ",
        ),
    ],
)
def test_few_videos_are_named_as_the_reason_for_not_knowing(
    on_video: str, on_black: str, says: str
) -> None:
    video, frame = answers(on_video), control_frame(under("black", on_black))
    (line,) = control_lines(video_control_table(item_scores(video), frame), frame, "validation")
    assert f". {says}" in line


def test_one_video_is_not_said_to_make_no_difference() -> None:
    right = [score(item, True, video="one") for item in "abcd"]
    black = [
        ControlScore.of(score(item, False, video="one", model=model), "black")
        for item in "abcd"
        for model in ("vlm", "merged")
    ]
    both = [*right, *(dataclasses.replace(one, model="merged") for one in right)]
    frame = control_frame(black)
    lines = control_lines(video_control_table(item_scores(both), frame), frame, "validation")
    vlm, _, change = lines
    assert "visual dependency +100.0 points (interval undefined: too few videos)" in vlm
    assert not any("as well" in line or "beyond its interval" in line for line in lines)
    assert "merging changes visual dependency by" in change
