"""What a report has to tell: a run's records with the tables that every section draws on.

    findings = gather(read_run(Path("runs/demo")))
    findings.verdict.headline

This file must not know how a finding is worded or drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from merit_interp.recipe import Recipe
from merit_interp.report.parts import part_of_a_study
from merit_interp.tables.control_verdict import control_words
from merit_interp.tables.item_frames import item_scores, trial_frame
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.pair_consistency import pair_table
from merit_interp.tables.run_records import RunRecords
from merit_interp.tables.skills import baseline_summary, skill_table
from merit_interp.tables.verdict import Verdict, judge_sets
from merit_interp.tables.video_controls import control_frame, video_control_table

UNITS = {"margin": "nats", "accuracy": "share of items"}
"""Unit of a search's objective, by its kind."""


@dataclass(frozen=True, eq=False)
class Findings:
    """A run and its tables; a table without rows where the run has no such records."""

    run: RunRecords
    verdict: Verdict | None
    """On the judged item set; None where nothing was scored."""
    held_out: tuple[Verdict, ...]
    """On every other item set."""
    summary: pd.DataFrame
    """`baseline_summary` of all scores."""
    categories: pd.DataFrame
    """`skill_table` of the VLM and the merged model."""
    trials: pd.DataFrame
    """`trial_frame` of the search split."""
    controls: pd.DataFrame
    """`video_control_table`."""
    control_items: pd.DataFrame
    """`control_frame`: what lies behind it."""
    pairs: pd.DataFrame
    """`pair_table`."""
    part: str | None = None
    """Of which part of a study the run is, of `report.parts`: its scores are of few items, so that
    no verdict is on them."""

    @property
    def control_words(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """What video controls say, by item set and control; empty where none was asked for."""
        return {
            name: control_words(self.controls, self.control_items, name)
            for name in _names(self.controls["item_set"])
        }

    @property
    def unit(self) -> str:
        """Unit of the search's objective."""
        kind = self._search.get("objective", "margin")
        return UNITS.get(str(kind), str(kind))

    @property
    def search_found(self) -> bool | None:
        """Whether the search found a recipe that is better than the VLM; None if it did not say."""
        found = self._search.get("found")
        return found if isinstance(found, bool) else None

    @property
    def search_reason(self) -> str | None:
        """Why the search ended in its recipe, in its own words."""
        reason = self._search.get("reason")
        return reason if isinstance(reason, str) else None

    @property
    def n_layers(self) -> int | None:
        """Text layers of the model; None where no record tells.

        A search tries the uniform merges, whose recipes name every layer.
        """
        settings = self.run.provenance.settings if self.run.provenance else {}
        for told in (self._search.get("n_layers"), settings.get("n_layers")):
            if isinstance(told, int):
                return told
        tried = [int(layer) for trial in self.run.trials for layer in trial.layers]
        return max(tried) + 1 if tried else None

    @property
    def _search(self) -> Mapping[str, Any]:
        return self.run.recipe.search if self.run.recipe else {}


def gather(run: RunRecords) -> Findings:
    """Make the tables of a run.

    Raises:
        RunError: Its scores contradict each other.
    """
    scores = item_scores(run.scores)
    part = part_of_a_study(run.directory)
    verdicts = _verdicts(scores, run.recipe) if part is None else ()
    pair = scores[scores["model"].isin([VLM, MERGED])]
    control_items = control_frame(run.control_scores)
    return Findings(
        run=run,
        verdict=verdicts[0] if verdicts else None,
        held_out=verdicts[1:],
        summary=baseline_summary(scores),
        categories=skill_table(pair),
        trials=trial_frame(run.trials, chosen=run.recipe.merge_hash if run.recipe else None),
        controls=video_control_table(pair, control_items),
        control_items=control_items,
        pairs=pair_table(run.scores),
        part=part,
    )


def _verdicts(scores: pd.DataFrame, recipe: Recipe | None) -> tuple[Verdict, ...]:
    return judge_sets(scores, identity=recipe is not None and recipe.is_identity)


def _names(column: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(column))
