"""`--answers`, `--circular` and `--max-new-tokens` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from merit_interp.cli.answers import print_answers
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import items_digest, reference_to
from merit_interp.recipe import ItemsReference, Recipe, Scoring, read_recipe, write_recipe
from merit_interp.record_files import read_jsonl
from merit_interp.records import ItemScore
from tests.cli.conftest import Command, World
from tests.synthetic_run import Plan, made_up_scores


def written_recipe(world: World, path: Path, scoring: Scoring) -> Path:
    vlm, backbone = (reference_to(Checkpoint.open(s)) for s in (world.vlm, world.backbone))
    items = ItemsReference(
        source=str(world.items), sha256=items_digest(world.items), scoring=scoring
    )
    write_recipe(Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5, 3: 1.0}, items=items), path)
    return path


@pytest.fixture
def recipe(world: World, tmp_path: Path) -> Path:
    return written_recipe(world, tmp_path / "recipe.json", Scoring(max_frames=4))


def scores_of(run: Path) -> list[ItemScore]:
    return [ItemScore.from_row(row) for row in read_jsonl(run / "scores.jsonl")]


def test_generated_answers_are_kept_counted_and_told(
    recipe: Path, world: World, tmp_path: Path, command: Command
) -> None:
    words = ["--recipe", recipe, "--draws", 1, "--limit", 6, "--max-failed", 0.5]
    asked = ["--answers", "generated", "--max-new-tokens", 3]
    run = tmp_path / "run"
    ended = command("evaluate", *words, *asked, "--out", run)
    assert ended.code == 0, ended.err
    scores = scores_of(run)
    assert all(len(score.texts) == 1 for score in scores if score.status != "failed")
    unread = [score for score in scores if score.status == "unparsed"]
    read = pd.read_csv(run / "tables" / "answers_read.csv")
    assert read["none"].sum() == len(unread) > 0
    assert "no answer could be read in" in ended.out
    skills = pd.read_csv(run / "tables" / "baseline_summary.csv")
    assert skills.query("model == 'vlm'")["n_items"].sum() == sum(
        score.model == "vlm" and score.status != "failed" for score in scores
    )
    described = json.loads((run / "run.json").read_text())["settings"]["scoring"]
    assert described == {
        "answers": "generated", "max_frames": 4, "max_new_tokens": 3,
    }  # fmt: skip
    again = command("evaluate", *words, *asked, "--out", run, "--resume")
    assert again.code == 0, again.err
    assert scores_of(run) == scores
    other = command("evaluate", *words, "--out", run, "--resume")
    assert other.code == 2
    in_json = command("evaluate", *words, *asked, "--out", run, "--resume", "--json")
    assert json.loads(in_json.out)[0]["model"] == "vlm"


def test_options_in_every_order(recipe: Path, tmp_path: Path, command: Command) -> None:
    run = tmp_path / "run"
    ended = command(
        "evaluate", "--recipe", recipe, "--draws", 0, "--limit", 6, "--circular", "--out", run
    )
    assert ended.code == 0, ended.err
    for score in scores_of(run):
        assert len(score.rotations) == len(score.log_probs)
    assert "Right in every order of the options" in ended.out
    circular = pd.read_csv(run / "tables" / "circular.csv")
    assert set(circular["model"]) >= {"vlm", "merged"}
    assert (circular["always_right"] <= circular["mean_accuracy"] + 1e-9).all()
    letters = pd.read_csv(run / "tables" / "letter_prior.csv")
    assert letters["circular"].all()
    assert letters.groupby(["item_set", "model"])["right"].first().between(0, 1).all()
    assert "letter_prior.csv" in ended.out


def test_a_search_in_every_order_and_what_its_recipe_says_to_others(
    world: World, tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    words = ["--vlm", world.vlm, "--backbone", world.backbone, "--items", world.items]
    words += ["--sampler", "random", "--budget", 2, "--top", 1, "--max-frames", 4]
    refused = command("search", *words, "--answers", "generated", "--out", run)
    assert refused.code == 2
    assert "generated answers do not have; valid: answers letter or option_text" in (
        refused.error_line
    )
    wrong = command("search", *words, "--answers", "words", "--out", run)
    assert "valid: letter or option_text" in wrong.error_line
    ended = command("search", *words, "--circular", "--out", run)
    assert ended.code == 0, ended.err
    found = read_recipe(run / "recipe.json")
    assert found.items is not None
    assert found.items.scoring == Scoring(max_frames=4, circular=True)
    resumed = command("search", *words, "--circular", "--out", run, "--resume")
    assert resumed.code == 0, resumed.err
    recipe = run / "recipe.json"
    masked = command(
        "mask", "--recipe", recipe, "--limit", 4, "--layers", "1", "--draws", 1,
        "--out", tmp_path / "mask",
    )  # fmt: skip
    assert masked.code == 0, masked.err
    assert "`mask` looks into one forward an item: options are in the items' own order" in (
        masked.err
    )
    assert "circular" not in (tmp_path / "mask" / "run.json").read_text()


def test_what_contradicts_itself_is_refused(
    recipe: Path, world: World, tmp_path: Path, command: Command
) -> None:
    words = ["evaluate", "--recipe", recipe, "--out", tmp_path / "run"]
    assert "valid: --answers generated too" in command(*words, "--max-new-tokens", 4).error_line
    both = command(*words, "--answers", "option_text", "--circular").error_line
    assert "no options are shown" in both
    own = written_recipe(world, tmp_path / "circular.json", Scoring(max_frames=4, circular=True))
    words[2] = own
    assert "no options are shown" in command(*words, "--answers", "option_text").error_line
    assert not (tmp_path / "run").exists()
    plain = [*words, "--answers", "option_text", "--no-circular", "--draws", 0, "--limit", 3]
    ended = command(*plain)
    assert ended.code == 0, ended.err
    assert not (tmp_path / "run" / "tables" / "letter_prior.csv").exists()


def test_a_liked_letter_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    write_recipe(read_recipe(recipe), run / "recipe.json")
    rows = []
    for score in made_up_scores(Plan(("set",), videos=12, draws=1)):
        row = score.to_row()
        row["log_probs"] = [0.0, *[-1.0] * (len(score.log_probs) - 1)]
        rows.append(json.dumps(row))
    (run / "scores.jsonl").write_text("\n".join(rows) + "\n")
    print_answers(run)
    out = capsys.readouterr().out
    assert "On set the VLM answers A 100% of the time, where it is right" in out
    assert "On set the merged model answers A 100%" in out
