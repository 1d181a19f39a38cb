from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

METADATA = {
    "CLIP-reference-interval-clip": [10.0, 12.0],
    "CLIP-reference-interval-video": [310.0, 312.0],
    "frame_rate": 30.0,
    "vclip_duration": 480.0,
    "vclip_frame_count": 14400,
    "vclip_interval_in_video": [300.0, 780.0],
    "video_duration": 3600.0,
    "video_frame_count": 108000,
    "video_id": "day-1",
}
ROW = {
    "video_id": "day-1",
    "vclip_id": "clip-7",
    "question": "Where did I leave the ladder?",
    "options": {"A": "by the wall", "B": "in the van", "C": "outside", "D": None, "E": None},
    "answer": "C",
    "frame_indexes_video": [9330, 9300],
    "frame_indexes_vclip": [330, 300],
    "video_metadata": METADATA,
}


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "question": f"Question {i}?", **c} for i, c in enumerate(changes, 1)]


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_key_frames_of_the_whole_video(tmp_path: Path, suffix: str) -> None:
    path = write_annotations(tmp_path / f"val.{suffix}", rows({}))
    done = run_import("video_haystack", path, ["day-1.mp4", "clip-7.mp4"])
    item = done.item
    assert item.id.startswith("video_haystack/clip-7/")
    assert (item.video, item.group) == ("videos/day-1.mp4", "day-1")
    assert item.options == ("by the wall", "in the van", "outside")
    assert item.answer == 2
    assert item.evidence == (
        (310.0, pytest.approx(310 + 1 / 30)),
        (311.0, pytest.approx(311 + 1 / 30)),
    )
    assert item.evidence_kind == "frame"
    assert done.summary.evidence_share == pytest.approx(2 / 30 / 3600)


@pytest.mark.parametrize("frames", [[330, 300], [330.0, 300.0]])
def test_key_frames_of_the_clip(tmp_path: Path, frames: list[float]) -> None:
    path = write_annotations(tmp_path / "val.parquet", rows({"frame_indexes_vclip": frames}))
    done = run_import("video_haystack", path, ["day-1.mp4", "clip-7.mp4"], subset="clip")
    assert (done.item.video, done.item.group) == ("videos/clip-7.mp4", "day-1")
    assert done.item.evidence[0][0] == 10.0
    assert done.summary.evidence_share == pytest.approx(2 / 30 / 480)


def test_ids_do_not_hang_on_the_order_of_rows(tmp_path: Path) -> None:
    both = rows({}, {})
    first = run_import(
        "video_haystack", write_annotations(tmp_path / "a.json", both), ["day-1.mp4"]
    )
    second = run_import(
        "video_haystack", write_annotations(tmp_path / "a.json", both[::-1]), ["day-1.mp4"]
    )
    assert len(first.items) == 2
    assert first.items == second.items


def test_frames_without_a_rate_are_no_evidence(tmp_path: Path) -> None:
    metadata = {**METADATA, "frame_rate": None}
    path = write_annotations(tmp_path / "val.json", rows({"video_metadata": metadata}, {}))
    done = run_import("video_haystack", path, ["day-1.mp4"])
    assert done.summary.with_evidence == 1
    assert done.summary.flags == {"key frames without a frame rate were dropped": 1}


def test_frames_past_the_end_are_dropped(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "val.json", rows({"frame_indexes_video": [9300, 108030]}))
    done = run_import("video_haystack", path, ["day-1.mp4"])
    assert len(done.item.evidence) == 1
    assert done.summary.flags == {"evidence past the end was dropped": 1}


def test_faulty_rows_are_left_out(tmp_path: Path) -> None:
    path = write_annotations(
        tmp_path / "val.json",
        rows({}, {"answer": "D"}, {"answer": None}, {"frame_indexes_video": ["x"]}),
    )
    done = run_import("video_haystack", path, ["day-1.mp4"])
    assert list(done.left_out.values()) == [
        "answer is no letter of an option: 'D'",
        "field 'answer' is missing",
        "field 'frame_indexes_video' is no list of frame numbers",
    ]


def test_without_any_gold_the_file_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "test.json", rows({"answer": ""}))
    with pytest.raises(ItemError, match="answer"):
        run_import("video_haystack", path, ["day-1.mp4"])


@pytest.mark.parametrize("field", ["options", "video_metadata"])
@pytest.mark.parametrize("value", [[], "x", None])
def test_a_row_whose_parts_are_no_objects_is_left_out(
    tmp_path: Path, field: str, value: object
) -> None:
    path = write_annotations(tmp_path / "val.json", rows({}, {field: value}))
    (reason,) = run_import("video_haystack", path, ["day-1.mp4"]).left_out.values()
    assert reason in (f"field {field!r} is no object", f"field {field!r} is missing")
