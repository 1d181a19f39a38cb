from __future__ import annotations

from pathlib import Path

from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "video ID": "hH9",
    "Question ID": 3,
    "Question Type": "TCI",
    "Question": "Why does the lamp go out at 00:41?",
    "Options": {"A": "wind", "B": "a ghost", "C": "a fuse", "D": "rain", "E": "a cat", "F": "no"},
    "Answer": "C",
    "Explanation": "The fuse burns (01:30-02:27), which is why.",
}


def test_fields_have_blanks_in_their_names(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "test_Video-Holmes.json", [ROW])
    item = run_import("video_holmes", path, ["hH9.mp4"]).item
    assert (item.id, item.category, item.skill) == ("video_holmes/hH9/3", "TCI", "reasoning")
    assert (item.options[item.answer], len(item.options)) == ("a fuse", 6)


def test_times_in_texts_are_weak_evidence(tmp_path: Path) -> None:
    plain = {**ROW, "Question ID": 4, "Question": "Why?", "Explanation": "No times here."}
    path = write_annotations(tmp_path / "test_Video-Holmes.json", [ROW, plain])
    done = run_import("video_holmes", path, ["hH9.mp4"])
    item = done.items["video_holmes/hH9/3"]
    assert (item.evidence, item.evidence_kind) == (((41.0, 42.0), (90.0, 147.0)), "weak")
    assert done.items["video_holmes/hH9/4"].evidence_kind is None
    assert (done.summary.with_evidence, done.summary.evidence_share) == (1, None)


def test_a_missing_video_is_never_a_question_without_one(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "t.json", [ROW, {**ROW, "video ID": "gone"}])
    done = run_import("video_holmes", path, ["hH9.mp4"])
    assert done.left_out == {"video_holmes/gone/3": "no video: gone"}


def test_letters_must_count_from_a(tmp_path: Path) -> None:
    gap = {**ROW, "Question ID": 5, "Options": {"A": "x", "C": "y"}}
    path = write_annotations(tmp_path / "t.json", [ROW, gap])
    done = run_import("video_holmes", path, ["hH9.mp4"])
    assert done.left_out == {"t.json, row 2": "field 'Options' does not count letters from A"}
