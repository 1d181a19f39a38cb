from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

CHOICES = [
    {"choice_id": 2, "choice": "The towel.", "choice_program": []},
    {"choice_id": 0, "choice": "The broom.", "choice_program": []},
    {"choice_id": 3, "choice": "The bag.", "choice_program": []},
    {"choice_id": 1, "choice": "The sandwich.", "choice_program": []},
]
SITUATION = {"rel_pairs": [], "rel_labels": [], "actions": [], "bbox": [], "bbox_labels": []}
ROW = {
    "question_id": "Interaction_T1_4",
    "video_id": "AB0CD",
    "start": 7.5,
    "end": 15.5,
    "question": "Which object was taken by the person?",
    "answer": "The towel.",
    "question_program": [],
    "choices": CHOICES,
    "situations": {"000251": SITUATION, "000226": SITUATION},
}
NO_RATE = "key frames without a frame rate were left out"


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "question_id": f"Sequence_T1_{i}", **c} for i, c in enumerate(changes, 1)]


def star(tmp_path: Path, *changes: dict[str, Any]) -> Path:
    return write_annotations(tmp_path / "star" / "STAR_val.json", rows(*changes))


def test_options_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = star(tmp_path, {"question_id": "Interaction_T1_4"})
    item = run_import("star", path, ["AB0CD.mp4"]).item
    assert item.id == "star/Interaction_T1_4"
    assert item.options == ("The broom.", "The sandwich.", "The towel.", "The bag.")
    assert item.answer == 2
    assert (item.category, item.skill) == ("Interaction", "perception")


def test_start_and_end_bound_the_clip(tmp_path: Path) -> None:
    item = run_import("star", star(tmp_path, {}), ["AB0CD.mp4"]).item
    assert (item.start_s, item.end_s) == (7.5, 15.5)


def test_roles_and_subsets_are_kinds_of_questions(tmp_path: Path) -> None:
    kinds = ("Interaction", "Sequence", "Prediction", "Feasibility")
    path = star(tmp_path, *({"question_id": f"{kind}_T2_1"} for kind in kinds))
    done = run_import("star", path, ["AB0CD.mp4"])
    skills = [item.skill for item in done.items.values()]
    assert skills == ["perception", "reasoning", "reasoning", "reasoning"]
    done = run_import("star", path, ["AB0CD.mp4"], subset="Feasibility")
    assert list(done.items) == ["star/Feasibility_T2_1"]


def test_key_frames_have_no_time_without_a_rate(tmp_path: Path) -> None:
    done = run_import("star", star(tmp_path, {}), ["AB0CD.mp4"])
    assert (done.item.evidence, done.item.evidence_kind) == ((), None)
    assert done.summary.flags == {NO_RATE: 1}


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_key_frames_count_from_one_at_the_videos_own_rate(tmp_path: Path, form: str) -> None:
    path = star(tmp_path, {}, {"video_id": "EF1GH"})
    rates = {"AB0CD.mp4": 30.0}
    if form == "json":
        write_annotations(path.with_name("video_fps.json"), rates)
    else:
        path.with_name("video_fps").write_bytes(pickle.dumps(rates))
    done = run_import("star", path, ["AB0CD.mp4", "EF1GH.mp4"])
    item = done.items["star/Sequence_T1_1"]
    # frame 226 is the 226th
    assert item.evidence == (
        (7.5, pytest.approx(7.5 + 1 / 30)),
        (pytest.approx(250 / 30), pytest.approx(251 / 30)),
    )
    assert item.evidence_kind == "frame"
    assert done.items["star/Sequence_T1_2"].evidence == ()
    assert done.summary.flags == {NO_RATE: 1}
    assert len(done.summary.source.annotations) == 2


def test_key_frames_outside_the_clip_are_dropped(tmp_path: Path) -> None:
    path = star(tmp_path, {"situations": {"000225": SITUATION, "000300": SITUATION}})
    write_annotations(path.with_name("video_fps.json"), {"AB0CD.mp4": 30.0})
    done = run_import("star", path, ["AB0CD.mp4"])
    assert done.item.evidence == ((pytest.approx(299 / 30), pytest.approx(10.0)),)
    assert done.summary.flags == {"key frames outside the clip were dropped": 1}


def test_with_the_bounds_go_the_key_frames(tmp_path: Path) -> None:
    path = star(tmp_path, {})
    write_annotations(path.with_name("video_fps.json"), {"AB0CD.mp4": 30.0})
    done = run_import("star", path, ["AB0CD.mp4"], bounds="drop")
    assert (done.item.start_s, done.item.end_s, done.item.evidence) == (None, None, ())
    assert done.summary.flags == {"key frames were dropped with the bounds": 1}


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("ran"),))


def test_a_pickle_that_could_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = star(tmp_path, {})
    path.with_name("video_fps").write_bytes(pickle.dumps({"AB0CD.mp4": _Code()}))
    with pytest.raises(ItemError, match=r"cannot read frame rates .*give video_fps\.json"):
        run_import("star", path, ["AB0CD.mp4"])
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x80", b"no pickle", pickle.dumps([1])])
def test_rates_of_another_form_are_refused(tmp_path: Path, content: bytes) -> None:
    path = star(tmp_path, {})
    path.with_name("video_fps").write_bytes(content)
    with pytest.raises(ItemError, match="frame rates"):
        run_import("star", path, ["AB0CD.mp4"])


def test_the_test_split_is_refused(tmp_path: Path) -> None:
    hidden = {name: value for name, value in ROW.items() if name != "answer"}
    path = write_annotations(tmp_path / "star" / "STAR_test.json", [hidden])
    with pytest.raises(ItemError, match="answer is withheld"):
        run_import("star", path, ["AB0CD.mp4"])
    assert not (tmp_path / "star" / "items.jsonl").exists()


def test_faulty_rows_are_left_out(tmp_path: Path) -> None:
    twice = [*CHOICES[:3], {"choice_id": 0, "choice": "The cup."}]
    path = star(
        tmp_path, {}, {"answer": "The cup."}, {"choices": twice}, {"situations": {"x": SITUATION}}
    )
    write_annotations(path.with_name("video_fps.json"), {"AB0CD.mp4": 30.0})
    done = run_import("star", path, ["AB0CD.mp4"])
    assert list(done.left_out.values()) == [
        "answer is none of the options: 'The cup.'",
        "two choices have the same choice_id",
        "field 'situations' is no object of frame numbers",
    ]


def test_a_directory_with_several_splits_is_refused(tmp_path: Path) -> None:
    path = star(tmp_path, {})
    write_annotations(path.with_name("STAR_train.json"), rows({}))
    with pytest.raises(ItemError, match=r"STAR_train\.json, STAR_val\.json"):
        run_import("star", path.parent, ["AB0CD.mp4"])
