from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

QUESTION = {
    "id": 3,
    "question": "Under which cup is the coin at the end?",
    "options": ["the left one", "the middle one", "the right one"],
    "answer_id": 2,
    "area": "memory",
    "reasoning": "descriptive",
    "tag": ["object permanence", "event counting"],
}
METADATA = {
    "split": "valid",
    "frame_rate": 30.0,
    "num_frames": 600,
    "resolution": [720, 1280],
    "is_cup_game": 1,
    "is_camera_moving": 0,
}


def video(*questions: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {**METADATA, **metadata},
        "object_tracking": [],
        "action_localisation": [
            {"id": 0, "label": "Moving", "timestamps": [1000000, 9000000], "frame_ids": [30, 270]}
        ],
        "mc_question": [{**QUESTION, "id": i, **change} for i, change in enumerate(questions)],
    }


def annotations(tmp_path: Path, videos: dict[str, Any], cuts: dict[str, Any] | None = None) -> Path:
    path = write_annotations(tmp_path / "valid" / "mc_question_valid.json", videos)
    if cuts is not None:
        write_annotations(path.with_name("cut_frame_mapping_valid.json"), cuts)
    return path


def test_a_question_becomes_an_item(tmp_path: Path) -> None:
    path = annotations(tmp_path, {"video_1": video({})}, {"video_1": -1})
    done = run_import("perception_test", path, ["video_1.mp4"])
    item = done.item
    assert (item.id, item.video) == ("perception_test/video_1/0", "videos/video_1.mp4")
    assert (item.options[2], item.answer) == ("the right one", 2)
    assert (item.category, item.skill, item.end_s) == ("Descriptive", "perception", None)
    assert done.summary.flags == {}


def test_an_item_ends_where_its_video_is_to_be_cut(tmp_path: Path) -> None:
    videos = {"video_1": video({}), "video_2": video({}, is_cup_game=0)}
    path = annotations(tmp_path, videos, {"video_1": 450, "video_2": 300})
    for given in (path, path.parent):
        done = run_import("perception_test", given, ["video_1.mp4", "video_2.mp4"])
        assert [item.end_s for item in done.items.values()] == [15.0, 10.0]
        assert done.summary.flags == {"ends at its cut": 2}
        assert len(done.summary.source.annotations) == 2


def test_actions_are_no_evidence(tmp_path: Path) -> None:
    path = annotations(tmp_path, {"video_1": video({})}, {})
    done = run_import("perception_test", path, ["video_1.mp4"])
    assert (done.item.evidence, done.item.evidence_kind) == ((), None)


def test_a_cup_game_without_its_cut_says_so(tmp_path: Path) -> None:
    path = annotations(tmp_path, {"video_1": video({}), "video_2": video({}, is_cup_game=0)})
    done = run_import("perception_test", path, ["video_1.mp4", "video_2.mp4"])
    assert done.summary.flags == {"cup game without its cut": 1}


def test_dropped_bounds_say_that_the_end_may_show_the_answer(tmp_path: Path) -> None:
    path = annotations(tmp_path, {"video_1": video({})}, {"video_1": 450})
    done = run_import("perception_test", path, ["video_1.mp4"], bounds="drop")
    assert done.item.end_s is None
    assert done.summary.flags == {"cut was dropped with the bounds": 1}


def test_roles_are_kinds_of_reasoning_and_may_be_areas_and_tags(tmp_path: Path) -> None:
    kinds = ("explanatory", "Predictive", "counterfactual", "descriptive")
    path = annotations(tmp_path, {"video_1": video(*({"reasoning": kind} for kind in kinds))}, {})
    done = run_import("perception_test", path, ["video_1.mp4"])
    skills = [item.skill for item in done.items.values()]
    assert skills == ["reasoning", "reasoning", "reasoning", "perception"]
    roles = write_annotations(
        tmp_path / "roles.json",
        {"perception_test": {"Descriptive": "other", "event counting": "reasoning"}},
    )
    done = run_import("perception_test", path, ["video_1.mp4"], roles=roles)
    assert {item.skill for item in done.items.values()} == {"reasoning"}
    assert done.summary.unused_roles == ()


