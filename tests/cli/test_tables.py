"""What tables show on a terminal where a set has nothing to show, as one without its videos."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.cli.tables import print_skills
from merit_interp.record_files import JsonlAppender
from merit_interp.records import ControlScore
from tests.synthetic_run import Plan, made_up_scores, write_run

PLAN = Plan(("never", "validation"), videos=12, draws=1)


@pytest.mark.parametrize("videos", [0, 1])
def test_what_is_not_known_is_a_dash(
    videos: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of a set's items could be decoded, or only those of one video."""
    kept = {f"v{number:03d}" for number in range(videos)}
    scores = [
        score
        if score.item_set != "never" or score.group in kept
        else dataclasses.replace(score, log_probs=(), status="failed", reason="gone")
        for score in made_up_scores(PLAN)
    ]
    print_skills(write_run(tmp_path / "run", PLAN, scores=scores), as_json=False)
    table = capsys.readouterr().out
    assert "nan" not in table
    (never,) = (line for line in table.splitlines() if "never" in line and "TP" in line)
    cells = [cell.strip() for cell in never.split("│")[3:-1]]
    if videos:
        assert cells[0] == "4"
        assert cells[-1].endswith("[–]")
    else:
        assert cells == ["0", "–", "–", "–"]
    # the other set is as it was
    (whole,) = (line for line in table.splitlines() if "validation" in line and "TR" in line)
    assert "[+" in whole


def test_controls_without_an_answer_are_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(("never",), videos=2, draws=0)
    scores = [
        dataclasses.replace(score, log_probs=(), status="failed", reason="gone")
        for score in made_up_scores(plan)
    ]
    run = write_run(tmp_path / "run", plan, scores=scores)
    with JsonlAppender(run / "control_scores.jsonl") as file:
        for score in scores:
            if score.model in ("vlm", "merged"):
                file.append(ControlScore.of(score, "black").to_row())
    print_skills(run, as_json=False)
    shown = capsys.readouterr().out
    assert "Video controls on never: no question could be scored\n" in shown
    assert "visual dependency" not in shown
