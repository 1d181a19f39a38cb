from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

OPTIONS = ["a red kite", "a blue kite", "a drum", "nothing"]
ASKED = "Watch the video and answer. What does she hold?"
LINES = "\n".join(f"({letter}) {text}" for letter, text in zip("ABCD", OPTIONS, strict=True))
PROMPT = f"{ASKED} Options:\n{LINES}\nAnswer with the best option and its time."
ROW = {
    "version": 1.0,
    "idx": 0,
    "task": "gvq",
    "source": "qa_ego4d",
    "video": "qa_ego4d/ab.mp4",
    "duration": 60.0,
    "tgt": [[15.0, 31.0], [50.0, 61.0]],
    "p": 1,
    "o": OPTIONS,
    "q": PROMPT,
}


def rows(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "idx": i, **change} for i, change in enumerate(changes)]


def et(tmp_path: Path, *changes: dict[str, Any]) -> Path:
    return write_annotations(tmp_path / "etbench_txt_v1.0.json", rows(*changes))


def test_a_grounded_question_becomes_an_item(tmp_path: Path) -> None:
    done = run_import("et_bench", et(tmp_path, {}), ["qa_ego4d/ab.mp4"])
    item = done.item
    assert (item.id, item.video) == ("et_bench/gvq/0", "videos/qa_ego4d/ab.mp4")
    assert (item.question, item.options, item.answer) == (ASKED, tuple(OPTIONS), 1)
    assert item.evidence == ((15.0, 31.0), (50.0, 60.0))
    assert (item.evidence_kind, item.category, item.skill) == ("span", "gvq", "reasoning")
    assert done.summary.evidence_share == pytest.approx(26 / 60)
    assert done.summary.flags == {"evidence past the end was clipped": 1}


def test_a_subset_is_a_task_however_it_is_written(tmp_path: Path) -> None:
    path = et(tmp_path, {"task": "GVQ"}, {"task": "rar"})
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"], subset="gvq")
    assert list(done.items) == ["et_bench/gvq/0"]


def test_times_that_a_question_names_are_weak_evidence(tmp_path: Path) -> None:
    path = et(
        tmp_path,
        {"task": "rar", "src": [1.2, 15.0], "tgt": None},
        {"task": "eca", "src": [3.0]},
        {"task": "rvq", "src": None},
    )
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"])
    item = done.items["et_bench/rar/0"]
    assert (item.evidence, item.evidence_kind) == (((1.2, 15.0),), "weak")
    assert done.items["et_bench/eca/1"].evidence == ()
    assert done.items["et_bench/rvq/2"].evidence_kind is None
    assert done.summary.flags == {"time in the question is no span and was left out as evidence": 1}
    skills = [item.skill for item in done.items.values()]
    assert skills == ["perception", "perception", "other"]


def test_tasks_without_options_are_left_out(tmp_path: Path) -> None:
    path = et(tmp_path, {}, {"task": "tvg", "p": None, "o": None}, {"task": "dvc", "g": ["a"]})
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"])
    assert done.left_out == {
        "et_bench/tvg/1": "task without options: tvg",
        "et_bench/dvc/2": "task without options: dvc",
    }
    assert done.summary.left_out == {"task without options": 2}


def test_a_subset_is_a_task(tmp_path: Path) -> None:
    path = et(tmp_path, {}, {"task": "rar"}, {"task": "tvg"})
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"], subset="rar")
    assert (list(done.items), done.left_out) == (["et_bench/rar/1"], {})


def test_times_as_tokens_cannot_be_asked(tmp_path: Path) -> None:
    path = et(tmp_path, {}, {"task": "rar", "q": "What happens at <vid>?", "src": [1.0, 2.0]})
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"])
    assert list(done.left_out.values()) == ["times are <vid> tokens: use the txt file"]


def test_a_prompt_whose_options_are_not_found_is_kept_whole(tmp_path: Path) -> None:
    asked = f"What does she hold? Choose from {', '.join(OPTIONS)}."
    done = run_import("et_bench", et(tmp_path, {"q": asked}), ["qa_ego4d/ab.mp4"])
    assert done.item.question == asked
    assert "prompt was kept whole, it may name its options itself" in done.summary.flags


def test_withheld_and_faulty_gold(tmp_path: Path) -> None:
    path = et(tmp_path, {}, {"p": None}, {"p": 4})
    done = run_import("et_bench", path, ["qa_ego4d/ab.mp4"])
    assert list(done.left_out.values()) == [
        "answer is withheld",
        "p is no index of an option: 4",
    ]
    with pytest.raises(ItemError, match="answer is withheld"):
        run_import("et_bench", et(tmp_path, {"p": None}), ["qa_ego4d/ab.mp4"])


def test_the_published_directory_has_everything_twice(tmp_path: Path) -> None:
    folder = tmp_path / "annotations"
    write_annotations(folder / "etbench_txt_v1.0.json", rows({}))
    write_annotations(folder / "etbench_vid_v1.0.json", rows({"q": "What is held at <vid>?"}))
    done = run_import("et_bench", folder, ["qa_ego4d/ab.mp4"])
    assert (len(done.items), done.left_out) == (1, {})


def test_a_full_stop_or_a_capital_makes_no_other_option(tmp_path: Path) -> None:
    asked = PROMPT.replace("(C) a drum", "(C) A drum.")
    done = run_import("et_bench", et(tmp_path, {"q": asked}), ["qa_ego4d/ab.mp4"])
    assert (done.item.question, done.item.options) == (ASKED, tuple(OPTIONS))
