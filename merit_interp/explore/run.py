"""A finished run, opened: its tables as data frames, its recipe, its verdicts, its figures.

    run = open_run("runs/demo")
    run.summary                # a data frame
    run.columns("summary")     # what its columns mean
    run.figure("pareto")       # a plotly figure

Everything is read and computed when it is first asked for, and kept. This file must not compute a
number, and must not know how a table or a figure is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from merit_interp.errors import RunError, SettingError
from merit_interp.explore.columns import TABLES, column_notes
from merit_interp.explore.figures import category_figure, item_figure, listed, part_figures
from merit_interp.explore.page import run_page
from merit_interp.recipe import Recipe, read_recipe
from merit_interp.record_files import read_finished
from merit_interp.records import Provenance
from merit_interp.report.attribution import attribution_directory
from merit_interp.report.figures import NamedFigure
from merit_interp.report.findings import Findings, gather
from merit_interp.report.lens import lens_directory
from merit_interp.report.masking import sweep_directory
from merit_interp.report.parts import ATTRIBUTE, LENS, MASK
from merit_interp.tables.attribution_examples import Example, example_items
from merit_interp.tables.attribution_tables import AttributionFindings, attribution_findings
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.lens_tables import LensFindings, lens_findings
from merit_interp.tables.masking_comparison import comparison_frame
from merit_interp.tables.masking_depth import depth_frame
from merit_interp.tables.masking_effects import effect_frame
from merit_interp.tables.masking_tables import MaskingFindings, masking_findings
from merit_interp.tables.run_records import RunRecords, read_run
from merit_interp.tables.run_tables import tables_of_answers, tables_without_rows, trial_table
from merit_interp.tables.skills import skill_table
from merit_interp.tables.video_controls import visual_dependency

RECIPE, DESCRIPTION = "recipe.json", "run.json"
PARTS = {MASK: sweep_directory, ATTRIBUTE: attribution_directory, LENS: lens_directory}
"""What may lie in a run, or in a directory of that name below it: where it is, if it is finished.

