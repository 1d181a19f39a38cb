from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.importers.an_import import AnImport, run_import, write_annotations

QUESTION = {
    "uid": "41",
    "question": "What does the cook add last?\n(A) salt\n(B) oil\n(C) basil\n(D) nothing",
    "answer": "C",
    "question_type": ["event understanding", "reasoning"],
    "time_reference": "75:10-76:00",
}


def video(*questions: dict[str, Any], minutes: float = 90.0) -> dict[str, Any]:
    return {
        "key": "kk-1",
        "type": "selfmedia",
        "video_info": {"duration_minutes": minutes, "fps": 30.0, "resolution": {"width": 4}},
        "qa": [{**QUESTION, "uid": str(40 + i), **change} for i, change in enumerate(questions)],
    }


def imported(tmp_path: Path, row: dict[str, Any]) -> AnImport:
    path = write_annotations(tmp_path / "video_info.meta.jsonl", [row])
    return run_import("lv_bench", path, ["kk-1.mp4"])


def test_questions_of_a_video_become_items(tmp_path: Path) -> None:
    done = imported(tmp_path, video({}, {"answer": "A"}))
    assert list(done.items) == ["lv_bench/40", "lv_bench/41"]
    item = done.items["lv_bench/40"]
    assert item.question == "What does the cook add last?"
    assert item.options == ("salt", "oil", "basil", "nothing")
    assert (item.answer, item.group) == (2, "kk-1")
    assert item.evidence == ((4510.0, 4560.0),)
    assert item.evidence_kind == "span"
    assert done.summary.evidence_share == pytest.approx(50 / 5400)


def test_a_question_without_a_type_is_other(tmp_path: Path) -> None:
    done = imported(tmp_path, video({"question_type": None}, {"question_type": []}))
    assert [(item.category, item.skill) for item in done.items.values()] == [("", "other")] * 2


def test_a_question_counts_for_each_of_its_types(tmp_path: Path) -> None:
    done = imported(
        tmp_path,
        video(
            {},
            {"question_type": ["temporal grounding", "key information retrieval"]},
            {"question_type": ["summarization"]},
        ),
    )
    assert [item.skill for item in done.items.values()] == ["reasoning", "perception", "other"]
    assert done.items["lv_bench/40"].category == "event understanding"


def test_rows_of_the_port_are_flat(tmp_path: Path) -> None:
    info = {"duration_minutes": 90.0, "fps": 30.0}
    path = write_annotations(
        tmp_path / "test.parquet", [{**QUESTION, "key": "kk-1", "type": "tv", "video_info": info}]
    )
    done = run_import("lv_bench", path, ["all_videos/kk-1.mp4"])
    assert done.item.video == "videos/all_videos/kk-1.mp4"
    assert done.item.evidence == ((4510.0, 4560.0),)


@pytest.mark.parametrize(
    ("reference", "evidence", "flags"),
    [
        ("00:15-00:19", ((15.0, 19.0),), {}),
        ("1:29:00-1:31:00", ((5340.0, 5400.0),), {"evidence past the end was clipped": 1}),
        ("", (), {}),
        (None, (), {}),
        ("None-None", (), {"time_reference names no time": 1}),
        # one second is named
        ("00:15-00:15", ((15.0, 16.0),), {}),
    ],
)
def test_time_references(
    tmp_path: Path, reference: str | None, evidence: object, flags: dict[str, int]
) -> None:
    done = imported(tmp_path, video({"time_reference": reference}))
    assert done.item.evidence == evidence
    assert done.summary.flags == flags


def test_faulty_questions_are_left_out_alone(tmp_path: Path) -> None:
    done = imported(tmp_path, video({}, {"question": "What?"}, {"answer": "E"}, {"answer": None}))
    assert list(done.items) == ["lv_bench/40"]
    assert sorted(done.left_out.values()) == [
        "answer is no letter of an option: 'E'",
        "field 'answer' is missing",
        "question names no options A, B, ...",
    ]
