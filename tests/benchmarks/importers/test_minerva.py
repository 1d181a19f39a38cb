from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "key": "mm_1",
    "video_id": "zz-9",
    "question": "Which team scores after the break?",
    "answer": "The green team",
    **{f"answer_choice_{i}": f"The {c} team" for i, c in enumerate("abcd")},
    "answer_choice_4": "The green team",
    "answer_id": 4,
    "reasoning": "The break ends at 12:05. From 12:40 to 12:55 green attacks; at 13:02 it scores.",
    "question type": "Temporal Reasoning, Counting",
    "split": "Sports",
    "category": "Ball games",
}


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "key": f"mm_{i}", **change} for i, change in enumerate(changes, 1)]


def test_a_row_becomes_an_item(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "minerva.json", rows({}))
    item = run_import("minerva", path, ["zz-9.webm"]).item
    assert (item.id, item.video) == ("minerva/mm_1", "videos/zz-9.webm")
    assert (item.options[4], item.answer) == ("The green team", 4)
    assert (item.category, item.skill) == ("Temporal Reasoning", "reasoning")


def test_times_in_the_reasoning_are_weak_evidence(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "minerva.json", rows({}, {"reasoning": "It is plain."}))
    done = run_import("minerva", path, ["zz-9.mp4"])
    item = done.items["minerva/mm_1"]
    assert item.evidence == ((725.0, 726.0), (760.0, 775.0), (782.0, 783.0))
    assert item.evidence_kind == "weak"
    assert done.items["minerva/mm_2"].evidence_kind is None
    assert (done.summary.with_evidence, done.summary.evidence_share) == (1, None)


@pytest.mark.parametrize(
    ("kinds", "skill", "category"),
    [
        ({"question type": "Counting,Cause and effect"}, "reasoning", "Counting"),
        ({"question type": "Event Occurrence"}, "reasoning", "Event Occurrence"),
        ({"question type": "Reading"}, "other", "Reading"),
        ({"question type": None, "question_type": "Temporal Reasoning"}, "reasoning", None),
        ({"question_type": ["Goal", "Temporal Reasoning"]}, "reasoning", "Goal"),
        ({"question type": ""}, "other", ""),
    ],
)
def test_a_question_has_several_types(
    tmp_path: Path, kinds: dict[str, Any], skill: str, category: str | None
) -> None:
    path = write_annotations(tmp_path / "minerva.jsonl", rows(kinds))
    item = run_import("minerva", path, ["zz-9.mp4"]).item
    assert item.skill == skill
    assert category is None or item.category == category


@pytest.mark.parametrize(
    ("change", "answer"),
    [({"answer_id": "4"}, 4), ({"answer_id": None}, 4), ({"answer_id": 0, "answer": None}, 0)],
)
def test_gold_in_each_form(tmp_path: Path, change: dict[str, Any], answer: int) -> None:
    path = write_annotations(tmp_path / "minerva.json", rows(change))
    assert run_import("minerva", path, ["zz-9.mp4"]).item.answer == answer


def test_a_gold_text_that_differs_from_its_index_is_flagged(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "minerva.json", rows({"answer_id": 1}))
    done = run_import("minerva", path, ["zz-9.mp4"])
    assert done.item.answer == 1
    assert done.summary.flags == {"answer is not the text of its answer_id, which counts": 1}


def test_without_any_gold_the_file_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "m.json", rows({"answer_id": None, "answer": None}))
    with pytest.raises(ItemError, match="answer"):
        run_import("minerva", path, ["zz-9.mp4"])


def test_an_index_of_no_option_is_left_out(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "m.json", rows({}, {"answer_id": 5}))
    done = run_import("minerva", path, ["zz-9.mp4"])
    assert list(done.left_out.values()) == ["answer_id is no index of an option: 5"]
