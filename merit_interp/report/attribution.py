"""The report's section on frames: which of them decide, and whether merging moves that.

    part = attribution_part(Path("runs/demo"))
    part.examples[0].figure

Reads the attribution run that lies in a run, or in `attribute/` below it. This file must not know
where on a page it stands, and must not compute a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from merit_interp.plots.attribution_controls import (
    attribution_controls,
    draw_attribution_controls,
)
from merit_interp.plots.attribution_measures import (
    attribution_measures,
    draw_attribution_measures,
)
from merit_interp.plots.attribution_overview import (
    attribution_overview,
    draw_attribution_overview,
)
from merit_interp.plots.attribution_shift import attribution_shift, draw_attribution_shift
from merit_interp.plots.attribution_strip import attribution_strip, draw_attribution_strip
from merit_interp.report.figures import FIGURES, NamedFigure, write_named
from merit_interp.report.item_browser import BrowsedItem, browsed_items
from merit_interp.report.parts import ATTRIBUTE, part_directory
from merit_interp.tables.attribution_examples import KINDS, Example, example_items
from merit_interp.tables.attribution_masked import (
    answers_at_chance,
    chance_sentence,
    masked_labels,
)
from merit_interp.tables.attribution_series import METHOD_LABELS
from merit_interp.tables.attribution_tables import AttributionFindings, attribution_findings

BASELINE_LABELS = {
    "mean": "the video's mean frame",
    "black": "a black frame",
    "blurred": "the frame blurred",
    "previous": "the frame before it",
}


@dataclass(frozen=True, eq=False)
class ShownExample:
    """One item with its frames."""

    example: Example
    figure: NamedFigure

    @property
    def kind(self) -> str:
        """What merging did to its answer, in words."""
        return KINDS[self.example.kind]


@dataclass(frozen=True, eq=False)
class AttributionPart:
    """What the section shows of one item set."""

    findings: AttributionFindings
    item_set: str
    lines: tuple[str, str, str]
    figures: tuple[NamedFigure, ...]
    examples: tuple[ShownExample, ...]
    items: tuple[BrowsedItem, ...]

    @property
    def n_items(self) -> int:
        """Items that were attributed."""
        frame = self.findings.frame
        return int(frame.loc[frame["item_set"] == self.item_set, "item"].nunique())

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """What merging did to answers, of the browser's items, with its words."""
        there = {item.kind for item in self.items}
        return tuple((kind, words) for kind, words in KINDS.items() if kind in there)

    @property
    def method(self) -> str:
        """The run's main method, in words."""
        return METHOD_LABELS.get(self.findings.run.method, self.findings.run.method)

    @property
    def target(self) -> str:
        """What is attributed, in words."""
        name = self.findings.run.records[0].target
        option = "the chosen option" if name.startswith("chosen") else "the right option"
        return f"the {'log-odds' if name.endswith('margin') else 'log-probability'} of {option}"

    @property
    def baseline(self) -> str:
        """What stands for an absent frame, in words."""
        name = self.findings.run.records[0].baseline
        return BASELINE_LABELS.get(name, name)


def attribution_directory(run_dir: Path) -> Path | None:
    """Where the finished attribution of a run lies; None where there is none."""
    return part_directory(run_dir, ATTRIBUTE)


def attribution_part(run_dir: Path) -> AttributionPart | None:
    """The section's content, of the first item set; None where nothing was attributed.

    Raises:
        RunError: The records are damaged.
    """
    directory = attribution_directory(run_dir)
    if directory is None:
        return None
    findings = attribution_findings(directory)
    if not findings.item_sets:
        return None
    item_set = findings.item_sets[0]
    return AttributionPart(
        findings=findings,
        item_set=item_set,
        lines=findings.lines(item_set),
        figures=attribution_figures(findings, item_set),
        examples=attribution_examples(findings, item_set),
        items=browsed_items(findings, item_set),
    )


def attribution_figures(findings: AttributionFindings, item_set: str) -> tuple[NamedFigure, ...]:
    """Before and after, all series, all measures, all items."""
    method = findings.run.method
    shift = attribution_shift(findings.frame, findings.shift, item_set, method=method)
    controls = attribution_controls(
        findings.shift, item_set, method=method, labels=masked_labels(findings.run)
    )
    at_chance = chance_sentence(answers_at_chance(findings.run, item_set))
    measures = attribution_measures(findings.shift, item_set, method=method)
    overview = attribution_overview(findings.run, item_set)
    return (
        NamedFigure(
            "attribution-shift", draw_attribution_shift(shift), shift.describe(),
            "Each mark is an item, joined to itself; bars are means with 95% intervals by video.",
        ),
        NamedFigure(
            "attribution-controls", draw_attribution_controls(controls), controls.describe(),
            f"The dotted line is chance: the evidence's share of the frames. {at_chance}".rstrip(),
        ),
        NamedFigure(
            "attribution-measures", draw_attribution_measures(measures), measures.describe(),
            "Bars are 95% intervals of each row alone; filled: shown after Holm's correction over "
            "all rows of the skill. Deletion and insertion ask the model, through no method.",
        ),
        NamedFigure(
            "attribution-overview", draw_attribution_overview(overview), overview.describe(),
            "A row is an item. Blue speaks for the right answer, orange (−) against it.",
        ),
    )  # fmt: skip


def attribution_examples(
    findings: AttributionFindings, item_set: str, *, each: int = 2
) -> tuple[ShownExample, ...]:
    """Typical items of each kind, by the rule of `tables.attribution_examples`."""
    method = findings.run.method
    shown = []
    examples = example_items(findings.frame, item_set, method=method, each=each)
    for number, example in enumerate(examples):
        strip = attribution_strip(findings.run, item_set, example.item)
        figure = draw_attribution_strip(strip)
        name = f"attribution-item-{number}"
        shown.append(ShownExample(example, NamedFigure(name, figure, strip.describe())))
    return tuple(shown)


def write_attribution_figures(
    findings: AttributionFindings, item_set: str, *, png: bool = True
) -> tuple[Path, ...]:
    """Write an item set's figures into the run's `figures/`; see `write_named`.

    Raises:
        SettingError: There is no Chrome or Chromium to draw PNG with.
    """
    directory = findings.run.directory / FIGURES
    # one item set needs no directory of its own
    if len(findings.item_sets) > 1:
        directory /= item_set
    figures = [
        *attribution_figures(findings, item_set),
        *(shown.figure for shown in attribution_examples(findings, item_set)),
    ]
    return write_named(figures, directory, formats=("png",) if png else ())
