from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import AnImport, run_import, write_annotations

ROW = {
    "video": "K1.mp4",
    "question": "What happened before the cup fell?",
    "candidates": ["Sat down.", "Took the cup.", "Closed the door."],
    "answer": "Took the cup.",
}
CHARADES = "star/Charades_v1_480"


def imported(
    folder: Path, task: str, row: dict[str, Any], *videos: str, **options: str
) -> AnImport:
    write_annotations(folder / f"json/{task}.json", [{**ROW, **row}])
    return run_import("mvbench", folder / "json", videos, **options)


def test_the_answer_is_a_text_and_the_category_the_file(tmp_path: Path) -> None:
    item = imported(tmp_path, "object_shuffle", {}, "perception/videos/K1.mp4").item
    assert (item.id, item.answer) == ("mvbench/object_shuffle/1", 1)
    assert (item.category, item.skill) == ("object_shuffle", "reasoning")
    assert item.video == "videos/perception/videos/K1.mp4"


def test_bounds_are_kept_where_the_task_has_them(tmp_path: Path) -> None:
    bound = {"start": 5.5, "end": 11.25}
    done = imported(tmp_path, "action_sequence", bound, f"{CHARADES}/K1.mp4")
    assert (done.item.start_s, done.item.end_s) == (5.5, 11.25)
    assert done.summary.source.bounds == "keep"
    assert done.summary.flags == {}


def test_a_kept_bound_never_meets_a_video_that_is_cut_already(tmp_path: Path) -> None:
    bound = {"start": 5.5, "end": 11.25}
    write_annotations(tmp_path / "json/action_sequence.json", [{**ROW, **bound}])
    with pytest.raises(ItemError, match="no video"):
        run_import("mvbench", tmp_path / "json", ["star/Charades_segment/K1.mp4"])


def test_a_dropped_bound_is_said_and_pre_cut_videos_come_first(tmp_path: Path) -> None:
    videos = (f"{CHARADES}/K1.mp4", "star/Charades_segment/K1.mp4")
    bound = {"start": 5.5, "end": 11.25}
    done = imported(tmp_path, "action_sequence", bound, *videos, bounds="drop")
    assert (done.item.start_s, done.item.end_s) == (None, None)
    assert done.item.video == "videos/star/Charades_segment/K1.mp4"
    assert done.summary.source.bounds == "drop"
    assert done.summary.flags == {"bound was dropped": 1}


def test_a_dropped_bound_on_a_video_that_may_be_whole_has_a_flag_of_its_own(tmp_path: Path) -> None:
    rows = [{**ROW, "video": f"K{n}.mp4", "start": 5.5, "end": 11.25} for n in (1, 2)]
    path = write_annotations(tmp_path / "json/action_localization.json", rows)
    # one file of the pre-cut folder is missing
    videos = ("sta/sta_video_segment/K1.mp4", "sta/sta_video/K1.mp4", "sta/sta_video/K2.mp4")
    done = run_import("mvbench", path, videos, bounds="drop")
    assert [Path(item.video).parent.name for item in done.items.values()] == [
        "sta_video_segment",
        "sta_video",
    ]
    assert done.summary.flags == {
        "bound was dropped": 2,
        "bound was dropped and no pre-cut video found": 1,
    }


def test_tasks_without_a_bound_have_none(tmp_path: Path) -> None:
    done = imported(
        tmp_path, "action_count", {"start": 1.0, "end": 2.0}, "perception/videos/K1.mp4"
    )
    assert (done.item.start_s, done.item.end_s) == (None, None)


def test_directories_of_frames_have_three_a_second(tmp_path: Path) -> None:
    row = {"video": "friends_s01e01_clip_00", "start": 0, "end": 4.5}
    frames = "tvqa/frames_fps3_hq/friends_s01e01_clip_00/"
    item = imported(tmp_path, "episodic_reasoning", row, frames).item
    assert (item.fps, item.start_s, item.end_s) == (3.0, 0.0, 4.5)
    assert item.video == f"videos/{frames}".rstrip("/")


def test_a_pre_cut_video_of_that_task_is_a_file_without_a_rate(tmp_path: Path) -> None:
    row = {"video": "friends_s01e01_clip_00", "start": 0, "end": 4.5}
    video = "tvqa/video_fps3_hq_segment/friends_s01e01_clip_00.mp4"
    item = imported(tmp_path, "episodic_reasoning", row, video, bounds="drop").item
    assert (item.fps, item.video) == (None, f"videos/{video}")


def test_rows_whose_bound_or_answer_is_none_are_left_out(tmp_path: Path) -> None:
    rows = [
        ROW,
        {**ROW, "start": 4.0, "end": 4.0},
        {**ROW, "answer": "took the cup."},
        {**ROW, "candidates": ["Took the cup."]},
    ]
    path = write_annotations(tmp_path / "json/action_sequence.json", rows)
    done = run_import("mvbench", path, [f"{CHARADES}/K1.mp4"])
    assert list(done.items) == ["mvbench/action_sequence/1"]
    assert done.left_out == {
        "action_sequence.json, row 2": "bound ends before it begins: 4 to 4 s",
        "action_sequence.json, row 3": "answer is none of the options: 'took the cup.'",
        "mvbench/action_sequence/4": "not a valid item: 1 option(s); valid: at least 2",
    }


def test_a_subset_is_a_task(tmp_path: Path) -> None:
    videos = ("perception/videos/K1.mp4",)
    for task in ("object_shuffle", "action_count"):
        write_annotations(tmp_path / f"json/{task}.json", [ROW])
    done = run_import("mvbench", tmp_path / "json", videos, subset="action_count")
    assert list(done.items) == ["mvbench/action_count/1"]
    assert [Path(name).name for name in done.summary.source.annotations] == ["action_count.json"]


def test_a_file_of_another_name_is_said(tmp_path: Path) -> None:
    for name in ("Action_Count", "object_shuffle", "object_shufle"):
        write_annotations(tmp_path / f"json/{name}.json", [ROW])
    done = run_import("mvbench", tmp_path / "json", ["perception/videos/K1.mp4"])
    assert list(done.items) == ["mvbench/action_count/1", "mvbench/object_shuffle/1"]
    assert done.left_out == {"object_shufle.json": "file is named like no task"}


def test_a_video_of_charades_is_one_recording_in_both_of_its_folders(tmp_path: Path) -> None:
    for task in ("action_sequence", "action_localization", "action_count"):
        write_annotations(tmp_path / f"json/{task}.json", [ROW])
    videos = (f"{CHARADES}/K1.mp4", "sta/sta_video/K1.mp4", "perception/videos/K1.mp4")
    items = run_import("mvbench", tmp_path / "json", videos).items
    groups = {item.category: item.group for item in items.values()}
    # else the search could see a video that the recipe is validated on
    assert groups["action_localization"] == groups["action_sequence"]
    assert groups["action_count"] != groups["action_sequence"]


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    write_annotations(tmp_path / "json/questions.json", [ROW])
    with pytest.raises(ItemError, match=r"holds no task's file; valid: action_sequence.json"):
        run_import("mvbench", tmp_path / "json", [])
