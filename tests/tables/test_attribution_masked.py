from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.tables.attribution_frames import AttributionRun, read_attribution
from merit_interp.tables.attribution_masked import (
    answers_at_chance,
    chance_sentence,
    masked_labels,
)
from tests.synthetic_attribution import write_attribution


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> AttributionRun:
    return read_attribution(write_attribution(tmp_path_factory.mktemp("made-up") / "attribute"))


def answering(run: AttributionRun, model: str, right_of_four: int) -> AttributionRun:
    """The run with a model that is right on so many of four items, of two options each."""
    records = tuple(
        dataclasses.replace(
            r, log_probs=(-2.0, -0.2) if int(r.group[1:]) % 4 < right_of_four else (-0.2, -2.0)
        )
        if r.model == model
        else r
        for r in run.records
    )
    return dataclasses.replace(run, records=records)


@pytest.mark.parametrize(
    ("masked", "label"),
    [
        ({"masked": (0, 1, 2), "masked_others_00": (3, 4)}, "The other 2 layers masked"),
        ({"masked": (0, 1, 2), "masked_others_00": (3,)}, "The other layer masked"),
        ({"masked": (0, 1), "masked_others_00": (3, 4), "masked_others_01": (2, 4)}, None),
        ({"masked": (0, 1)}, None),
        ({}, None),
    ],
)
def test_a_control_of_fewer_layers_says_how_many(
    run: AttributionRun, masked: dict[str, tuple[int, ...]], label: str | None
) -> None:
    labels = masked_labels(dataclasses.replace(run, masked_layers=masked))
    assert labels == ({} if label is None else {"masked_others": label})


def test_a_finished_run_says_which_layers_are_masked(tmp_path: Path) -> None:
    directory = write_attribution(tmp_path / "attribute")
    assert read_attribution(directory).masked_layers == {}
    marker = directory / "finished.json"
    marker.write_text(marker.read_text().replace("{", '{"masked_layers": {"masked": [0, 2]},', 1))
    assert read_attribution(directory).masked_layers == {"masked": (0, 2)}


def test_answers_at_chance_are_found_and_said(run: AttributionRun) -> None:
    chance = answering(run, "masked", 2)
    found = answers_at_chance(chance, "validation")
    assert [(a.model, a.skill) for a in found] == [
        ("masked", "reasoning"), ("masked", "perception"),
    ]  # fmt: skip
    assert all(a.chance == 0.5 and a.above_chance.estimate == 0 for a in found)
    sentence = chance_sentence(found)
    assert sentence.startswith(
        "With the recipe's layers masked, answers themselves are not told from chance (reasoning "
        "50.0% right, 95% "
    )
    assert sentence.endswith("so attribution is bound to be at chance there, too.")


def test_of_answers_above_or_below_chance_nothing_is_said(run: AttributionRun) -> None:
    for right in (0, 4):
        whole = answering(run, "masked", right)
        assert [a.model for a in answers_at_chance(whole, "validation")] == []
    assert chance_sentence(()) == ""
    assert answers_at_chance(run, "another set") == ()
