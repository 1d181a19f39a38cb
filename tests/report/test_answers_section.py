"""The report tells how answers came, where there is something to tell."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from merit_interp.records import ItemScore
from merit_interp.report.findings import gather
from merit_interp.report.run_report import write_report
from merit_interp.report.sections import answers_section
from merit_interp.tables.run_records import read_run
from tests.synthetic_run import Plan, made_up_scores, write_run

PLAN = Plan(("set",), videos=12, draws=1, trials=3)


def run_with(path: Path, change: Callable[[ItemScore], ItemScore]) -> Path:
    run = write_run(path, PLAN)
    rows = [json.dumps(change(score).to_row()) for score in made_up_scores(PLAN)]
    (run / "scores.jsonl").write_text("\n".join(rows) + "\n")
    return run


def unread(score: ItemScore) -> ItemScore:
    """Every answer of the VLM unread, every one of the others by its cue."""
    if score.model == "vlm":
        said = {"texts": ("Hm",), "parses": ("none",), "read": (None,), "status": "unparsed"}
    else:
        said = {"texts": ("Answer: A",), "parses": ("cue",), "read": (score.answer,)}
    return dataclasses.replace(score, **said)


def in_orders(score: ItemScore) -> ItemScore:
    n = len(score.log_probs)
    own = score.log_probs
    return dataclasses.replace(
        score, rotations=tuple(tuple(own[(k + r) % n] for k in range(n)) for r in range(n))
    )


def test_a_run_of_letters_in_their_own_order_has_no_such_section(tmp_path: Path) -> None:
    assert answers_section(gather(read_run(write_run(tmp_path / "run", PLAN)))) is None


def test_generated_answers_that_no_rule_read_are_told(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", unread)
    section = answers_section(gather(read_run(run)))
    assert section is not None
    assert "100.0% of the VLM&#39;s texts and 0.0% of the merged model&#39;s" in section.html
    page = write_report(run).read_text()
    assert "How the answers came" in page


def test_orders_of_options_are_told(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", in_orders)
    section = answers_section(gather(read_run(run)))
    assert section is not None
    assert "Right in every order (%)" in section.html
    assert section.html.count("<tr><th") >= 4


def test_an_accuracy_of_unread_answers_is_nothing(tmp_path: Path) -> None:
    findings = gather(read_run(run_with(tmp_path / "run", unread)))
    vlm = findings.summary.query("model == 'vlm'")
    assert vlm["accuracy"].tolist() == pytest.approx([0.0] * len(vlm))
    assert vlm["n_failed"].sum() == 0
