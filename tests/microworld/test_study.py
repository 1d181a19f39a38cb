"""The demo's study, small: it ends, goes on after a cut, and its report says what was found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.microworld.study import BACKBONE, StudySettings, run_study
from merit_interp.recipe import read_recipe
from merit_interp.record_files import read_jsonl
from merit_interp.report.run_report import write_report
from merit_interp.search.settings import SearchSettings
from merit_interp.tables.run_records import read_run
from tests.lost_records import lose_records

SETS = ("new_pairs", "longer", "new_forms", "composition")
SETTINGS = StudySettings(
    search=SearchSettings(sampler="random", budget=4, top=2),
    draws=2,
    sizes={"search": 12, **dict.fromkeys(SETS, 3)},
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("study") / "run"
    run_study(run, SETTINGS)
    return run


def test_every_model_is_scored_on_every_set(study: Path) -> None:
    rows = read_jsonl(study / "scores.jsonl")
    models = {row["model"] for row in rows}
    assert {"vlm", "merged", "uniform_attention_1.0", "uniform_text_1.0", BACKBONE} <= models
    by_set = {
        name: {row["model"] for row in rows if row["item_set"] == name}
        for name in ("validation", *SETS)
    }
    assert all(scored == models for scored in by_set.values())
    assert all(row["status"] == "ok" for row in rows)


def test_search_and_validation_share_no_video(study: Path) -> None:
    ledger = read_jsonl(study / "ledger.jsonl")[1:]
    videos = {
        split: {item.rpartition("-")[0] for row in ledger if row["split"] == split
                for item in row["log_probs"]}
        for split in ("search", "validation")
    }  # fmt: skip
    assert videos["search"]
    assert not videos["search"] & videos["validation"]


def test_a_cut_study_goes_on_to_the_same_scores(study: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(study, run)
    content = (run / "scores.jsonl").read_bytes()
    (run / "scores.jsonl").write_bytes(content[: len(content) // 2])
    (run / "recipe.json").unlink()
    (run / "finished.json").unlink()
    with pytest.raises(RunError, match="--resume"):
        run_study(run, SETTINGS)
    run_study(run, SETTINGS, resume=True)
    assert (run / "recipe.json").read_bytes() == (study / "recipe.json").read_bytes()
    assert sorted(read_jsonl(run / "scores.jsonl"), key=str) == sorted(
        read_jsonl(study / "scores.jsonl"), key=str
    )


def test_records_lost_after_the_end_are_said_and_made_again(study: Path, tmp_path: Path) -> None:
    names = ("scores.jsonl", "validation.jsonl", "trials.jsonl")
    run = tmp_path / "run"
    shutil.copytree(study, run)
    for name in names:
        # what is said first is of the first file of the marker that lost any
        said = lose_records(run / name)
        with pytest.raises(RunError, match=said if name == names[0] else "scores.jsonl holds"):
            write_report(run)
    run_study(run, SETTINGS, resume=True)
    assert read_run(run).finished == read_run(study).finished
    for name in names:
        rows = sorted(read_jsonl(run / name), key=str)
        assert rows == sorted(read_jsonl(study / name), key=str)


def test_the_report_says_what_was_found(study: Path) -> None:
    page = write_report(study).read_text()
    recipe = read_recipe(study / "recipe.json")
    assert recipe.search["found"] in (True, False)
    training = json.loads((study / "training_report.json").read_text())
    assert f"{100 * training['stages']['adaptation']['TR']:.1f}" in page
