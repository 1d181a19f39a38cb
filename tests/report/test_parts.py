"""The page of a study names every command behind it; that of a part does not judge the merge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from merit_interp.report.parts import made_by, part_of_a_study
from merit_interp.report.run_report import write_reports
from tests.report.test_run_report import page_of
from tests.synthetic_study import write_study

COMMANDS = {
    part: f"merit-interp {part} --recipe runs/demo/recipe.json"
    for part in ("mask", "attribute", "lens")
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_study(tmp_path_factory.mktemp("runs") / "study")
    for part, command in COMMANDS.items():
        path = run / part / "run.json"
        described = json.loads((path if path.exists() else run / "run.json").read_text())
        own = {**described, "command": command.split(), "seed": 17}
        path.write_text(json.dumps(own))
    return run


def test_a_study_names_the_command_of_every_part(study: Path) -> None:
    assert [one.part for one in made_by(study)] == ["", "mask", "attribute", "lens"]
    words = page_of(study).words
    own = words[words.rindex("The commands that made it, in this order:") :]
    places = [own.index(text) for text in ("merit-interp search", *COMMANDS.values())]
    assert places == sorted(places)
    assert own.count("All settings") == 4
    assert own.count("Seed 17") == 3


def test_a_part_that_is_not_finished_is_not_named(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    for name in ("run.json", "sweep.json"):
        shutil.copy(study / "mask" / name, tmp_path / "mask")
    assert made_by(tmp_path) == ()
    assert part_of_a_study(tmp_path / "mask") == "mask"


@pytest.mark.parametrize("part", COMMANDS)
def test_the_page_of_a_part_does_not_judge_the_merge(part: str, study: Path) -> None:
    assert part_of_a_study(study / part) == part
    assert part_of_a_study(study) is None
    page = page_of(study / part)
    assert "In short" not in page.words
    assert "Before and after" not in page.words
    assert "Pairs of questions" not in page.words
    assert "Nothing was scored" not in page.words
    assert "one part of a study" in page.words
    assert page.words.count(COMMANDS[part]) == 1
    assert "The command that made it:" in page.words


def test_the_page_of_a_part_refreshes_that_of_its_study(study: Path, tmp_path: Path) -> None:
    own = study / "mask" / "report.html"
    (study / "report.html").unlink(missing_ok=True)
    assert write_reports(study / "mask") == (own,)
    (study / "report.html").write_text("of before")
    assert write_reports(study / "mask") == (own, study / "report.html")
    assert "Which layers the answers need" in (study / "report.html").read_text()
    assert write_reports(study) == (study / "report.html",)
