"""How models answered: letters that are liked, orders of options, texts that were read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merit_interp.errors import RunError
from merit_interp.recipe import Recipe
from merit_interp.records import ItemScore, Skill
from merit_interp.scoring_settings import Scoring
from merit_interp.tables.answers import (
    CIRCULAR_COLUMNS,
    LETTER_COLUMNS,
    READING_COLUMNS,
    answer_tables,
    circular_table,
    letter_table,
    notable_letters,
    reading_table,
)
from merit_interp.tables.item_frames import item_scores, random_draws_averaged
from merit_interp.tables.run_records import read_run, scoring_of
from merit_interp.tables.run_tables import run_tables, tables_without_rows, write_tables
from merit_interp.tables.skills import skill_table
from tests.synthetic_run import Plan, write_run


def score(
    number: int, likes: float, knows: float, *, model: str = "vlm", n: int = 4, **more: object
) -> ItemScore:
    """An item of a model that likes the letter A and knows the answer, each by so many nats."""
    answer = number % n
    skill: Skill = "reasoning" if number % 2 else "perception"
    rotations = tuple(
        tuple(
            likes * (letter == 0) + knows * ((letter + rotation) % n == answer) - 3.0
            for letter in range(n)
        )
        for rotation in range(n)
    )
    own = ItemScore(
        f"i{number}", model, "hash", skill, "", f"v{number // 3}", answer, rotations[0],
        item_set="set", rotations=rotations,
    )  # fmt: skip
    return dataclasses.replace(own, **more)


def with_means(scores: list[ItemScore]) -> list[ItemScore]:
    """The same with mean log-probabilities, as an evaluation writes them."""
    found = []
    for one in scores:
        n = len(one.log_probs)
        orders = [[row[(j - r) % n] for j in range(n)] for r, row in enumerate(one.rotations)]
        found.append(
            dataclasses.replace(one, log_probs=tuple(float(v) for v in np.mean(orders, axis=0)))
        )
    return found


def test_a_liked_letter_is_found_and_a_model_that_knows_has_none() -> None:
    liking = [score(i, 2.0, 1.0) for i in range(60)]
    knowing = [score(i, 0.5, 1.0, model="merged") for i in range(60)]
    table = letter_table([*liking, *knowing]).set_index(["model", "letter"])
    assert list(table.loc["vlm"].index) == ["A", "B", "C", "D"]
    assert table.loc[("vlm", "A"), "chosen"] == 1.0
    assert table.loc[("vlm", "A"), "right"] == pytest.approx(0.25)
    assert table.loc[("vlm", "A"), "excess_low"] > 0.4
    assert table.loc[("vlm", "B"), "excess"] == pytest.approx(-0.25)
    assert table.loc[("merged", "A"), "excess"] == pytest.approx(0.0)
    # what it thinks of A, where A is right and where it is not
    weights = np.exp([[0.5 + (place == 0), *(np.arange(1, 4) == place)] for place in range(4)])
    assert table.loc[("merged", "A"), "probability"] == pytest.approx(
        float(np.mean(weights[:, 0] / weights.sum(axis=1)))
    )
    (line,) = notable_letters(letter_table([*liking, *knowing]))
    assert line.startswith("On set the VLM answers A 100% of the time, where it is right 25%")
    assert "+75 points" in line
    assert "--circular" not in line


def test_in_their_own_order_letters_are_held_against_right_ones() -> None:
    plain = [dataclasses.replace(score(i, 2.0, 1.0), rotations=()) for i in range(60)]
    table = letter_table(plain).set_index("letter")
    assert (table.loc["A", "chosen"], table.loc["A", "right"]) == (1.0, 0.25)
    (line,) = notable_letters(letter_table(plain))
    assert "--circular asks in every order" in line


def test_items_of_different_numbers_of_options() -> None:
    mixed = [score(i, 0.0, 1.0, n=2 + i % 3) for i in range(36)]
    table = letter_table(mixed).set_index("letter")
    assert table["n_items"].to_dict() == {"A": 36, "B": 36, "C": 24, "D": 12}
    # in every order a letter is right as often as there are options
    assert table.loc["D", "right"] == pytest.approx(1 / 4)
    assert table.loc["C", "right"] == pytest.approx(np.mean([1 / 3, 1 / 4]))
    assert table["excess"].abs().max() == pytest.approx(0.0)
    circular = circular_table(mixed).set_index("skill")
    both = pd.concat([circular["n_items"]]).sum()
    assert both == 36
    sizes = np.array([2 + i % 3 for i in range(36) if i % 2])
    assert circular.loc["reasoning", "chance"] == pytest.approx(np.mean(1 / sizes))
    assert circular.loc["reasoning", "chance_always"] == pytest.approx(np.mean(1.0 / sizes**sizes))
    assert circular.loc["reasoning", "always_right"] == 1.0


def test_right_in_every_order_is_told_from_right_on_the_mean() -> None:
    # likes A more than it knows: right on the mean, and where the right option has A
    scores = with_means([score(i, 2.0, 1.0) for i in range(40)])
    merged = with_means([score(i, 0.5, 1.0, model="merged") for i in range(40)])
    table = circular_table([*scores, *merged]).set_index(["model", "skill"])
    vlm = table.loc[("vlm", "reasoning")]
    assert (vlm["accuracy"], vlm["mean_accuracy"], vlm["always_right"]) == (1.0, 0.25, 0.0)
    best = table.loc[("merged", "perception")]
    assert (best["accuracy"], best["always_right"], best["delta_always_right"]) == (1.0, 1.0, 1.0)
    assert best["n_pairs"] == best["n_items"] == 20
    assert best["delta_always_right_low"] > 0
    assert vlm["n_pairs"] == 0
    assert np.isnan(vlm["delta_always_right"])


def test_generated_texts_are_counted_by_rule_and_unread_ones_are_wrong() -> None:
    plain = [dataclasses.replace(score(i, 0.0, 1.0), rotations=()) for i in range(4)]
    said = [
        dataclasses.replace(plain[0], texts=("A",), parses=("letter",), read=(0,)),
        dataclasses.replace(plain[1], texts=("Answer: B",), parses=("cue",), read=(1,)),
        dataclasses.replace(
            plain[3], texts=("Hm",), parses=("none",), read=(None,), status="unparsed"
        ),
        dataclasses.replace(plain[2], log_probs=(), status="failed", reason="no video"),
    ]
    table = reading_table(said).set_index("skill")
    assert table.loc["reasoning", ["n_items", "cue", "none"]].tolist() == [2, 1, 1]
    assert table.loc["reasoning", "unparsed"] == 0.5
    assert table.loc["perception", "unparsed"] == 0.0
    frame = item_scores(said).set_index("item")
    assert frame.loc["i3", "correct"] == 0.0
    assert frame.loc["i3", "margin_nats"] == pytest.approx(1.0)
    assert pd.isna(frame.loc["i3", "chosen"])
    assert pd.isna(frame.loc["i2", "correct"])
    skills = skill_table(item_scores(said)).query("category == 'all'").set_index("skill")
    # the one that could not be read is in the denominator, the one without a video is not
    assert skills.loc["reasoning", ["n_items", "n_failed", "accuracy"]].tolist() == [2, 0, 0.5]
    assert skills.loc["perception", ["n_items", "n_failed", "accuracy"]].tolist() == [1, 1, 1.0]
    letters = letter_table(said).set_index("letter")
    # the text that was not read is of no letter
    assert letters.loc["D", ["n_items", "chosen", "right"]].tolist() == [2, 0.0, 0.0]
    assert letters.loc["A", ["chosen", "right"]].tolist() == [0.5, 0.5]
    some = dataclasses.replace(
        score(1, 0.0, 1.0), texts=("A", "?", "?", "?"), parses=("letter", *["none"] * 3),
        read=(0, None, None, None),
    )  # fmt: skip
    of_some = letter_table([some]).set_index("letter")
    assert of_some["chosen"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert of_some["right"].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_an_unread_answer_of_one_draw_is_no_failure() -> None:
    plain = dataclasses.replace(score(1, 0.0, 1.0), rotations=(), texts=("B",), read=(1,))
    plain = dataclasses.replace(plain, parses=("letter",), model="random_layers_00")
    unread = dataclasses.replace(
        plain, texts=("?",), read=(None,), parses=("none",), status="unparsed",
        model="random_layers_01",
    )  # fmt: skip
    averaged = random_draws_averaged(item_scores([plain, unread]))
    assert averaged.loc[0, ["status", "correct"]].tolist() == ["ok", 0.5]
    failed = dataclasses.replace(
        plain, model="random_layers_02", log_probs=(), texts=(), read=(), parses=(),
        status="failed",
    )  # fmt: skip
    averaged = random_draws_averaged(item_scores([plain, unread, failed]))
    assert averaged.loc[0, "status"] == "failed"


def test_failed_items_and_draws_of_random_layers_have_no_letters() -> None:
    scores = [score(i, 0.0, 1.0, model="random_layers_03") for i in range(6)]
    scores += [dataclasses.replace(score(9, 0.0, 1.0), log_probs=(), rotations=())]
    assert letter_table(scores).empty
    empty = answer_tables((), shown=True)
    assert list(empty["letter_prior"].columns) == list(LETTER_COLUMNS)
    assert list(empty["circular"].columns) == list(CIRCULAR_COLUMNS)
    assert list(empty["answers_read"].columns) == list(READING_COLUMNS)
    assert notable_letters(empty["letter_prior"]) == []


def test_a_merge_that_overflows_has_no_probability() -> None:
    broken = dataclasses.replace(score(1, 0.0, 1.0), rotations=(), log_probs=(float("-inf"),) * 4)
    assert letter_table([broken, score(2, 0.0, 1.0)])["probability"].isna().any()


def test_a_run_writes_the_tables_that_it_has_records_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Plan(("validation",), videos=4, draws=1, trials=3))
    records = read_run(run)
    assert tables_without_rows(records) >= {"circular", "answers_read"}
    assert "letter_prior" not in tables_without_rows(records)
    assert "letter_prior" in run_tables(records)
    described = {"settings": {"scoring": {"answers": "option_text", "max_frames": 4}}}
    (run / "evaluation.json").write_text(json.dumps(described))
    assert scoring_of(read_run(run)) == Scoring(answers="option_text", max_frames=4)
    assert "letter_prior" not in run_tables(read_run(run))
    assert {path.stem for path in write_tables(run)} & {"letter_prior", "circular"} == set()
    (run / "evaluation.json").write_text(json.dumps({"settings": {"scoring": {"answer": 1}}}))
    with pytest.raises(RunError, match="has no scoring"):
        scoring_of(read_run(run))


def test_a_run_without_an_evaluation_was_asked_as_its_recipe_says(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Plan(("validation",), videos=4, draws=1, trials=3))
    records = read_run(run)
    assert isinstance(records.recipe, Recipe)
    asked = records.recipe.items.scoring if records.recipe.items else Scoring()
    assert scoring_of(records) == asked
    (run / "recipe.json").unlink()
    assert scoring_of(read_run(run)) == Scoring()
