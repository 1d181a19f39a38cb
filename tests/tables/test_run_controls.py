"""Tables of a run that showed videos under controls, or whose items come in pairs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.record_files import JsonlAppender
from merit_interp.tables.run_records import read_run
from merit_interp.tables.run_tables import run_tables
from tests.synthetic_controls import made_up_control_scores
from tests.synthetic_run import Plan, made_up_scores, write_run

SMALL = Plan(("validation",), videos=6, draws=0, trials=4)
NEW = {"video_controls", "visual_dependency", "pair_consistency"}


def test_a_run_without_controls_and_pairs_has_none_of_their_tables(tmp_path: Path) -> None:
    assert not NEW & set(run_tables(read_run(write_run(tmp_path / "run", SMALL))))


def test_controls_and_pairs_of_a_run_become_tables(tmp_path: Path) -> None:
    scores = [dataclasses.replace(s, pair=f"{s.group}-{s.skill}") for s in made_up_scores(SMALL)]
    run = write_run(tmp_path / "run", SMALL, scores=scores)
    with JsonlAppender(run / "control_scores.jsonl") as file:
        for score in made_up_control_scores(scores):
            file.append(score.to_row())
    records = read_run(run)
    assert {score.video_control for score in records.control_scores} == {
        "black", "shuffled", "evidence_removed",
    }  # fmt: skip
    tables = run_tables(records)
    assert set(tables) >= NEW
    assert set(tables["visual_dependency"]["model"]) == {"vlm", "merged"}
    assert set(tables["pair_consistency"]["skill"]) == {"reasoning", "perception"}


def test_control_scores_of_another_version_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL)
    (run / "control_scores.jsonl").write_text('{"item": "a"}\n')
    with pytest.raises(RunError, match="holds no ControlScore records"):
        read_run(run)
