"""A whole search, from paths to recipe.json: what `merit-interp search` and the demo call.

    result = find_recipe(SearchSettings(budget=100), SearchInputs(vlm, backbone, items), run)
    result.recipe

The run's directory is touched only after every input has been read, so that a mistake in an option
never costs an earlier run. This file must not know how recipes are proposed or scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.decoding import write_reports
from merit_interp.errors import RunError
from merit_interp.provenance import provenance
from merit_interp.recipe import Recipe, read_recipe, write_recipe
from merit_interp.record_files import (
    check_run_directory,
    is_finished,
    mark_finished,
    open_run_directory,
    write_json,
)
from merit_interp.search.ledger import open_ledger, read_header, refuse_other_header
from merit_interp.search.loop import Step, Watch, run_search
from merit_interp.search.settings import SPLITS, SearchSettings, Split, pinned_versions
from merit_interp.search.subject import (
    SearchInputs,
    Subject,
    fingerprints_of,
    load_subject,
    plan_digest,
)

RUN = "run.json"
LEDGER = "ledger.jsonl"
RECIPE = "recipe.json"
OWN = ("trials", "validation")
"""Stems of the files of records, which the ledger can make again."""


@dataclass(frozen=True)
class SearchResult:
    """A finished search."""

    run: Path
    recipe: Recipe
    """What `recipe.json` holds."""
    found: bool
    """Whether a recipe is better than the unmerged VLM beyond its interval."""
    reason: str
    """One sentence that says why this recipe was written."""
    finished_before: bool
    """Whether the run was finished already and nothing was done."""

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "run": str(self.run),
            "found": self.found,
            "reason": self.reason,
            "finished_before": self.finished_before,
            "recipe": json.loads(self.recipe.to_json()),
        }


def find_recipe(
    settings: SearchSettings,
    inputs: SearchInputs,
    run: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> SearchResult:
    """Search a recipe and write it, with all that led to it, into a run's directory.

    Args:
        settings: Space, sampler, objective and split.
        inputs: Pair and items.
        run: The run's directory.
        resume: Go on with the search in `run`; a finished one is read and returned.
        overwrite: Delete the earlier run in `run`.
        watch: Called after every step.

    Raises:
        RunError: `run` is in use, or holds a search of other settings, models or items.
        MeritError: An input cannot be used; nothing was written then.
    """
    check_run_directory(run, resume=resume, overwrite=overwrite)
    if resume:
        # before models are loaded, since that takes minutes
        _refuse_other(run, {"settings": settings.to_json()})
        if (run / RECIPE).exists() and not (run / LEDGER).exists():
            raise RunError(f"{run} holds a run that is no search", valid="another --out")
        if is_finished(run, OWN):
            _refuse_other(run, {"inputs": _pinned_inputs(inputs, fingerprints_of(inputs))})
            return _result(run, finished_before=True)
    subject = load_subject(inputs, settings, prepared=_preparation(watch))
    header = _header(settings, inputs, subject)
    if resume:
        _refuse_other(run, header)
    open_run_directory(run, resume=resume, overwrite=overwrite)
    if not (run / RUN).exists():
        _describe(run, settings, inputs, subject)
    write_reports(run, {split: (e.videos, e.items) for split, e in subject.parts.items()})
    with open_ledger(run / LEDGER, header) as ledger:
        verdict = run_search(settings, subject, ledger, run, watch=watch)
    write_recipe(verdict.recipe, run / RECIPE)
    mark_finished(run, OWN, recipe=verdict.recipe.merge_hash)
    return _result(run, finished_before=False)


def _preparation(watch: Watch | None) -> Callable[[Split, int, int], None] | None:
    if watch is None:
        return None
    return lambda split, done, total: watch(Step(f"reading {split} videos", done, total))


def _refuse_other(run: Path, header: Mapping[str, Any]) -> None:
    refuse_other_header(run / LEDGER, read_header(run / LEDGER), header)


def _header(settings: SearchSettings, inputs: SearchInputs, subject: Subject) -> dict[str, Any]:
    """All that a score or a proposal depends on."""
    return {
        "format": "merit-interp/search-ledger",
        "version": 1,
        "settings": settings.to_json(),
        "inputs": _pinned_inputs(inputs, subject.fingerprints),
        "batches": {split: plan_digest(subject.parts[split]) for split in SPLITS},
        "versions": pinned_versions(),
    }


def _pinned_inputs(inputs: SearchInputs, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    return {
        **fingerprints,
        "scoring": inputs.scoring.model_dump(mode="json"),
        "device": inputs.placement.device,
        "dtype": inputs.placement.dtype,
        "batch_size": inputs.batch_size,
        "max_failed": inputs.max_failed,
    }


def _describe(run: Path, settings: SearchSettings, inputs: SearchInputs, subject: Subject) -> None:
    record = provenance(
        seed=settings.seed,
        device=inputs.placement.device,
        dtype=inputs.placement.dtype,
        device_map=inputs.placement.device_map,
        fingerprints=subject.fingerprints,
        settings=settings.to_json(),
        processor=subject.processor_route,
    )
    write_json(run / RUN, record.to_row())


def _result(run: Path, *, finished_before: bool) -> SearchResult:
    recipe = read_recipe(run / RECIPE)
    return SearchResult(
        run=run,
        recipe=recipe,
        found=recipe.search["found"],
        reason=recipe.search["reason"],
        finished_before=finished_before,
    )
