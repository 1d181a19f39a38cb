"""A lens run read back: what every model showed of every item, as arrays.

    run = read_lens(Path("runs/demo/lens"))
    run.models["merged"].margins      # (items, layers + 1), nats

This file must not know how a model was read, nor test anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from merit_interp.errors import RunError
from merit_interp.lens_records import HeadChange, LensCheck, LensPlan, LensReading
from merit_interp.recipe import Recipe
from merit_interp.record_files import read_jsonl
from merit_interp.records import ItemScore, MaskedScores, MaskedSet, Provenance
from merit_interp.statistics.clusters import FloatArray
from merit_interp.tables.masking_effects import ModelEffects, model_effects
from merit_interp.tables.run_records import read_run

PLAN, READINGS, CHECKS = "lens.json", "readings.jsonl", "checks.jsonl"
CHANGES, MASKS = "head_changes.jsonl", "head_masks.jsonl"
SKILLS = ("reasoning", "perception")
ITEM_COLUMNS = ("item", "skill", "category", "group")


@dataclass(frozen=True, eq=False)
class DirectArrays:
    """What parts of the last state add to the margin, in nats, of items with such parts."""

    places: NDArray[np.int64]
    """Which of the model's items."""
    margin: FloatArray
    """(items,)"""
    embedding: FloatArray
    """(items,)"""
    heads: FloatArray
    """(items, layers, heads)"""
    biases: FloatArray
    """(items, layers)"""
    mlps: FloatArray
    """(items, layers)"""


