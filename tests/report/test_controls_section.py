"""The report says whether answers need the video, and how often whole pairs are right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.record_files import JsonlAppender
from merit_interp.report.findings import gather
from merit_interp.report.sections import controls_section, pairs_section, sections
from merit_interp.tables.run_records import read_run
from tests.report.test_run_report import Page, page_of
from tests.synthetic_controls import made_up_control_scores
from tests.synthetic_run import Plan, made_up_scores, write_run

SMALL = Plan(("validation", "longer_clips"), videos=8, draws=0, trials=4)


def write_controlled(directory: Path, plan: Plan = SMALL) -> Path:
    """A run of made-up records with controls, whose items are pairs."""
    scores = [dataclasses.replace(s, pair=f"{s.group}-{s.skill}") for s in made_up_scores(plan)]
    run = write_run(directory, plan, scores=scores)
    with JsonlAppender(run / "control_scores.jsonl") as file:
        for score in made_up_control_scores(scores):
            file.append(score.to_row())
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_controlled(tmp_path_factory.mktemp("runs") / "run")


def test_both_sections_come_after_the_accuracies(run: Path) -> None:
    anchors = [section.anchor for section in sections(gather(read_run(run)))]
    assert anchors[:5] == ["verdict", "recipe", "skills", "controls", "pairs"]


def test_a_run_without_controls_and_pairs_has_neither(tmp_path: Path) -> None:
    findings = gather(read_run(write_run(tmp_path / "run", SMALL)))
    assert controls_section(findings) is None
    assert pairs_section(findings) is None


def test_words_figures_and_numbers_are_on_the_page(run: Path) -> None:
    page: Page = page_of(run)
    assert "Do the answers need the video" in page.words
    assert "Reasoning, the VLM: " in page.words
    assert "right without the video (black frames)" in page.words
    # one of the controls, in words further down
    assert "The other controls in words on longer clips" in page.words
    assert "with its frames shuffled" in page.words
    assert "not applicable" in page.words
    text = (run / "report.html").read_text()
    assert text.count('id="figure-video-controls-') == 2
    assert "Pairs of questions" in page.words
    assert "Single questions (%)" in page.words
