from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations


def question(name: str, **changes: Any) -> dict[str, Any]:
    row = {
        "q_uid": name,
        "google_drive_id": "none",
        "question": "What is the person's aim over the whole video?",
        **{f"option {i}": f"Aim number {i}." for i in range(5)},
    }
    return {**row, **changes}


def repository(directory: Path, names: list[str], answers: dict[str, int] | None) -> Path:
    write_annotations(directory / "questions.json", [question(name) for name in names])
    if answers is not None:
        write_annotations(directory / "subset_answers.json", answers)
    return directory


def test_only_questions_with_a_public_answer_become_items(tmp_path: Path) -> None:
    path = repository(tmp_path / "ego", ["u-1", "u-2", "u-3"], {"u-2": 4, "u-1": 0})
    done = run_import("ego_schema", path, ["u-1.mp4", "u-2.mp4", "u-3.mp4"])
    assert {name: item.answer for name, item in done.items.items()} == {
        "ego_schema/u-1": 0,
        "ego_schema/u-2": 4,
    }
    assert done.left_out == {"ego_schema/u-3": "answer is not public"}
    assert done.items["ego_schema/u-2"].options[4] == "Aim number 4."
    assert done.items["ego_schema/u-2"].skill == "reasoning"
    assert set(map(Path, done.summary.source.annotations)) == {
        path / "questions.json",
        path / "subset_answers.json",
    }


def test_an_answer_may_be_a_float(tmp_path: Path) -> None:
    path = repository(tmp_path / "ego", ["u-1"], {"u-1": 2.0})  # type: ignore[dict-item]
    assert run_import("ego_schema", path, ["u-1.mp4"]).item.answer == 2


def test_answers_beside_the_file_of_questions_are_found(tmp_path: Path) -> None:
    path = repository(tmp_path / "ego", ["u-1"], {"u-1": 2})
    assert run_import("ego_schema", path / "questions.json", ["u-1.mp4"]).item.answer == 2


@pytest.mark.parametrize("given", ["ego", "ego/questions.json"])
def test_questions_without_answers_are_refused(tmp_path: Path, given: str) -> None:
    repository(tmp_path / "ego", ["u-1"], None)
    with pytest.raises(ItemError, match=r"withholds the answers .*subset_answers\.json"):
        run_import("ego_schema", tmp_path / given, ["u-1.mp4"])
    assert not (tmp_path / "items.jsonl").exists()


def test_an_answer_that_is_no_option_is_left_out(tmp_path: Path) -> None:
    path = repository(tmp_path / "ego", ["u-1", "u-2"], {"u-1": 0, "u-2": 5})
    done = run_import("ego_schema", path, ["u-1.mp4", "u-2.mp4"])
    assert done.left_out == {"questions.json, row 2": "answer is no index of an option: 5"}


def port(name: str, answer: object) -> dict[str, Any]:
    return {
        "question_idx": name,
        "video_idx": f"v-{name}",
        "question": "What is the aim?",
        "option": [f"{letter}. Aim {letter}." for letter in "ABCDE"],
        "answer": answer,
    }


@pytest.mark.parametrize("answer", ["3", "D", 3, 3.0])
def test_rows_of_the_port(tmp_path: Path, answer: str) -> None:
    path = write_annotations(tmp_path / "Subset.parquet", [port("7", answer), port("8", None)])
    done = run_import("ego_schema", path, ["v-7.mp4", "v-8.mp4"])
    item = done.items["ego_schema/7"]
    assert (item.video, item.options[3], item.answer) == ("videos/v-7.mp4", "Aim D.", 3)
    assert done.left_out == {"ego_schema/8": "answer is not public"}


def test_the_whole_port_without_answers_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "MC.json", [port("7", None), port("8", "")])
    with pytest.raises(ItemError, match="answer is not public"):
        run_import("ego_schema", path, ["v-7.mp4"])
