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
from merit_interp.search.samplers import make_sampler
from merit_interp.search.settings import SearchSettings
from merit_interp.search.spaces import Space, Vector
from merit_interp.search.subject import Subject
from merit_interp.search.trials import TrialFile, made_trial, ranked, recipe_of
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
        trials = _search(settings, subject, scores, run, watch)
        write_json(run / PARETO, [trial.to_row() for trial in pareto_front(trials)])
        validated = _validate(settings, subject, scores, trials, run, watch)
        return judge(settings, subject.identity, trials, validated, scores.of)
    finally:
        subject.merge.restore()


def _search(
    settings: SearchSettings,
    subject: Subject,
    scores: LedgerScores,
    run: Path,
    watch: Watch | None,
) -> list[Trial]:
    """As many different recipes as the budget allows, in the order of their proposal."""
    objective = settings.made_objective()
    space = settings.space(subject.n_layers)
    sampler = make_sampler(settings.sampler, space, settings.seed)
    vlm = scores.of(subject.identity, "search")
    budget = min(settings.budget, space.n_points or settings.budget)
    trials: dict[str, Trial] = {}
    repeats = 0
    proposals = _proposals(space, sampler.ask)
    with TrialFile(run / TRIALS) as file:
        while len(trials) < budget and repeats < MOST_REPEATS:
            vector = next(proposals)
            recipe = subject.identity.with_layers(space.layers(vector))
            repeats = repeats + 1 if recipe.merge_hash in trials else 0
            if not repeats:
                before = scores.n_by_model
                merged = scores.of(recipe, "search")
                trial = made_trial(len(trials), recipe, "search", objective, vlm, merged)
                trials[recipe.merge_hash] = trial
                file.append(trial)
                if watch is not None:
                    best = ranked(trials.values())[0]
                    watch(Step("search", len(trials), budget, scores.n_by_model > before, best))
            sampler.tell(vector, trials[recipe.merge_hash].objective)
    return list(trials.values())


def _proposals(space: Space, ask: Callable[[], Vector]) -> Iterator[Vector]:
    """The uniform merges first, so that no search ends below them; then the sampler's own."""
    yield from space.uniform_vectors()
    yield from (ask() for _ in itertools.count())


def _validate(
    settings: SearchSettings,
    subject: Subject,
    scores: LedgerScores,
    trials: Sequence[Trial],
    run: Path,
    watch: Watch | None,
) -> list[Trial]:
    """The best trials again, on the videos that the search did not see; best on search first."""
    objective = settings.made_objective()
    chosen = [trial for trial in ranked(trials) if trial.layers][: settings.top]
    vlm = scores.of(subject.identity, "validation")
    validated: list[Trial] = []
    with TrialFile(run / VALIDATION) as file:
        for trial in chosen:
            recipe = recipe_of(trial, subject.identity)
            before = scores.n_by_model
            merged = scores.of(recipe, "validation")
            again = made_trial(trial.number, recipe, "validation", objective, vlm, merged)
            validated.append(again)
            file.append(again)
            if watch is not None:
                watch(Step("validation", len(validated), len(chosen),
                           scores.n_by_model > before, ranked(validated)[0]))  # fmt: skip
    return validated
