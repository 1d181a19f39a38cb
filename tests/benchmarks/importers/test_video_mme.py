from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "video_id": "901",
    "duration": "short",
    "domain": "Knowledge",
    "sub_category": "Tides",
    "url": "https://example.org/ab-_9",
    "videoID": "ab-_9",
    "question_id": "901-1",
    "task_type": "Temporal Reasoning",
    "question": "What does the crab do after the wave?",
    "options": ["A. Digs.", "B. A.M. walk.", "C. Waits.", "D. Leaves."],
    "answer": "B",
}


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "question_id": f"901-{i}", **change} for i, change in enumerate(changes, 1)]


@pytest.mark.parametrize("suffix", ["parquet", "json", "jsonl"])
def test_a_row_becomes_an_item(tmp_path: Path, suffix: str) -> None:
    path = write_annotations(tmp_path / f"test.{suffix}", rows({}))
    item = run_import("video-mme", path, ["ab-_9.mp4"]).item
    assert item.id == "video_mme/901-1"
    assert item.video == "videos/ab-_9.mp4"
    assert item.options == ("Digs.", "A.M. walk.", "Waits.", "Leaves.")
    assert (item.answer, item.skill, item.category) == (1, "reasoning", "Temporal Reasoning")
    assert (item.benchmark, item.group, item.evidence) == ("video_mme", "ab-_9", ())


def test_options_out_of_order_are_left_out(tmp_path: Path) -> None:
    options = ["B. Digs.", "A. Walks.", "C. Waits.", "D. Leaves."]
    path = write_annotations(tmp_path / "t.json", rows({}, {"options": options, "answer": "A"}))
    done = run_import("video_mme", path, ["ab-_9.mp4"])
    assert done.left_out == {"t.json, row 2": "letters of options are not in order: B, A, C, D"}


def test_roles_are_the_benchmarks_own_names(tmp_path: Path) -> None:
    kinds = ("Temporal Perception", "Temporal Reasoning", "Action Reasoning")
    path = write_annotations(tmp_path / "t.json", rows(*({"task_type": kind} for kind in kinds)))
    done = run_import("video_mme", path, ["ab-_9.mp4"])
    assert [item.skill for item in done.items.values()] == ["perception", "reasoning", "other"]


def test_other_suffixes_are_found_and_missing_videos_named(tmp_path: Path) -> None:
    path = write_annotations(
        tmp_path / "t.json", rows({"videoID": "x"}, {"videoID": "y"}, {"videoID": "z"})
    )
    done = run_import("video_mme", path, ["x.MP4", "y.mkv"])
    assert [item.video for item in done.items.values()] == ["videos/x.MP4", "videos/y.mkv"]
    assert done.left_out == {"video_mme/901-3": "no video: z"}


def test_a_subset_is_a_class_of_durations(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "t.json", rows({}, {"duration": "long"}))
    done = run_import("video_mme", path, ["ab-_9.mp4"], subset="long")
    assert list(done.items) == ["video_mme/901-2"]


def test_rows_without_a_gold_answer_are_left_out(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "t.json", rows({}, {"answer": None}, {"answer": "E"}))
    done = run_import("video_mme", path, ["ab-_9.mp4"])
    assert done.left_out == {
        "t.json, row 2": "field 'answer' is missing",
        "t.json, row 3": "answer is no letter of an option: 'E'",
    }
