"""A run directory read back: its records, whatever of them it has.

    run = read_run(Path("runs/demo"))
    run.scores, run.trials, run.recipe

A run that was cut, or that has only scores or only trials, reads too: what is missing is empty or
None. This file must not know what is made of the records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from merit_interp.errors import RunError, SettingError
from merit_interp.recipe import Recipe, read_recipe
from merit_interp.record_files import read_finished, read_jsonl
from merit_interp.records import ControlScore, ItemScore, Provenance, Row, Trial
from merit_interp.scoring_settings import Scoring, changed_scoring

RecordT = TypeVar("RecordT", bound=Row)


@dataclass(frozen=True)
class RunRecords:
    """Everything that a run wrote down."""

    directory: Path
    provenance: Provenance | None
    recipe: Recipe | None
    trials: tuple[Trial, ...]
    """Every recipe that the search tried, on the search split."""
    validation: tuple[Trial, ...]
    """The best recipes again, on the validation split."""
    scores: tuple[ItemScore, ...]
    """Every item scored by every model, item set by item set."""
    control_scores: tuple[ControlScore, ...]
    """Every item scored by VLM and merged model under every video control that was asked for."""
    finished: Mapping[str, Any] | None
    """Content of the finished-marker; None: the run was interrupted, or goes on."""
    training: Mapping[str, Any] | None
    """`training_report.json` of a run on the embedded pair: TR and TP after each stage."""


def read_run(directory: Path) -> RunRecords:
    """Read a run directory.

    Raises:
        RunError: There is no such run, one of its files is damaged, or it was changed after the run
            ended.
        RecipeError: Its recipe is damaged.
    """
    directory = Path(directory)
    names = ("run.json", "recipe.json", "trials.jsonl", "scores.jsonl")
    if not any((directory / name).exists() for name in names):
        raise RunError(
            f"no run at {directory}",
            valid="a directory that `merit-interp demo`, `search` or `evaluate` wrote",
        )
    finished = read_finished(directory)
    recipe = directory / "recipe.json"
    return RunRecords(
        directory=directory,
        provenance=read_provenance(directory),
        recipe=read_recipe(recipe) if recipe.exists() else None,
        trials=_read_records(Trial, directory / "trials.jsonl"),
        validation=_read_records(Trial, directory / "validation.jsonl"),
        scores=_read_records(ItemScore, directory / "scores.jsonl"),
        control_scores=_read_records(ControlScore, directory / "control_scores.jsonl"),
        finished=finished,
        training=_read_object(directory / "training_report.json"),
    )


def read_provenance(directory: Path) -> Provenance | None:
    """What made a run, as its `run.json` says; None where it has none.

    Raises:
        RunError: The file is damaged.
    """
    described = _read_object(directory / "run.json")
    return None if described is None else _record(Provenance, described, directory / "run.json")


def scoring_of(run: RunRecords) -> Scoring:
    """How a run's items were asked: as the evaluation says, or else the recipe.

    Raises:
        RunError: The evaluation's description is damaged.
    """
    path = run.directory / "evaluation.json"
    described = _read_object(path) or {}
    settings = described.get("settings", {}).get("scoring")
    if settings is None:
        return run.recipe.items.scoring if run.recipe and run.recipe.items else Scoring()
    try:
        return changed_scoring(Scoring(), **settings)
    except (SettingError, TypeError):
        raise RunError(f"{path} has no scoring", valid="the file as the run wrote it") from None


def _read_records(kind: type[RecordT], path: Path) -> tuple[RecordT, ...]:
    return tuple(_record(kind, row, path) for row in read_jsonl(path))


def _record(kind: type[RecordT], row: Mapping[str, Any], path: Path) -> RecordT:
    try:
        return kind.from_row(row)
    except TypeError as error:
        # a field too many or too few: the file is of another version, or damaged
        fault = str(error).partition("() ")[2] or str(error)
        raise RunError(f"{path} holds no {kind.__name__} records: {fault}") from None


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise RunError(f"{path} is not JSON", valid="the file as the run wrote it") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object", valid="the file as the run wrote it")
    return value
