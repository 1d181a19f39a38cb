"""The search itself: propose, score, tell; then choose the winner on videos the search never saw.

    outcome = run_search(settings, subject, ledger, run, watch=print)
    outcome.recipe

A resumed search is this same loop: the sampler is told again what it was told before, and the
ledger answers in place of the model until it has no more answers. Nothing here looks at a clock, so
a search that was killed ends in the same bytes as one that was not. This file must not know how
scores are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from merit_interp.record_files import write_json
from merit_interp.records import Trial
from merit_interp.search.ledger import Ledger
from merit_interp.search.ledger_scores import LedgerScores
from merit_interp.search.objective import pareto_front
from merit_interp.search.pruning import Layers, pruning_path
from merit_interp.search.samplers import make_sampler
from merit_interp.search.settings import SearchSettings, Split
from merit_interp.search.spaces import Space, Vector
from merit_interp.search.subject import Subject
from merit_interp.search.trials import TrialFile, layers_of, made_trial, ranked
from merit_interp.search.verdict import Verdict, judge

TRIALS = "trials.jsonl"
VALIDATION = "validation.jsonl"
PARETO = "pareto.json"

MOST_REPEATS = 500
"""Proposals in a row that were all tried before, after which a space counts as exhausted."""


@dataclass(frozen=True)
class Step:
    """Where a search stands; what a progress bar shows."""

    phase: str
    """What is being done: `search`, `validation`, or what is prepared."""
    done: int
    total: int
    by_model: bool = True
    """Whether the model was run for this step; else the ledger knew."""
    best: Trial | None = None
    """Best trial of the phase so far."""


Watch = Callable[[Step], None]


def run_search(
    settings: SearchSettings,
    subject: Subject,
    ledger: Ledger,
    run: Path,
    *,
    watch: Watch | None = None,
) -> Verdict:
    """Search, validate and judge; goes on from whatever the ledger holds.

    Writes `trials.jsonl`, `validation.jsonl` and `pareto.json` below `run`.

    Raises:
        RunError: The trials in `run` are not those of this ledger, or the disk is full.
    """
    scores = LedgerScores(subject, ledger)
    try:
        trials, pruned = _search(settings, subject, scores, run, watch)
        write_json(run / PARETO, [trial.to_row() for trial in pareto_front(trials)])
        validated = _validate(settings, subject, scores, trials, pruned, run, watch)
        return judge(
            settings, subject.identity, subject.n_layers, trials, validated, scores.of,
            failed=scores.failed,
        )  # fmt: skip
    finally:
        subject.merge.restore()


class _Tries:
    """Recipes tried on one split, each once, in the order in which they are asked for."""

    def __init__(
        self,
        settings: SearchSettings,
        subject: Subject,
        scores: LedgerScores,
        split: Split,
        file: TrialFile,
        watch: Watch | None,
    ) -> None:
        self._subject, self._scores, self._split = subject, scores, split
        self._file, self._watch = file, watch
        self._objective = settings.made_objective()
        self._vlm = scores.of(subject.identity, split)
        self.by_recipe: dict[str, Trial] = {}

    def of(self, layers: Layers, phase: str, total: int, number: int | None = None) -> Trial:
        """The trial of a recipe with these layers; known ones are not scored again."""
        recipe = self._subject.identity.with_layers(layers)
        if recipe.merge_hash in self.by_recipe:
            return self.by_recipe[recipe.merge_hash]
        before = self._scores.n_by_model
        merged = self._scores.of(recipe, self._split)
        number = len(self.by_recipe) if number is None else number
        trial = made_trial(number, recipe, self._split, self._objective, self._vlm, merged)
        self.by_recipe[recipe.merge_hash] = trial
        self._file.append(trial)
        if self._watch is not None:
            by_model = self._scores.n_by_model > before
            best = ranked(self.by_recipe.values())[0]
            self._watch(Step(phase, len(self.by_recipe), total, by_model, best))
        return trial


def _search(
    settings: SearchSettings,
    subject: Subject,
    scores: LedgerScores,
    run: Path,
    watch: Watch | None,
) -> tuple[list[Trial], list[Trial]]:
    """As many different recipes as the budget allows, and the best of them with fewer layers."""
    space = settings.space(subject.n_layers)
    sampler = make_sampler(settings.sampler, space, settings.seed)
    budget = min(settings.budget, space.n_points or settings.budget)
    repeats = 0
    proposals = _proposals(space, sampler.ask)
    with TrialFile(run / TRIALS) as file:
        tries = _Tries(settings, subject, scores, "search", file, watch)
        while len(tries.by_recipe) < budget and repeats < MOST_REPEATS:
            vector = next(proposals)
            known = len(tries.by_recipe)
            trial = tries.of(space.layers(vector), "search", budget)
            repeats = repeats + 1 if len(tries.by_recipe) == known else 0
            sampler.tell(vector, trial.objective)
        best = ranked(tries.by_recipe.values())[0]
        pruned = _pruned(settings, best, tries)
        return list(tries.by_recipe.values()), pruned


def _pruned(settings: SearchSettings, best: Trial, tries: _Tries) -> list[Trial]:
    """The best trial without the layers that it does not need, one less each, themselves trials."""
    if best.objective <= 0.0 or settings.parsimony == 0.0:
        return []
    total = len(tries.by_recipe) + 2 * len(best.layers)
    path = pruning_path(
        layers_of(best),
        floor=(1.0 - settings.parsimony) * best.objective,
        objective_of=lambda layers: tries.of(layers, "pruning", total).objective,
    )
    return [tries.of(layers, "pruning", total) for layers in path]


def _proposals(space: Space, ask: Callable[[], Vector]) -> Iterator[Vector]:
    """The uniform merges first, so that no search ends below them; then the sampler's own."""
    yield from space.uniform_vectors()
    yield from (ask() for _ in itertools.count())


def _validate(
    settings: SearchSettings,
    subject: Subject,
    scores: LedgerScores,
    trials: Sequence[Trial],
    pruned: Sequence[Trial],
    run: Path,
    watch: Watch | None,
) -> list[Trial]:
    """The best trials and the pruned ones again, on videos that the search did not see."""
    chosen = [trial for trial in ranked(trials) if trial.layers][: settings.top]
    chosen += [trial for trial in pruned if trial not in chosen]
    with TrialFile(run / VALIDATION) as file:
        tries = _Tries(settings, subject, scores, "validation", file, watch)
        return [
            tries.of(layers_of(trial), "validation", len(chosen), trial.number) for trial in chosen
        ]