def test_withheld_answers_are_left_out_and_a_file_of_them_is_refused(tmp_path: Path) -> None:
    hidden = {**QUESTION}
    del hidden["answer_id"]
    some = video({}, {"answer_id": None}, {"answer_id": -1})
    some["mc_question"].append({**hidden, "id": 9})
    path = annotations(tmp_path, {"video_1": some}, {})
    done = run_import("perception_test", path, ["video_1.mp4"])
    assert set(done.left_out.values()) == {"answer is withheld"}
    assert len(done.left_out) == 3
    path = annotations(tmp_path, {"video_1": video({"answer_id": None})}, {})
    with pytest.raises(ItemError, match="answer is withheld"):
        run_import("perception_test", path, ["video_1.mp4"])


def test_videos_without_questions_and_faulty_questions_are_left_out_alone(tmp_path: Path) -> None:
    videos = {"video_1": video(), "video_2": video({}, {"answer_id": 3}, {"options": "x"})}
    path = annotations(tmp_path, videos, {})
    done = run_import("perception_test", path, ["video_1.mp4", "video_2.mp4"])
    assert list(done.items) == ["perception_test/video_2/0"]
    assert list(done.left_out.values()) == [
        "no multiple-choice question",
        "answer_id is no index of an option: 3",
        "field 'options' is no list of texts",
    ]


def port(name: str, **changes: Any) -> dict[str, Any]:
    row = {**QUESTION, "video_name": name, "question_id": "3", "answer_id": "2"}
    del row["id"]
    return {**row, **changes}


def test_rows_of_the_port(tmp_path: Path) -> None:
    path = write_annotations(
        tmp_path / "val" / "mc_question_val.parquet",
        [port("video_1"), port("video_2", answer_id="-1")],
    )
    done = run_import("perception_test", path, ["video_1.mp4", "video_2.mp4"])
    assert done.items["perception_test/video_1/3"].answer == 2
    assert done.left_out == {"perception_test/video_2/3": "answer is withheld"}


def test_rows_of_the_port_without_cuts_say_so(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "val" / "q.parquet", [port("video_1"), port("video_2")])
    done = run_import("perception_test", path, ["video_1.mp4", "video_2.mp4"])
    assert done.summary.flags == {"cut is not known": 2}
    write_annotations(path.with_name("cut_frame_mapping_valid.json"), {"video_2": -1})
    done = run_import("perception_test", path, [])
    assert done.summary.flags == {"cut is not known": 1}


def test_a_cut_of_unknown_time_leaves_the_row_out(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "val" / "q.parquet", [port("video_1"), port("video_2")])
    write_annotations(path.with_name("cut_frame_mapping_valid.json"), {"video_1": 9, "video_2": -1})
    done = run_import("perception_test", path, ["video_1.mp4", "video_2.mp4"])
    assert list(done.items) == ["perception_test/video_2/3"]
    (reason,) = done.left_out.values()
    assert reason.startswith("cut at a frame, but the frame rate is not known")


@pytest.mark.parametrize(
    ("videos", "message"),
    [({"video_1": {"questions": []}}, "is neither a video"), ({"video_1": 60}, "not an object")],
)
def test_another_file_is_refused(tmp_path: Path, videos: dict[str, Any], message: str) -> None:
    path = annotations(tmp_path, videos)
    with pytest.raises(ItemError, match=message):
        run_import("perception_test", path, ["video_1.mp4"])


def test_cuts_alone_are_no_questions(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "c" / "cut_frame_mapping_valid.json", {"video_1": 3})
    with pytest.raises(ItemError, match="has no questions"):
        run_import("perception_test", path, ["video_1.mp4"])
