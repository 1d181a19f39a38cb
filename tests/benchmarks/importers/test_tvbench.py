from __future__ import annotations

from pathlib import Path

from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "video": "a.mp4",
    "question": "How many times does the person clap?",
    "candidates": [2, 3, 4],
    "answer": 3,
}


def test_rows_are_like_mvbenchs_below_a_folder_a_task(tmp_path: Path) -> None:
    write_annotations(tmp_path / "json/action_count.json", [ROW])
    bound = {"candidates": ["yes", "no"], "answer": "no", "start": 1.0, "end": 2.5}
    write_annotations(tmp_path / "json/action_sequence.json", [{**ROW, **bound}])
    done = run_import("tvbench", tmp_path / "json", ["action_count/a.mp4", "action_sequence/a.mp4"])
    count, sequence = done.items["tvbench/action_count/1"], done.items["tvbench/action_sequence/1"]
    assert (count.options, count.answer, count.skill) == (("2", "3", "4"), 1, "reasoning")
    assert (count.start_s, sequence.start_s, sequence.end_s) == (None, 1.0, 2.5)
    # two files, but what two tasks call alike must not lie in two parts of a split
    assert done.summary.videos == 2
    assert count.group == sequence.group


def test_bounds_can_be_dropped(tmp_path: Path) -> None:
    row = {**ROW, "start": 1.0, "end": 2.5}
    write_annotations(tmp_path / "json/action_localization.json", [row])
    done = run_import("tvbench", tmp_path / "json", ["action_localization/a.mp4"], bounds="drop")
    assert done.item.end_s is None
    assert done.summary.flags == {"bound was dropped": 1}
