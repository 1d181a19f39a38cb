"""A set without its videos has dashes in the page's tables, not a number's absence spelled out."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from merit_interp.report.run_report import write_report
from tests.synthetic_run import Plan, made_up_scores, write_run

PLAN = Plan(("never",), videos=12, draws=1, trials=12)


@pytest.mark.parametrize("videos", [0, 1])
def test_no_table_of_a_page_says_nan(videos: int, tmp_path: Path) -> None:
    """None of the items could be decoded, or only those of one video."""
    kept = {f"v{number:03d}" for number in range(videos)}
    scores = [
        score
        if score.group in kept
        else dataclasses.replace(score, log_probs=(), status="failed", reason="gone")
        for score in made_up_scores(PLAN)
    ]
    page = write_report(write_run(tmp_path / "run", PLAN, scores=scores)).read_text()
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert len(tables) > 1
    assert not [
        cell for table in tables for cell in re.findall(r"<td>.*?</td>", table) if "nan" in cell
    ]