@dataclass(frozen=True, eq=False)
class ModelReadings:
    """One model on its items."""

    model: str
    items: pd.DataFrame
    """item, skill, category and group of each item."""
    log_probs: FloatArray
    """(items, layers + 1) log-probability of the right option at each state, in nats."""
    margins: FloatArray
    """(items, layers + 1) that of the right option less that of the best other, in nats."""
    correct: FloatArray
    """(items, layers + 1) 1 where the right option has the greatest score."""
    shares: Mapping[str, FloatArray]
    """`answer` and `question`: (items, layers, heads, TOKEN_KINDS) shares of attention."""
    n_tokens: FloatArray
    """(items, TOKEN_KINDS)"""
    output_change: FloatArray
    """(items, compared layers, heads); no layers where there is nothing to compare."""
    direct: DirectArrays | None

    def of_skill(self, skill: str) -> NDArray[np.bool_]:
        """(items,) which items are of a skill."""
        found: NDArray[np.bool_] = (self.items["skill"] == skill).to_numpy(dtype=bool)
        return found

    def groups(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> list[str]:
        """The videos of some items."""
        return [str(group) for group in self.items["group"].to_numpy()[chosen]]


@dataclass(frozen=True, eq=False)
class LensRun:
    """A finished lens run."""

    directory: Path
    provenance: Provenance
    recipe: Recipe
    plan: LensPlan
    checks: Mapping[str, LensCheck]
    """By model."""
    models: Mapping[str, ModelReadings]
    """By name, in the order read."""
    changes: tuple[HeadChange, ...]
    """Of every head of the compared layers; none where nothing is merged."""
    masked: Mapping[str, ModelEffects]
    """Costs of masking each head, by model; empty where none was masked."""


def read_lens(directory: Path) -> LensRun:
    """Read the directory of a finished run.

    Raises:
        RunError: There is no such run, it is not finished, or a file of it is damaged.
    """
    run = read_run(directory)
    if run.finished is None or run.provenance is None or run.recipe is None:
        raise RunError(
            f"{directory} holds no finished lens run",
            valid="`merit-interp lens ... --resume` first",
        )
    try:
        plan = LensPlan.from_row(json.loads((run.directory / PLAN).read_text()))
        readings = [LensReading.from_row(row) for row in read_jsonl(run.directory / READINGS)]
        checks = [LensCheck.from_row(row) for row in read_jsonl(run.directory / CHECKS)]
        without = set(plan.models) - {reading.model for reading in readings}
        if without:
            raise ValueError(f"{READINGS} has nothing of {', '.join(sorted(without))}")
        changes = [HeadChange.from_row(row) for row in read_jsonl(run.directory / CHANGES)]
        masks = [MaskedScores.from_row(row) for row in read_jsonl(run.directory / MASKS)]
        models = {
            name: _model(name, run.scores, [r for r in readings if r.model == name], plan)
            for name in plan.models
        }
    except (OSError, TypeError, KeyError, ValueError) as error:
        raise RunError(f"{directory} is no lens run, or damaged: {error}") from None
    return LensRun(
        directory=run.directory,
        provenance=run.provenance,
        recipe=run.recipe,
        plan=plan,
        checks={check.model: check for check in checks},
        models=MappingProxyType(models),
        changes=tuple(changes),
        masked=_masked(plan, run.scores, masks),
    )


def _model(
    name: str, scores: Sequence[ItemScore], readings: Sequence[LensReading], plan: LensPlan
) -> ModelReadings:
    described = {score.item: score for score in scores if score.model == name}
    known = [described[reading.item] for reading in readings]
    items = pd.DataFrame(
        {column: [getattr(score, column) for score in known] for column in ITEM_COLUMNS},
        dtype="str",
    )
    log_probs, margins, correct = _outcomes(readings, [score.answer for score in known])
    heads = (len(readings), len(plan.layers), plan.n_heads)
    compared = all(reading.output_change for reading in readings) and readings
    return ModelReadings(
        model=name,
        items=items,
        log_probs=log_probs,
        margins=margins,
        correct=correct,
        shares={
            "answer": np.array([r.attention_from_answer for r in readings], dtype=np.float64),
            "question": np.array([r.attention_from_question for r in readings], dtype=np.float64),
        },
        n_tokens=np.array([r.n_tokens for r in readings], dtype=np.float64),
        output_change=np.array([r.output_change for r in readings]).reshape(heads)
        if compared
        else np.zeros((len(readings), 0, plan.n_heads)),
        direct=_direct(readings),
    )


def _outcomes(
    readings: Sequence[LensReading], answers: Sequence[int]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Right option's log-probability, its margin and whether it is first, (items, states)."""
    n_states = len(readings[0].layer_log_probs)
    n_options = max(len(reading.layer_log_probs[0]) for reading in readings)
    values = np.full((len(readings), n_states, n_options), -np.inf)
    for number, reading in enumerate(readings):
        own = np.array(reading.layer_log_probs)
        values[number, :, : own.shape[1]] = own
    where = np.arange(len(readings))
    right = values[where, :, answers]
    others = values.copy()
    others[where, :, answers] = -np.inf
    # the first option wins a tie, as in ItemScore.chosen
    correct = (values.argmax(axis=2) == np.array(answers)[:, None]).astype(np.float64)
    return right, right - others.max(axis=2), correct


def _direct(readings: Sequence[LensReading]) -> DirectArrays | None:
    places = [number for number, reading in enumerate(readings) if reading.against >= 0]
    if not places:
        return None
    own = [readings[place] for place in places]
    return DirectArrays(
        places=np.array(places, dtype=np.int64),
        margin=np.array([r.direct_margin for r in own], dtype=np.float64),
        embedding=np.array([r.direct_embedding for r in own], dtype=np.float64),
        heads=np.array([r.direct_heads for r in own], dtype=np.float64),
        biases=np.array([r.direct_biases for r in own], dtype=np.float64),
        mlps=np.array([r.direct_mlps for r in own], dtype=np.float64),
    )


def _masked(
    plan: LensPlan, scores: Sequence[ItemScore], masks: Sequence[MaskedScores]
) -> dict[str, ModelEffects]:
    sets = [
        MaskedSet((), ("unmasked",)),
        *(
            MaskedSet((layer,), ("head",), (head,))
            for layer in plan.layers
            for head in range(plan.n_heads)
        ),
    ]
    return {
        name: model_effects(
            name,
            sets,
            [s for s in scores if s.model == name],
            [m for m in masks if m.model == name],
        )
        for name in plan.models
        if any(mask.model == name for mask in masks)
    }
