"""What tables show on a terminal where a set has nothing to show, as one without its videos."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.cli.tables import print_skills
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
