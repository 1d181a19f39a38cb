from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations
from tests.videos_on_disk import tiny_video

ROW: dict[str, Any] = {
    "video_id": "qq1",
    "question": "When the subtitle says 'now', what is on the desk?",
    "question_wo_referring_query": "What is on the desk?",
    "candidates": ["a lamp", "a cat", "a book"],
    "correct_choice": 2,
    "position": [6, 2],
    "topic_category": "KS",
    "question_category": "T2O",
    "level": "L1-Perception",
    "id": "qq1_0",
    "video_path": "qq1.mp4",
    "subtitle_path": "qq1_en.json",
    "duration_group": 15,
    "starting_timestamp_for_subtitles": 0,
    "duration": 2.0,
    "view_count": 1,
}


@pytest.mark.parametrize("position", [[6, 2], [6.0, 2.0]])
def test_positions_are_frames_of_the_video_itself(tmp_path: Path, position: list[float]) -> None:
    tiny_video(tmp_path / "videos/qq1.mp4", n_frames=8, fps=4)
    rows = [{**ROW, "position": position}]
    done = run_import("long_video_bench", write_annotations(tmp_path / "lvb_val.json", rows), [])
    assert done.item.evidence == ((0.5, 0.75), (1.5, 1.75))
    assert (done.item.evidence_kind, done.item.skill) == ("frame", "perception")
    assert done.summary.evidence_share == pytest.approx(0.25)


def test_frames_past_the_end_or_without_a_rate_are_dropped_and_said(tmp_path: Path) -> None:
    tiny_video(tmp_path / "videos/qq1.mp4", n_frames=8, fps=4)
    rows = [{**ROW, "position": [2, 99]}, {**ROW, "id": "qq2_0", "video_path": "qq2.mp4"}]
    path = write_annotations(tmp_path / "lvb_val.json", rows)
    done = run_import("long_video_bench", path, ["qq2.mp4"])
    assert done.items["long_video_bench/qq1_0"].evidence == ((0.5, 0.75),)
    assert done.items["long_video_bench/qq2_0"].evidence == ()
    assert done.summary.flags == {
        "evidence frames past the end were dropped": 1,
        "evidence frames were dropped": 1,
    }


def test_options_that_are_not_available_are_none(tmp_path: Path) -> None:
    names = ("id", "video_path", "question", "question_category", "correct_choice", "duration")
    row = {name: ROW[name] for name in names}
    row |= {"option0": "N/A", "option1": "a cat", "option2": "a book"}
    row |= {"option3": "N/A", "option4": "N/A"}
    gone = {**row, "id": "qq1_1", "correct_choice": 4}
    path = write_annotations(tmp_path / "validation.parquet", [row, gone])
    done = run_import("long_video_bench", path, ["qq1.mp4"])
    item = done.items["long_video_bench/qq1_0"]
    assert (item.options, item.answer, item.evidence) == (("a cat", "a book"), 1, ())
    assert done.left_out == {"validation.parquet, row 2": "answer is no option: 4"}


@pytest.mark.parametrize("withheld", [{"correct_choice": -1}, {"correct_choice": "@"}, {}])
def test_a_test_set_without_gold_is_refused(tmp_path: Path, withheld: dict[str, Any]) -> None:
    row = {name: value for name, value in ROW.items() if name != "correct_choice"} | withheld
    path = write_annotations(tmp_path / "lvb_test_wo_gt.json", [row, {**row, "id": "qq1_1"}])
    with pytest.raises(ItemError, match=r"withholds its gold answers.*valid: lvb_val.json"):
        run_import("long_video_bench", path, ["qq1.mp4"])


def test_one_row_without_gold_is_left_out(tmp_path: Path) -> None:
    rows = [{**ROW, "id": "qq1_1", "correct_choice": None}, {**ROW, "position": None}]
    path = write_annotations(tmp_path / "lvb_val.json", rows)
    done = run_import("long_video_bench", path, ["qq1.mp4"])
    assert done.left_out == {"lvb_val.json, row 1": "gold answer is withheld"}


def test_relation_questions_reason_and_groups_are_subsets(tmp_path: Path) -> None:
    rows = [{**ROW, "position": []}, {**ROW, "id": "a", "question_category": "SSS"}]
    rows[1]["duration_group"] = 600
    path = write_annotations(tmp_path / "lvb_val.json", [{**row, "position": []} for row in rows])
    done = run_import("long_video_bench", path, ["qq1.mp4"], subset="600")
    assert (done.item.category, done.item.skill) == ("SSS", "reasoning")
