"""Trials: one recipe's effect, their order, and the file that keeps them.

    with TrialFile(run / "trials.jsonl") as file:
        file.append(made_trial(0, recipe, "search", objective, vlm_scores, merged_scores))

This file must not know who proposed a trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from merit_interp.errors import RunError
from merit_interp.recipe import Coefficient, Recipe
from merit_interp.record_files import JsonlAppender, read_jsonl
from merit_interp.records import ItemScore, Trial
from merit_interp.search.objective import Objective


def made_trial(
    number: int,
    recipe: Recipe,
    split: Literal["search", "validation"],
    objective: Objective,
    vlm: Sequence[ItemScore],
    merged: Sequence[ItemScore],
) -> Trial:
    """The trial of a recipe, from both models' scores on the same items."""
    effect = objective.effect(vlm, merged)
    by_margin = objective.kind == "margin"
    return Trial(
        number=number,
        recipe=recipe.merge_hash,
        layers=recipe.model_dump(mode="json", include={"layers"})["layers"],
        split=split,
        delta_tr=effect.delta_tr_margin_nats if by_margin else effect.delta_tr_accuracy,
        delta_tp=effect.delta_tp_margin_nats if by_margin else effect.delta_tp_accuracy,
        **dataclasses.asdict(effect),
    )


def layers_of(trial: Trial) -> dict[int, Coefficient]:
    """The coefficients that a trial tried."""
    return {int(layer): share for layer, share in trial.layers.items()}


def recipe_of(trial: Trial, identity: Recipe) -> Recipe:
    """The recipe that a trial tried."""
    return identity.with_layers(layers_of(trial))


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Best objective first; of equals, the one that was proposed first."""
    return sorted(trials, key=lambda trial: (-trial.objective, trial.number))


def most_parsimonious(trials: Sequence[Trial], parsimony: float) -> Trial:
    """The trial of fewest layers among those nearly as good as the best.

    As in the one-standard-error rule for choosing the size of a tree (Breiman et al.,
    Classification and Regression Trees, 1984, section 3.4.3), but with a stated share in place of
    a standard error, so that the choice does not depend on how many items there are.

    Args:
        trials: At least one, on one split.
        parsimony: Share of the best objective that may be lost for fewer layers.
    """
    best = ranked(trials)[0]
    floor = best.objective - parsimony * abs(best.objective)
    near = [trial for trial in trials if trial.objective >= floor]
    return min(near, key=lambda trial: (len(trial.layers), -trial.objective, trial.number))


class TrialFile:
    """Appends trials in order; those that an earlier, killed process wrote are not written again.

    Args:
        path: The file, which may be missing or torn.

    Raises:
        RunError: It cannot be written, or a line that is there is of another recipe than the one
            that is appended in its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = JsonlAppender(path)
        self._there = [row.get("recipe") for row in read_jsonl(path)]
        self._appended = 0

    def append(self, trial: Trial) -> None:
        """Add one trial, unless it is there."""
        place, self._appended = self._appended, self._appended + 1
        if place >= len(self._there):
            self._file.append(trial.to_row())
        elif self._there[place] != trial.recipe:
            raise RunError(
                f"{self.path}, line {place + 1}, is of recipe {self._there[place]}, where the "
                f"resumed search proposes {trial.recipe}",
                valid="the ledger that belongs to these trials, or --overwrite",
            )

    def __enter__(self) -> TrialFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self._file.close()
        return False
