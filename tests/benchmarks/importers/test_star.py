from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations
from tests.videos_on_disk import tiny_video

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


def test_key_frames_count_from_one_at_the_rate_of_the_video(tmp_path: Path) -> None:
    path = star(tmp_path, {"situations": {"000037": SITUATION, "000031": SITUATION}})
    tiny_video(tmp_path / "star" / "videos" / "AB0CD.mp4", n_frames=80, fps=4)
    done = run_import("star", path, ["AB0CD.mp4"])
    # frame 000031 is the 31st: thirty are shown before it
    assert done.item.evidence == ((7.5, 7.75), (9.0, 9.25))
    assert done.item.evidence_kind == "frame"
    assert done.summary.flags == {}


def test_a_row_of_parquet_has_its_own_key_frames_alone(tmp_path: Path) -> None:
    # a table has the names of all rows in each row, with null where a row has none
    labels = {"rel_labels": ["o1"]}
    two = rows({"situations": {"000037": labels}}, {"situations": {"000031": labels}})
    for row in two:
        row["choices"] = [{**choice, "choice_program": ["p"]} for choice in CHOICES]
        row["question_program"] = ["p"]
    path = write_annotations(tmp_path / "star" / "STAR_val.parquet", two)
    tiny_video(tmp_path / "star" / "videos" / "AB0CD.mp4", n_frames=80, fps=4)
    done = run_import("star", path, ["AB0CD.mp4"])
    assert [item.evidence for item in done.items.values()] == [((9.0, 9.25),), ((7.5, 7.75),)]


def test_key_frames_outside_the_clip_are_dropped(tmp_path: Path) -> None:
    frames = {"000030": SITUATION, "000031": SITUATION, "000063": SITUATION, "000999": SITUATION}
    path = star(tmp_path, {"situations": frames})
    tiny_video(tmp_path / "star" / "videos" / "AB0CD.mp4", n_frames=80, fps=4)
    done = run_import("star", path, ["AB0CD.mp4"])
    assert done.item.evidence == ((7.5, 7.75),)
    assert done.summary.flags == {
        "evidence frames past the end were dropped": 1,
        "evidence frames outside the part that is asked about were dropped": 1,
    }


def test_without_a_rate_there_is_no_evidence(tmp_path: Path) -> None:
    done = run_import("star", star(tmp_path, {}), ["AB0CD.mp4"])
    assert (done.item.evidence, done.item.evidence_kind) == ((), None)
    assert done.summary.flags == {"evidence frames were dropped": 1}


def test_with_the_bounds_go_the_key_frames(tmp_path: Path) -> None:
    path = star(tmp_path, {}, {"situations": {}})
    tiny_video(tmp_path / "star" / "videos" / "AB0CD.mp4", n_frames=80, fps=4)
    done = run_import("star", path, ["AB0CD.mp4"], bounds="drop")
    for item in done.items.values():
        assert (item.start_s, item.end_s, item.evidence) == (None, None, ())
    (flag,) = done.summary.flags.items()
    assert flag == ("key frames were dropped with the bounds, they count in the uncut video", 1)


def test_the_test_split_is_refused(tmp_path: Path) -> None:
    hidden = {name: value for name, value in ROW.items() if name != "answer"}
    path = write_annotations(tmp_path / "star" / "STAR_test.json", [hidden])
    with pytest.raises(ItemError, match="withholds its gold answers"):
        run_import("star", path, ["AB0CD.mp4"])
    assert not (tmp_path / "star" / "items.jsonl").exists()


def test_single_rows_without_gold_are_left_out(tmp_path: Path) -> None:
    done = run_import("star", star(tmp_path, {}, {"answer": None}), ["AB0CD.mp4"])
    assert done.left_out == {"star/Sequence_T1_2": "answer is withheld"}


def test_faulty_rows_are_left_out(tmp_path: Path) -> None:
    twice = [*CHOICES[:3], {"choice_id": 0, "choice": "The cup."}]
    path = star(
        tmp_path, {}, {"answer": "The cup."}, {"choices": twice}, {"situations": {"x": SITUATION}}
    )
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
