"""Scores of recipes: from the ledger where it has them, else from the model by way of the ledger.

    scores = LedgerScores(subject, ledger)
    scores.of(recipe, "search")

Kept by the batch, so that a kill costs one batch at most. This file must not know who asks, or why.
"""

from __future__ import annotations

import math

from merit_interp.benchmarks.items import Item
from merit_interp.errors import NotANumberError
from merit_interp.recipe import Recipe
from merit_interp.records import ItemScore
from merit_interp.search.ledger import Ledger
from merit_interp.search.settings import Split
from merit_interp.search.subject import Subject

VLM = "vlm"
"""What the ledger calls the unmerged model."""


class LedgerScores:
    """Scores of any recipe on either split."""

    def __init__(self, subject: Subject, ledger: Ledger) -> None:
        self._subject = subject
        self._ledger = ledger
        self.n_by_model = 0
        """Batches that the model was run on, rather than the ledger asked."""
        self.failed: dict[str, str] = {}
        """Why a recipe has no scores, by its merge hash."""

    def of(self, recipe: Recipe, split: Split) -> list[ItemScore]:
        """Every item's score under a recipe, in the split's order.

        A merge that gives NaN anywhere has NaN everywhere, which no objective rates below: the
        ledger says where and why, `failed` too, and its further batches are not run.

        Raises:
            NotANumberError: The unmerged VLM gives NaN.
        """
        name = VLM if recipe.is_identity else recipe.merge_hash
        evaluation = self._subject.parts[split]
        index_of = {item.id: index for index, item in enumerate(evaluation.items)}
        log_probs: dict[int, tuple[float, ...]] = {}
        for batch in range(len(evaluation.batches)):
            if not self._ledger.holds(name, split, batch):
                self._score(name, recipe, split, batch)
                self.n_by_model += 1
            held = self._ledger.log_probs(name, split, batch)
            log_probs |= {index_of[item]: values for item, values in held.items()}
            if any(math.isnan(value) for values in held.values() for value in values):
                log_probs = {i: _nan(item) for i, item in enumerate(evaluation.items)}
                self.failed[name] = self._ledger.fault(name, split, batch) or "NaN"
                break
        return evaluation.item_scores(log_probs, name, recipe.merge_hash, split)

    def _score(self, name: str, recipe: Recipe, split: Split, batch: int) -> None:
        """Write down log-probabilities of a batch's items, NaN and why if the merge gives NaN."""
        evaluation, fault = self._subject.parts[split], None
        self._subject.merge.apply(recipe)
        try:
            scored = dict(evaluation.score_batch(batch))
        except NotANumberError as error:
            if recipe.is_identity:
                raise
            fault = error.problem
            log_probs = {item.id: _nan(item) for item in evaluation.items_of(batch)}
        else:
            log_probs = {evaluation.items[index].id: values for index, values in scored.items()}
        self._ledger.record(name, split, batch, log_probs, fault=fault)


def _nan(item: Item) -> tuple[float, ...]:
    return (math.nan,) * len(item.options)
