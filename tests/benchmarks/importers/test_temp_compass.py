from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

CHOICE = {"question": "Where does the ball go? \nA. left\nB. right\nC. up", "answer": "B. right"}
BACK = {**CHOICE, "answer": "A. left"}
CAPTIONS = {
    "question": "Which caption fits?\nCaption A: It goes left.\nCaption B: It goes right.",
    "answer": "Caption B: It goes right.",
}
OPTIONS = {
    "question": "Which description fits?\nOption 1: It goes left.\nOption 2: It goes right.",
    "answer": "Option 2: It goes right.",
}


def write_questions(folder: Path) -> Path:
    choices = {
        # published files have the reversed video before its origin, too
        "7_reverse": {"direction": [BACK]},
        "7": {"direction": [CHOICE], "action": [CHOICE]},
        "9_concat_0": {"speed": [CHOICE]},
        "9_concat_1": {"speed": [BACK]},
        "9": {"speed": [CHOICE]},
        "11_12_0": {"order": [CHOICE]},
        "11_12_1": {"order": [BACK]},
    }
    write_annotations(folder / "multi-choice.json", choices)
    yes_no = [{"question": "Is it?", "answer": "yes"}, {"question": "Not?", "answer": "no"}]
    write_annotations(folder / "yes_no.json", {"7": {"direction": yes_no}})
    matching = {"7": {"direction": [CAPTIONS, OPTIONS]}}
    write_annotations(folder / "caption_matching.json", matching)
    return folder


VIDEOS = [f"{n}.mp4" for n in ("7", "7_reverse", "9", "9_concat_0", "9_concat_1", "11_12_0")]


def test_options_are_taken_out_of_the_question(tmp_path: Path) -> None:
    done = run_import("temp_compass", write_questions(tmp_path / "questions"), VIDEOS)
    item = done.items["temp_compass/multi-choice/7/direction/1"]
    assert item.question == "Where does the ball go?"
    assert (item.options, item.answer) == (("left", "right", "up"), 1)
    yes, no = (done.items[f"temp_compass/yes_no/7/direction/{n}"] for n in (1, 2))
    assert (yes.options, yes.answer, no.answer) == (("yes", "no"), 0, 1)
    for number in (1, 2):
        item = done.items[f"temp_compass/caption_matching/7/direction/{number}"]
        assert (item.options, item.answer) == (("It goes left.", "It goes right."), 1)


def test_a_yes_no_question_may_have_two_lines(tmp_path: Path) -> None:
    asked = {"question": "Look at the ball.\nDoes it go left?", "answer": "no"}
    path = write_annotations(tmp_path / "yes_no.json", {"7": {"direction": [asked]}})
    item = run_import("temp_compass", path, ["7.mp4"]).item
    assert (item.id, item.options) == ("temp_compass/yes_no/7/direction/1", ("yes", "no"))
    assert (item.question, item.answer) == (asked["question"], 1)


def test_questions_on_videos_of_one_origin_are_a_pair(tmp_path: Path) -> None:
    done = run_import("temp_compass", write_questions(tmp_path / "q"), [*VIDEOS, "11_12_1.mp4"])
    pairs = {name.removeprefix("temp_compass/"): item.pair for name, item in done.items.items()}
    assert pairs["multi-choice/7/direction/1"] == "7/direction/multi-choice"
    assert pairs["multi-choice/7_reverse/direction/1"] == "7/direction/multi-choice"
    assert pairs["multi-choice/9_concat_0/speed/1"] == "9_concat/speed/multi-choice"
    assert pairs["multi-choice/9_concat_1/speed/1"] == "9_concat/speed/multi-choice"
    assert pairs["multi-choice/11_12_1/order/1"] == "11_12/order/multi-choice"
    assert done.summary.broken_pairs == 0
    # a question that only one of the videos has is no pair
    assert pairs["multi-choice/7/action/1"] == ""
    assert pairs["multi-choice/9/speed/1"] == ""
    # and the reversed video has no such question in this file
    assert pairs["yes_no/7/direction/1"] == ""


def test_a_pair_that_lacks_a_video_is_said(tmp_path: Path) -> None:
    # 11_12_1.mp4 is not among the videos
    done = run_import("temp_compass", write_questions(tmp_path / "q"), VIDEOS)
    assert done.summary.broken_pairs == 1