Each is made by the command of its name."""


def open_run(directory: str | Path) -> Run:
    """Open a finished run.

    Args:
        directory: What `demo`, `search`, `evaluate`, `mask`, `attribute` or `lens` wrote.

    Raises:
        RunError: There is no run, it is not finished, or it was changed after it ended.
    """
    directory = Path(directory)
    if not (directory / DESCRIPTION).exists() and not (directory / RECIPE).exists():
        raise RunError(
            f"no run at {directory}",
            valid="a directory that `merit-interp demo`, `search` or `evaluate` wrote",
        )
    if read_finished(directory) is None:
        raise RunError(
            f"the run at {directory} is not finished", valid="its command again with --resume"
        )
    return Run(directory)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run; `open_run` makes it."""

    directory: Path

    @cached_property
    def records(self) -> RunRecords:
        """Everything that the run wrote down, untabulated."""
        return read_run(self.directory)

    @property
    def provenance(self) -> Provenance | None:
        """What made the run: command, versions, seed, fingerprints."""
        return self.records.provenance

    @cached_property
    def recipe(self) -> Recipe | None:
        """The merge that the run ended in, or was given; None where it has none."""
        path = self.directory / RECIPE
        return read_recipe(path) if path.exists() else None

    @property
    def parts(self) -> tuple[str, ...]:
        """What it holds beside search and evaluation: of `mask`, `attribute`, `lens`."""
        return tuple(part for part, where in PARTS.items() if where(self.directory) is not None)

    # -- words

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found, in plain words: evaluation, controls, then masking, frames, heads."""
        parts = (self.verdict_lines, self.control_lines, self.mask_lines)
        return sum((*parts, self.attribution_lines, self.lens_lines), ())

    @property
    def verdict_lines(self) -> tuple[str, ...]:
        """Headline and claims on the judged item set, and the headline of each held-out set."""
        findings = self.findings
        judged = findings.verdict.text.splitlines() if findings.verdict else []
        return (*judged, *(f"On {v.item_set}: {v.headline}" for v in findings.held_out))

    @property
    def control_lines(self) -> tuple[str, ...]:
        """What video controls say of each item set; empty where none was asked for."""
        words = [
            words for by_set in self.findings.control_words.values() for words in by_set.values()
        ]
        return sum(words, ())

    @property
    def mask_lines(self) -> tuple[str, ...]:
        """What masking found; empty where nothing was masked."""
        return self.masking.verdict.lines if MASK in self.parts else ()

    @property
    def attribution_lines(self) -> tuple[str, ...]:
        """What attribution found, three lines an item set; empty where nothing was attributed."""
        if ATTRIBUTE not in self.parts:
            return ()
        found = self.attribution
        return tuple(line for name in found.item_sets for line in found.lines(name))

    @property
    def lens_lines(self) -> tuple[str, ...]:
        """What the lens found; empty where it was not run."""
        return self.lens.verdict.lines if LENS in self.parts else ()

    # -- findings: what tables and figures are made of

    @cached_property
    def findings(self) -> Findings:
        """Search and evaluation: what the report is made of."""
        return gather(self.records)

    @cached_property
    def masking(self) -> MaskingFindings:
        """The masking sweep: every cost, test and number.

        Raises:
            RunError: There is none that is finished.
        """
        return masking_findings(self._finished(MASK))

    @cached_property
    def attribution(self) -> AttributionFindings:
        """The attribution: every item, every comparison.

        Raises:
            RunError: There is none that is finished.
        """
        return attribution_findings(self._finished(ATTRIBUTE))

    @cached_property
    def lens(self) -> LensFindings:
        """Layers and heads read by the lens: every table and its verdict.

        Raises:
            RunError: There is none that is finished.
        """
        return lens_findings(self._finished(LENS))

    def _finished(self, part: str) -> Path:
        directory = PARTS[part](self.directory)
        if directory is not None:
            return directory
        command = f"`merit-interp {part} --recipe {self.directory / RECIPE}`"
        begun = (self.directory / part).is_dir()
        raise RunError(
            f"{self.directory} holds no finished `{part}`",
            valid=f"{command} {'with --resume ' if begun else ''}first",
        )

    # -- tables; what their columns mean is in `columns`

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row for each item that a model scored."""
        return item_scores(self.records.scores)

    @cached_property
    def skills(self) -> pd.DataFrame:
        """One row for each item set, model, skill and category of question."""
        return skill_table(self.scores)

    @property
    def summary(self) -> pd.DataFrame:
        """One row for each item set, model and skill; all draws of random layers are one model."""
        return self.findings.summary

    @property
    def letter_prior(self) -> pd.DataFrame:
        """One row for each item set, model and letter; none where options were not shown."""
        return self._answers["letter_prior"]

    @property
    def circular(self) -> pd.DataFrame:
        """One row for each item set, model and skill asked in every order of options."""
        return self._answers["circular"]

    @property
    def answers_read(self) -> pd.DataFrame:
        """One row for each item set, model and skill whose answers were generated."""
        return self._answers["answers_read"]

    @property
    def video_controls(self) -> pd.DataFrame:
        """One row for each item set, video control, model, skill and category."""
        return self.findings.controls

    @property
    def visual_dependency(self) -> pd.DataFrame:
        """One row for each item set, model, skill and category: the video against black frames."""
        return visual_dependency(self.video_controls)

    @property
    def pair_consistency(self) -> pd.DataFrame:
        """One row for each item set, skill, score and model; none where items have no pairs."""
        return self.findings.pairs

    @cached_property
    def _answers(self) -> dict[str, pd.DataFrame]:
        return tables_of_answers(self.records)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row for each recipe that the search tried, on the search and on the validation split.

        No rows where the run made no search.
        """
        return trial_table(self.records)

    @cached_property
    def mask_effects(self) -> pd.DataFrame:
        """One row for each model, masked set of layers and item."""
        return effect_frame(self.masking.run)

    @property
    def mask_layers(self) -> pd.DataFrame:
        """One row for each model, masked set of layers, skill, category and outcome."""
        return self.masking.layers

    @cached_property
    def mask_comparisons(self) -> pd.DataFrame:
        """One row for each test of the chosen layers against the others."""
        return comparison_frame(self.masking.comparisons)

    @cached_property
    def mask_depth(self) -> pd.DataFrame:
        """One row for each number that sums up a skill's profile over depth."""
        return depth_frame(self.masking.depth)

    @property
    def attributions(self) -> pd.DataFrame:
        """One row for each item, model, condition and method of attribution."""
        return self.attribution.frame

    @property
    def attribution_shift(self) -> pd.DataFrame:
        """One row for each comparison of attribution on the evidence."""
        return self.attribution.shift

    @property
    def lens_layers(self) -> pd.DataFrame:
        """One row for each model, skill, measure and layer: what its state says of the answer."""
        return self.lens.layers

    @property
    def lens_attention(self) -> pd.DataFrame:
        """One row for each model, skill, position, kind of token, layer and head."""
        return self.lens.attention

    @property
    def lens_heads(self) -> pd.DataFrame:
        """One row for each head of the recipe's layers and skill: its change and its cost."""
        return self.lens.heads

    @property
    def lens_direct(self) -> pd.DataFrame:
        """One row for each model, skill and part of the last state: what it adds to the margin."""
        return self.lens.direct

    @property
    def lens_direct_groups(self) -> pd.DataFrame:
        """The same with parts put together."""
        return self.lens.direct_groups

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that the run has records for; each is a property of the run."""
        parts, empty = ("", *self.parts), tables_without_rows(self.records)
        return tuple(n for n, table in TABLES.items() if table.part in parts and n not in empty)

    def columns(self, table: str) -> pd.DataFrame:
        """What each column of a table means: one row a column.

        Args:
            table: Name of the table, as in `tables`.

        Raises:
            SettingError: There is no such table.
        """
        notes = column_notes(table)
        frame: pd.DataFrame = getattr(self, table)
        types = [str(frame[name].dtype) for name in notes]
        return pd.DataFrame({"column": list(notes), "type": types, "meaning": notes.values()})

    # -- figures

    def figure(self, name: str) -> go.Figure:
        """One of the run's figures, by the name that the report's files have.

        Raises:
            SettingError: The run has no such figure.
            RunError: It is of a part that was not run or is not finished.
        """
        return self.named_figure(name).figure

    def named_figure(self, name: str) -> NamedFigure:
        """The same with its name and its words, as `report.figures.write_named` takes it."""
        kind = name.partition("-")[0]
        figures = self._part_figures(_PREFIXES.get(kind, ""))
        if name not in figures:
            raise SettingError(f"{self.directory} has no figure {name!r}", valid=listed(figures))
        return figures[name]

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of all figures that the run has records for; draws each of them."""
        return tuple(name for part in ("", *self.parts) for name in self._part_figures(part))

    def figures_of(self, part: str) -> tuple[NamedFigure, ...]:
        """All figures of `mask`, `attribute` or `lens`.

        Raises:
            RunError: It was not run, or is not finished.
            SettingError: There is no such part.
        """
        if part not in PARTS:
            raise SettingError(f"no part {part!r}", valid=", ".join(PARTS))
        return tuple(self._part_figures(part).values())

    def _part_figures(self, part: str) -> dict[str, NamedFigure]:
        if part not in self._drawn:
            self._drawn[part] = part_figures(self, part)
        return self._drawn[part]

    @cached_property
    def _drawn(self) -> dict[str, dict[str, NamedFigure]]:
        return {}

    def categories_figure(self, model: str) -> go.Figure:
        """What masking each layer costs each category of question in one model.

        Args:
            model: `vlm`, `merged` or `backbone_transcripts`.
        """
        return category_figure(self.masking, model).figure

    def examples(self, *, each: int = 1, item_set: str | None = None) -> tuple[Example, ...]:
        """Attributed items that are typical of what merging did to an answer.

        Args:
            each: Items of each kind.
            item_set: Name of the item set; None for the first.
        """
        found = self.attribution
        name = item_set or found.item_sets[0]
        return example_items(found.frame, name, method=found.run.method, each=each)

    @property
    def example_items(self) -> tuple[str, ...]:
        """Ids of the typical items, one of each kind; those that merging turned right come first.

        Raises:
            RunError: Nothing was attributed, or no attributed item has evidence.
        """
        items = tuple(example.item for example in self.examples())
        if not items:
            raise RunError(
                f"no item that {self.directory} attributes names its evidence",
                valid='items with "evidence"',
            )
        return items

    def item_figure(self, item: str, *, item_set: str | None = None) -> NamedFigure:
        """The frames of one attributed item, and how much each decides before and after.

        Args:
            item: The item's id.
            item_set: Name of the item set; None for the first.

        Raises:
            SettingError: The item was not attributed.
        """
        found = self.attribution
        return item_figure(found, item_set or found.item_sets[0], item)

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, tables: {', '.join(self.tables)})"

    def _repr_html_(self) -> str:
        return run_page(
            self.directory,
            recipe=self.recipe,
            tables={name: TABLES[name].rows for name in self.tables},
            missing=[part for part in PARTS if part not in self.parts],
        )


_PREFIXES = {"mask": MASK, "attribution": ATTRIBUTE, "lens": LENS}
"""The part of a figure, by what its name begins with."""
