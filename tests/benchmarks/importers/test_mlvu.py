from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "video": "order_9.mp4",
    "duration": 480.0,
    "question": "In which order do these happen?",
    "candidates": ["a, b", "b, a", "a, a", "b, b"],
    "answer": "b, a",
    "question_type": "order",
}


def test_dev_has_a_file_and_a_folder_a_task(tmp_path: Path) -> None:
    write_annotations(tmp_path / "json/5_order.json", [ROW])
    item = run_import("mlvu", tmp_path / "json", ["5_order/order_9.mp4"]).item
    assert (item.id, item.answer, item.category) == ("mlvu/5_order/1", 1, "order")
    assert (item.skill, item.video) == ("reasoning", "videos/5_order/order_9.mp4")


def test_generation_tasks_are_left_out(tmp_path: Path) -> None:
    write_annotations(tmp_path / "json/5_order.json", [ROW])
    summary = {"video": "s.mp4", "question": "Sum it up.", "answer": "It ...", "duration": 60}
    rows = [{**summary, "question_type": "summary"}]
    write_annotations(tmp_path / "json/9_summary.json", rows)
    done = run_import("mlvu", tmp_path / "json", ["order_9.mp4"])
    assert done.left_out == {"9_summary.json, row 1": "task is answered by free text: summary"}
    assert done.item.video == "videos/order_9.mp4"


def test_the_port_has_options_in_the_question_and_a_letter(tmp_path: Path) -> None:
    row = {
        "video_name": "needle_1.mp4",
        "question": "What falls?\n(A) a cup\n(B) a hat\n(C) snow\n(D) rain",
        "answer": "C",
        "task_type": "needle",
    }
    path = write_annotations(tmp_path / "dev.parquet", [row, {**row, "answer": "F"}])
    done = run_import("mlvu", path, ["needle_1.mp4"])
    assert done.item.question == "What falls?"
    assert (done.item.options[done.item.answer], done.item.skill) == ("snow", "perception")
    assert done.left_out == {"dev.parquet, row 2": "answer is no letter of an option: 'F'"}


def test_more_than_four_candidates_are_all_options(tmp_path: Path) -> None:
    six = {**ROW, "candidates": list("pqrstu"), "answer": "u", "question_id": "T_1"}
    path = write_annotations(tmp_path / "test_mcq_gt.json", [six])
    item = run_import("mlvu", path, ["order_9.mp4"]).item
    assert (len(item.options), item.answer, item.id) == (6, 5, "mlvu/test_mcq_gt/T_1")


def test_test_questions_without_gold_are_refused(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "answer"}
    path = write_annotations(tmp_path / "test_question.json", [row])
    with pytest.raises(ItemError, match="withholds its gold answers"):
        run_import("mlvu", path, [])
