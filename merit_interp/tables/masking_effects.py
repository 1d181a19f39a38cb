"""A masking sweep read back: what masking each set of layers cost, item by item.

    run = read_masking(Path("runs/demo/mask"))
    run.model("merged").cost("margin_nats", (2, 4))    # (items,)

A cost is the unmasked value minus the masked one, so that it is positive where masking hurts; every
cost is paired by item. This file must not know how a set was masked, nor test anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from merit_interp.errors import RunError
from merit_interp.recipe import Recipe
from merit_interp.record_files import read_jsonl
from merit_interp.records import ItemScore, MaskedScores, MaskedSet, MaskPlan, Provenance
from merit_interp.statistics.clusters import FloatArray
from merit_interp.tables.model_names import in_listing_order
from merit_interp.tables.run_records import read_run

MASKS, SWEEP = "masks.jsonl", "sweep.json"
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "margin_nats": "drop of the right option's margin over the best other, in nats",
        "log_prob_nats": "drop of the right option's log-probability, in nats",
        "accuracy": "drop of accuracy, a share in [-1, 1]",
        "kl_nats": "divergence of the masked distribution over the options, in nats",
    }
)
"""What masking changes in an item; the first one is what claims are made of."""
PRIMARY = "margin_nats"

EFFECT_COLUMNS = {
    "model": "str",
    "layers": "str",
    "heads": "str",
    "roles": "str",
    "n_layers": "int64",
    "item": "str",
    "skill": "str",
    "category": "str",
    "group": "str",
    **dict.fromkeys(OUTCOMES, "float64"),
}
"""`layers` and `heads` are numbers with commas between; outcomes are costs, as in `OUTCOMES`."""


@dataclass(frozen=True, eq=False)
class ModelEffects:
    """What masking cost one model, over the items that every set could be masked on."""

    model: str
    items: pd.DataFrame
    """item, skill, category and group of each item."""
    sets: tuple[MaskedSet, ...]
    """All sets but the unmasked one."""
    costs: Mapping[str, FloatArray]
    """(sets, items) of each outcome."""
    n_left_out: int
    """Items that failed, overflowed, or that the mode could not mask."""

    def of_skill(self, skill: str) -> NDArray[np.bool_]:
        """(items,) which items are of a skill."""
        found: NDArray[np.bool_] = (self.items["skill"] == skill).to_numpy(dtype=bool)
        return found

    def having(self, role: str) -> NDArray[np.int64]:
        """Places of the sets of one role."""
        return np.array([i for i, s in enumerate(self.sets) if role in s.roles], dtype=np.int64)

    def groups(self, chosen: NDArray[np.bool_]) -> list[str]:
        """The videos of some items."""
        return [str(group) for group in self.items.loc[chosen, "group"]]


@dataclass(frozen=True, eq=False)
class MaskingRun:
    """A finished sweep."""

    directory: Path
    provenance: Provenance
    recipe: Recipe
    plan: MaskPlan
    models: tuple[ModelEffects, ...]

    @property
    def mode(self) -> str:
        """What took the place of self-attention."""
        return str(self.provenance.settings["masking"]["mode"])

    @property
    def tokens(self) -> str:
        """At which tokens."""
        return str(self.provenance.settings["masking"]["tokens"])

    def model(self, name: str) -> ModelEffects | None:
        """The effects on one model, if it was masked."""
        return next((effects for effects in self.models if effects.model == name), None)

    def coefficients(self) -> FloatArray:
        """(layers,) mean coefficient of each layer of the recipe, 0 where it is not merged."""
        layers = range(self.plan.n_layers)
        return np.array([self.recipe.layer_coefficient(layer) for layer in layers])


def read_masking(directory: Path) -> MaskingRun:
    """Read the directory of a finished sweep.

    Raises:
        RunError: There is no sweep, it is not finished, or a file of it is damaged.
    """
    run = read_run(directory)
    if run.finished is None or run.provenance is None or run.recipe is None:
        raise RunError(
            f"{directory} holds no finished sweep", valid="`merit-interp mask ... --resume` first"
        )
    try:
        plan = MaskPlan.from_row(json.loads((run.directory / SWEEP).read_text()))
        records = [MaskedScores.from_row(row) for row in read_jsonl(run.directory / MASKS)]
    except (OSError, TypeError, KeyError, ValueError) as error:
        raise RunError(f"{directory} is no sweep, or damaged: {error}") from None
    by_model: dict[str, list[MaskedScores]] = {}
    for record in records:
        by_model.setdefault(record.model, []).append(record)
    models = tuple(
        model_effects(
            name, plan.sets, [s for s in run.scores if s.model == name], by_model.get(name, [])
        )
        for name in in_listing_order(score.model for score in run.scores)
    )
    return MaskingRun(run.directory, run.provenance, run.recipe, plan, models)


def model_effects(
    model: str,
    sets: Iterable[MaskedSet],
    scores: Iterable[ItemScore],
    records: Iterable[MaskedScores],
) -> ModelEffects:
    """The costs of one model.

    Args:
        model: Its name.
        sets: The sets of the plan.
        scores: Every item, unmasked; its description is taken from here.
        records: Every batch under every set.
    """
    known: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[str, tuple[float, ...]]] = {}
    for record in records:
        known.setdefault((record.layers, record.heads), {}).update(record.log_probs)
    masked = tuple(entry for entry in sets if entry.layers)
    everything = [known.get(((), ()), {}), *(known.get((s.layers, s.heads), {}) for s in masked)]
    scores = list(scores)
    kept = [score for score in scores if all(_finite(of.get(score.item)) for of in everything)]
    n_options = max((len(everything[0][score.item]) for score in kept), default=2)
    values = np.full((len(everything), len(kept), n_options), -np.inf)
    for place, of in enumerate(everything):
        for number, score in enumerate(kept):
            row = of[score.item]
            values[place, number, : len(row)] = row
    answers = np.array([score.answer for score in kept], dtype=np.int64)
    fields = ("item", "skill", "category", "group")
    items = pd.DataFrame(
        {name: [getattr(score, name) for score in kept] for name in fields}, dtype="str"
    )
    costs = _costs(values, answers)
    return ModelEffects(model, items, masked, costs, len(scores) - len(kept))


def _finite(log_probs: tuple[float, ...] | None) -> bool:
    return log_probs is not None and bool(np.isfinite(log_probs).all())


def _costs(values: FloatArray, answers: NDArray[np.int64]) -> dict[str, FloatArray]:
    """(sets, items) of each outcome from log-probabilities (unmasked first, items, options)."""
    where = np.arange(answers.size)
    right = values[:, where, answers]
    others = values.copy()
    others[:, where, answers] = -np.inf
    best_other = others.max(axis=2)
    # the first option wins a tie, as in ItemScore.chosen
    correct = (values.argmax(axis=2) == answers).astype(np.float64)
    measures = {"margin_nats": right - best_other, "log_prob_nats": right, "accuracy": correct}
    costs = {name: measures[name][:1] - measures[name][1:] for name in measures}
    costs["kl_nats"] = _divergence(values[:1], values[1:])
    return {name: costs[name] for name in OUTCOMES}


def _divergence(before: FloatArray, after: FloatArray) -> FloatArray:
    """KL(before || after) over the options, each normalised to 1; (sets, items), in nats."""
    p, q = (v - np.logaddexp.reduce(v, axis=2, keepdims=True) for v in (before, after))
    # places past an item's last option carry no probability
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isfinite(p), np.exp(p) * (p - q), 0.0)
    divergence: FloatArray = np.maximum(terms.sum(axis=2), 0.0)
    return divergence


def layers_text(layers: Iterable[int]) -> str:
    """Layers as a reader is shown them: `2, 4`; `none` where there are none."""
    return ", ".join(map(str, layers)) or "none"


def effect_frame(run: MaskingRun) -> pd.DataFrame:
    """One row for each model, set and item, with `EFFECT_COLUMNS`."""
    parts = []
    for effects in run.models:
        for place, entry in enumerate(effects.sets):
            parts.append(
                effects.items.assign(
                    model=effects.model,
                    layers=layers_text(entry.layers),
                    heads=layers_text(entry.heads) if entry.heads else "",
                    roles=" ".join(entry.roles),
                    n_layers=len(entry.layers),
                    **{name: effects.costs[name][place] for name in OUTCOMES},
                )
            )
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return frame.reindex(columns=list(EFFECT_COLUMNS)).astype(EFFECT_COLUMNS)