def test_items_of_a_pair_say_how_many_it_has(tmp_path: Path) -> None:
    """So that two questions on the one video that is there are not taken for the whole pair."""
    questions = {
        "7": {"direction": [CHOICE, BACK], "action": [CHOICE, BACK]},
        "7_reverse": {"direction": [BACK, CHOICE]},
        "9": {"speed": [CHOICE]},
        "9_reverse": {"speed": [{**CHOICE, "answer": "D. down"}]},
        "5": {"order": [CHOICE]},
        "5_reverse": {"order": [BACK]},
    }
    path = write_annotations(tmp_path / "multi-choice.json", questions)
    done = run_import("temp_compass", path, ["7.mp4", "9.mp4", "9_reverse.mp4"])
    sizes = {name.removeprefix("temp_compass/multi-choice/"): item.pair_size
             for name, item in done.items.items()}  # fmt: skip
    assert sizes == {
        "7/direction/1": 4, "7/direction/2": 4,  # 7_reverse.mp4 is missing
        "7/action/1": None, "7/action/2": None,  # no pair
        "9/speed/1": 2,  # the row of 9_reverse has no answer
    }  # fmt: skip
    # a pair of which nothing is here lacks no item: it is not here
    assert done.summary.broken_pairs == 2


def test_videos_of_one_origin_are_one_group(tmp_path: Path) -> None:
    done = run_import("temp_compass", write_questions(tmp_path / "q"), VIDEOS)
    groups = {item.id.split("/")[2]: item.group for item in done.items.values()}
    assert groups["7"] == groups["7_reverse"] == "7"
    assert groups["9"] == groups["9_concat_1"] == "9"


def test_a_video_of_two_others_links_them(tmp_path: Path) -> None:
    videos = ("8", "21_8_0", "21", "30")
    questions = {video: {"order": [CHOICE]} for video in videos}
    write_annotations(tmp_path / "q/multi-choice.json", questions)
    files = [f"{video}.mp4" for video in videos]
    done = run_import("temp_compass", tmp_path / "q/multi-choice.json", files)
    groups = {item.id.split("/")[2]: item.group for item in done.items.values()}
    assert groups["8"] == groups["21"] == groups["21_8_0"]
    assert groups["30"] != groups["8"]


def test_order_reasons_and_the_rest_perceives(tmp_path: Path) -> None:
    done = run_import("temp_compass", write_questions(tmp_path / "q"), VIDEOS)
    skills = {item.category: item.skill for item in done.items.values()}
    assert skills.pop("order") == "reasoning"
    assert set(skills.values()) == {"perception"}


def test_a_subset_is_a_form(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "q")
    done = run_import("temp_compass", questions, VIDEOS, subset="yes_no")
    assert len(done.items) == 2
    assert [Path(name).name for name in done.summary.source.annotations] == ["yes_no.json"]
    with pytest.raises(ItemError, match=r"holds no multi-choice.json"):
        run_import("temp_compass", tmp_path, [])


def test_the_ports_table_gives_the_same_items(tmp_path: Path) -> None:
    rows = [
        {"video_id": "7", "dim": "direction", **CHOICE},
        {"video_id": "7_reverse", "dim": "direction", **BACK},
        {"video_id": "7", "dim": "direction", **BACK},
    ]
    done = run_import("temp_compass", write_annotations(tmp_path / "mc.parquet", rows), VIDEOS)
    assert list(done.items) == [
        "temp_compass/multi-choice/7/direction/1",
        "temp_compass/multi-choice/7_reverse/direction/1",
        "temp_compass/multi-choice/7/direction/2",
    ]
    assert {item.pair for item in done.items.values()} == {"7/direction/multi-choice"}


def test_a_question_may_have_two_lines(tmp_path: Path) -> None:
    question = {"question": "Look at the ball.\nWhere to?\nA. left\nB. right", "answer": "B. right"}
    path = write_annotations(tmp_path / "multi-choice.json", {"7": {"direction": [question]}})
    item = run_import("temp_compass", path, VIDEOS).item
    assert (item.question, item.answer) == ("Look at the ball.\nWhere to?", 1)


def test_captioning_and_broken_rows_are_left_out(tmp_path: Path) -> None:
    questions = [
        CHOICE,
        {**CHOICE, "mc_question": "...", "mc_answer": "A. left"},
        {"question": "Where does it go?", "answer": "left"},
        {**CHOICE, "answer": "D. down"},
    ]
    path = write_annotations(tmp_path / "multi-choice.json", {"7": {"direction": questions}})
    done = run_import("temp_compass", path, VIDEOS)
    assert len(done.items) == 1
    assert done.summary.left_out == {
        "captioning is graded by a language model": 1,
        "question has no options": 1,
        "answer is none of the options": 1,
    }
