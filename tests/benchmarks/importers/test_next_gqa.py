from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import AnImport, run_import, write_annotations

HEADER = "video_id,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4\n"
WHY = "801,900,320,240,why did she wave,to greet,1,CW,to rest,to greet,to point,to clap,to sing\n"
LOCATED = {"801": {"duration": 30, "location": {"1": [[12.5, 15.0], [2.0, 4.5]]}, "fps": 29.97}}


def imported(folder: Path, row: str, located: dict[str, object] | None = None) -> AnImport:
    (folder / "val.csv").write_text(HEADER + row)
    write_annotations(folder / "gsub_val.json", located or LOCATED)
    return run_import("next_gqa", folder / "val.csv", ["801.mp4"])


def test_spans_are_joined_by_video_and_question(tmp_path: Path) -> None:
    done = imported(tmp_path, WHY)
    assert done.item.evidence == ((2.0, 4.5), (12.5, 15.0))
    assert (done.item.evidence_kind, done.item.answer) == ("span", 1)
    assert (done.item.skill, done.item.id) == ("reasoning", "next_gqa/801/1")
    assert done.summary.evidence_share == pytest.approx(5 / 30)
    assert (done.summary.with_evidence, done.summary.evidence_share_of) == (1, 1)


def test_a_question_whose_number_is_a_float_has_its_spans(tmp_path: Path) -> None:
    done = imported(tmp_path, WHY.replace(",1,CW", ",1.0,CW"))
    assert (done.item.id, len(done.item.evidence)) == ("next_gqa/801/1", 2)


def test_spans_past_the_end_are_clipped_and_said(tmp_path: Path) -> None:
    located = {"801": {"duration": 30, "location": {"1": [[28.0, 33.5], [31.0, 32.0]]}}}
    done = imported(tmp_path, WHY, located)
    assert done.item.evidence == ((28.0, 30.0),)
    assert done.summary.flags == {
        "evidence past the end was clipped": 1,
        "evidence past the end was dropped": 1,
    }


def test_the_whole_second_that_a_duration_is_rounded_to_is_no_frame(tmp_path: Path) -> None:
    # 900 frames at 30.2 a second end before the published 30 s
    located = {"801": {"duration": 30, "location": {"1": [[28.0, 30.0], [1.0, 2.0]]}, "fps": 30.2}}
    done = imported(tmp_path, WHY, located)
    assert done.item.evidence == ((1.0, 2.0), (28.0, pytest.approx(900 / 30.2)))
    assert done.summary.flags == {}
    # a rate that cannot be true changes nothing
    located["801"]["fps"] = 60.0
    assert imported(tmp_path, WHY, located).item.evidence == ((1.0, 2.0), (28.0, 30.0))


def test_a_repeated_option_is_dropped_and_said(tmp_path: Path) -> None:
    done = imported(tmp_path, WHY.replace("to clap", "to greet"))
    assert done.item.options == ("to rest", "to greet", "to point", "to sing")
    assert done.item.options[done.item.answer] == "to greet"
    assert done.summary.flags == {"repeated option was dropped": 1}
    assert done.summary.chance == 0.25


def test_a_question_without_spans_has_no_evidence(tmp_path: Path) -> None:
    done = imported(tmp_path, WHY.replace(",1,CW", ",2,CW"))
    assert (done.item.evidence, done.item.evidence_kind) == ((), None)
    assert done.summary.flags == {"no evidence": 1}


def test_previous_is_reasoning_here_too(tmp_path: Path) -> None:
    item = imported(tmp_path, WHY.replace(",CW,", ",TP,")).item
    assert (item.category, item.skill) == ("TP", "reasoning")


def test_the_spans_must_be_beside_the_csv_and_whole(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(HEADER + WHY)
    with pytest.raises(ItemError, match=r"no spans at .*gsub_test.json"):
        run_import("next_gqa", tmp_path / "test.csv", [])
    (tmp_path / "gsub_test.json").write_text('{"801": {"duration": 30, "loc')
    with pytest.raises(ItemError, match=r"gsub_test.json is not JSON in row 1: torn"):
        run_import("next_gqa", tmp_path / "test.csv", [])


def test_a_directory_without_a_split_is_told_all_that_serve(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match=r"holds no val.csv or test.csv; valid: val.csv, test.csv"):
        run_import("next_gqa", tmp_path, [])
