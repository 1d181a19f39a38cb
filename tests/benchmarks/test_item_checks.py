from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from merit_interp.benchmarks.item_checks import check_items
from merit_interp.cli.items import app
from tests.benchmarks.test_items import ROW, write_rows
from tests.videos_on_disk import frames_of_levels, tiny_video, write_frames


def rows(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**ROW, "id": name, **change} for name, change in changes.items()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_video(tmp_path / "clips/a.mp4", n_frames=8, fps=4)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "page.mp4").write_text("<html>")
    write_frames(tmp_path / "frames", frames_of_levels(4))
    return tmp_path


def test_a_good_file_has_no_faults(folder: Path) -> None:
    path = write_rows(
        folder / "items.jsonl",
        *rows(
            good={"evidence": [[0.5, 2.1]], "category": "order"},
            bound={"start_s": 0.5, "end_s": 2.2, "evidence": [[0.5, 1.0]]},
            frames={"video": "frames", "fps": 2.0, "skill": "perception", "category": "order"},
        ),
    )
    check = check_items(path)
    assert check.faults == ()
    assert (check.n_items, check.n_videos) == (3, 2)
    assert check.skills == {"reasoning": 2, "perception": 1}
    assert check.categories == {"order": 2}


def test_every_fault_of_text_and_video_is_listed_by_line(folder: Path) -> None:
    path = write_rows(
        folder / "items.jsonl",
        *rows(
            good={},
            missing={"video": "b.mp4"},
            empty={"video": "empty.mp4"},
            text={"video": "page.mp4"},
            answer={"answer": 5},
            late={"evidence": [[1.0, 9.0]]},
            outside={"start_s": 1.0, "end_s": 2.0, "evidence": [[0.0, 0.5]]},
            long={"end_s": 30.0},
            beyond={"start_s": 10.0, "end_s": 11.0},
            rate={"video": "frames"},
        ),
    )
    faults = {fault.item: (fault.line, fault.problem) for fault in check_items(path).faults}
    assert {name: line for name, (line, _) in faults.items()} == {
        "missing": 2,
        "empty": 3,
        "text": 4,
        "answer": 5,
        "late": 6,
        "outside": 7,
        "long": 8,
        "beyond": 9,
        "rate": 10,
    }
    assert faults["late"][1] == "evidence 1 to 9 s lies outside 0 to 2 s"
    assert faults["outside"][1] == "evidence 0 to 0.5 s lies outside 1 to 2 s"
    assert faults["long"][1] == "end_s 30 lies after the video's end at 2 s"
    assert "nothing between" in faults["beyond"][1]


def run(path: Path, *options: str) -> Any:
    group = typer.Typer()
    group.add_typer(app, name="items")
    return CliRunner().invoke(group, ["items", "check", str(path), *options])


def test_the_verb_prints_every_fault_and_ends_with_2(folder: Path) -> None:
    path = write_rows(
        folder / "items.jsonl", *rows(good={}, missing={"video": "b.mp4"}, answer={"answer": 5})
    )
    result = run(path)
    assert result.exit_code == 2
    assert "line 2 (missing): " in result.output
    assert "line 3 (answer): answer is 5; valid: 0 to 1" in result.output
    assert "2 fault(s)" in result.output


def test_the_verb_prints_json(folder: Path) -> None:
    path = write_rows(folder / "items.jsonl", *rows(good={}, missing={"video": "b.mp4"}))
    result = run(path, "--json")
    assert result.exit_code == 2
    printed = json.loads(result.output)
    assert printed["n_items"] == 2
    assert [fault["line"] for fault in printed["faults"]] == [2]


def test_the_verb_is_content_with_a_good_file(folder: Path) -> None:
    result = run(write_rows(folder / "items.jsonl", *rows(good={})))
    assert result.exit_code == 0
    assert "no faults" in result.output
