from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

REPOSITORY = {
    "qid": "anet_val7",
    "query": "The man waxes the board.",
    "duration": 125.0,
    "vid": "v_Ab-9_xQ",
    "relevant_windows": [[85, 125]],
    "ans": "C",
}
HUB = {
    **{name: REPOSITORY[name] for name in ("qid", "duration", "vid", "ans")},
    "source": "activitynet_val",
    "question": "What does the man do before he paddles out?",
    "options": ["He swims.", "He rests.", "He waxes the board.", "He leaves."],
    "answer": "From <s0> to <e0>, <option>",
    "span": [80.0, 130.0],
    "category": "sequential",
}


def hub(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**HUB, "qid": f"anet_val{i}", **change} for i, change in enumerate(changes, 7)]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet"])
def test_a_row_of_the_hugging_face_version(tmp_path: Path, suffix: str) -> None:
    path = write_annotations(tmp_path / f"rextime_val.{suffix}", hub({}))
    done = run_import("rextime", path, ["v_Ab-9_xQ.mp4"])
    item = done.item
    assert (item.id, item.video) == ("rextime/anet_val7", "videos/v_Ab-9_xQ.mp4")
    assert (item.options[2], item.answer) == ("He waxes the board.", 2)
    assert (item.category, item.skill) == ("sequential", "reasoning")
    assert (item.evidence, item.evidence_kind) == (((80.0, 125.0),), "span")
    assert done.summary.evidence_share == pytest.approx(45 / 125)
    assert done.summary.flags == {"evidence past the end was clipped": 1}


def test_the_repositorys_file_alone_has_no_options(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "rextime_val.jsonl", [REPOSITORY])
    with pytest.raises(ItemError, match=r"without options.*Hugging Face"):
        run_import("rextime", path, ["v_Ab-9_xQ.mp4"])


def test_windows_of_the_repository_join_the_questions(tmp_path: Path) -> None:
    folder = tmp_path / "rextime"
    windows = {**REPOSITORY, "relevant_windows": [[10, 20], [85, 120]]}
    write_annotations(folder / "rextime_val.jsonl", [windows])
    write_annotations(folder / "rextime_val.json", hub({}, {}))
    done = run_import("rextime", folder, ["v_Ab-9_xQ.mp4"])
    assert done.items["rextime/anet_val7"].evidence == ((10.0, 20.0), (85.0, 120.0))
    # one without windows keeps its span
    assert done.items["rextime/anet_val8"].evidence == ((80.0, 125.0),)


def test_every_category_is_reasoning_whatever_its_name(tmp_path: Path) -> None:
    path = write_annotations(
        tmp_path / "v.json",
        hub({"category": "cause_effect"}, {"category": "?"}, {"category": None}),
    )
    done = run_import("rextime", path, ["v_Ab-9_xQ.mp4"])
    assert {item.skill for item in done.items.values()} == {"reasoning"}


def test_clips_of_one_recording_are_one_group(tmp_path: Path) -> None:
    names = ("v_Ab-9_xQ", "Ab-9_xQ_510.0_660.0", "Ab-9_xQ_60.0_210.0", "v_A_12_34")
    path = write_annotations(tmp_path / "v.json", hub(*({"vid": name} for name in names)))
    done = run_import("rextime", path, [f"{name}.mp4" for name in names])
    groups = [item.group for item in done.items.values()]
    assert groups == ["Ab-9_xQ", "Ab-9_xQ", "Ab-9_xQ", "A_12_34"]
    # the part behind the last dot of a clip's name is no suffix
    assert done.items["rextime/anet_val8"].video == "videos/Ab-9_xQ_510.0_660.0.mp4"


def test_the_test_split_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "rextime_test.json", hub({"ans": None}, {"ans": ""}))
    with pytest.raises(ItemError, match="answer is withheld"):
        run_import("rextime", path, ["v_Ab-9_xQ.mp4"])


def test_faulty_rows_are_left_out(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "v.json", hub({}, {"ans": "E"}, {"span": [1.0]}))
    done = run_import("rextime", path, ["v_Ab-9_xQ.mp4"])
    assert list(done.left_out.values()) == [
        "answer is no letter of an option: 'E'",
        "field 'span' is no pair of numbers",
    ]


def test_a_users_roles_set_a_category_apart(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "v.json", hub({"category": "ordering"}, {}))
    roles = write_annotations(
        tmp_path / "r.json", {"rextime": {"ordering": "perception", "?": "other"}}
    )
    done = run_import("rextime", path, ["v_Ab-9_xQ.mp4"], roles=roles)
    assert [item.skill for item in done.items.values()] == ["perception", "reasoning"]
    assert done.summary.unused_roles == ("?",)
