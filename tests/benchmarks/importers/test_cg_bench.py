from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "qid": 17,
    "video_uid": "kd-3_x",
    "question": "When does the lamp first flicker?",
    "answer": "After the storm",
    "choices": ["At noon", "After the storm", "Before the storm", "Never", "Twice"],
    "right_answer": "B",
    "clue_intervals": [[600, 605], [900, 902]],
    "domain": "Daily life",
    "sub_category": "Time Perception",
    "duration": 1800,
}
SHORT = "clues are shorter than the step between 32 frames and may show on none"


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "qid": i, **change} for i, change in enumerate(changes, 1)]


@pytest.mark.parametrize("suffix", ["json", "parquet"])
def test_a_row_becomes_an_item(tmp_path: Path, suffix: str) -> None:
    path = write_annotations(tmp_path / f"cgbench_mini.{suffix}", rows({}))
    item = run_import("cg-bench", path, ["kd-3_x.mp4"]).item
    assert (item.id, item.video) == ("cg_bench/1", "videos/kd-3_x.mp4")
    assert (len(item.options), item.answer) == (5, 1)
    assert (item.skill, item.category) == ("perception", "Time Perception")
    assert item.evidence == ((600.0, 605.0), (900.0, 902.0))
    assert item.evidence_kind == "span"


def test_roles(tmp_path: Path) -> None:
    kinds = ("Time Cognition", "Event Cognition", "Time Perception", "Hallucination")
    path = write_annotations(tmp_path / "m.json", rows(*({"sub_category": k} for k in kinds)))
    done = run_import("cg_bench", path, ["kd-3_x.mp4"])
    skills = [item.skill for item in done.items.values()]
    assert skills == ["reasoning", "reasoning", "perception", "other"]


def test_the_tiny_share_of_clues_is_in_the_summary_and_flagged(tmp_path: Path) -> None:
    path = write_annotations(
        tmp_path / "m.json",
        rows(
            {"clue_intervals": [[10, 13.6]]},
            {"clue_intervals": [[10, 28]]},
            # as long as the step between 32 frames, 56.25 s: one frame shows it
            {"clue_intervals": [[0, 56.25]]},
        ),
    )
    done = run_import("cg_bench", path, ["kd-3_x.mp4"])
    assert done.summary.evidence_share == pytest.approx(0.01)
    assert done.summary.evidence_share_of == 3
    assert done.summary.flags == {SHORT: 2}


def test_chance_is_of_each_items_own_options(tmp_path: Path) -> None:
    eight = [f"option {i}" for i in range(8)]
    path = write_annotations(
        tmp_path / "m.json", rows({}, {"choices": eight, "right_answer": "H", "answer": eight[7]})
    )
    done = run_import("cg_bench", path, ["kd-3_x.mp4"])
    assert done.items["cg_bench/2"].answer == 7
    assert done.summary.chance == pytest.approx((1 / 5 + 1 / 8) / 2)


def test_the_letter_counts_where_answer_differs(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "m.json", rows({"answer": "After a storm"}))
    done = run_import("cg_bench", path, ["kd-3_x.mp4"])
    assert done.item.answer == 1
    assert "answer is not the text of its letter, which counts" in done.summary.flags


def test_clues_past_the_end_are_clipped(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "m.json", rows({"clue_intervals": [[1700, 1900]]}))
    done = run_import("cg_bench", path, ["kd-3_x.mp4"])
    assert done.item.evidence == ((1700.0, 1800.0),)
    assert done.summary.flags == {"evidence past the end was clipped": 1}


def test_rows_without_gold_are_left_out_and_a_file_without_any_is_refused(tmp_path: Path) -> None:
    hidden = {"right_answer": None, "answer": None}
    path = write_annotations(tmp_path / "m.json", rows({}, hidden))
    assert len(run_import("cg_bench", path, ["kd-3_x.mp4"]).left_out) == 1
    path = write_annotations(tmp_path / "m.json", rows(hidden))
    with pytest.raises(ItemError, match="right_answer"):
        run_import("cg_bench", path, ["kd-3_x.mp4"])


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "m.json", [{"videoID": "x", "question": "?"}])
    with pytest.raises(ItemError, match="no field 'qid'"):
        run_import("cg_bench", path, ["kd-3_x.mp4"])
