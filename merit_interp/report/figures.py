"""A run's figures, each with its words; what the report shows and what `figures/` holds.

    for figure in run_figures(findings): figure.name, figure.words

This file must not know where on a page a figure stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from merit_interp.plots.files import html_fragment, write_pngs
from merit_interp.plots.pareto import draw_pareto, pareto
from merit_interp.plots.recipe_strip import draw_recipe_strip, recipe_strip
from merit_interp.plots.search_history import draw_search_history, search_history
from merit_interp.plots.skill_comparison import draw_skill_comparison, skill_comparison
from merit_interp.report.findings import Findings, gather
from merit_interp.tables.run_records import read_run

FIGURES = "figures"
"""Directory below the run's."""


@dataclass(frozen=True, eq=False)
class NamedFigure:
    """A figure with its name and what it shows in words."""

    name: str
    figure: go.Figure
    words: str
    caption: str = ""
    """What helps to read it, in one sentence."""

    @property
    def title(self) -> str:
        """Its title, as HTML."""
        return str(self.figure.layout.title.text)

    @property
    def html(self) -> str:
        """Its fragment of a page, without the title."""
        return html_fragment(self.figure, name=f"figure-{self.name}", alternative=self.words)


def recipe_figure(findings: Findings) -> NamedFigure | None:
    """The recipe as a picture; None where the run has none."""
    if findings.run.recipe is None:
        return None
    strip = recipe_strip(findings.run.recipe, n_layers=findings.n_layers)
    return NamedFigure("recipe", draw_recipe_strip(strip), strip.describe())


def skill_figures(findings: Findings) -> list[NamedFigure]:
    """Accuracy of every model, one figure an item set."""
    return [
        NamedFigure(
            f"skills-{number}", draw_skill_comparison([panel]), panel.describe(), panel.size_text
        )
        for number, panel in enumerate(skill_comparison(findings.summary))
    ]


def search_figures(findings: Findings) -> list[NamedFigure]:
    """Search history and Pareto front; none where the run made no search."""
    if findings.trials.empty:
        return []
    history = search_history(findings.trials, unit=findings.unit)
    front = pareto(findings.trials, unit=findings.unit)
    return [
        NamedFigure(
            "search-history",
            draw_search_history(history),
            history.describe(),
            "Each mark is one recipe, without interval: the search proposes, validation decides.",
        ),
        NamedFigure(
            "pareto",
            draw_pareto(front),
            front.describe(),
            "Up is better reasoning, right is better perception.",
        ),
    ]


def write_figures(run_dir: Path) -> tuple[Path, ...]:
    """Write a run's figures into `RUN/figures/` as PNG, for papers and READMEs.

    The accuracies of all item sets are one picture here, `skills.png`.

    Raises:
        RunError: There is no such run, or its records are damaged.
        SettingError: There is no Chrome or Chromium to draw with.
    """
    findings = gather(read_run(run_dir))
    figures = {figure.name: figure.figure for figure in search_figures(findings)}
    recipe = recipe_figure(findings)
    if recipe is not None:
        figures["recipe"] = recipe.figure
    panels = skill_comparison(findings.summary)
    if panels:
        figures["skills"] = draw_skill_comparison(panels, columns=min(2, len(panels)))
    paths = {Path(run_dir) / FIGURES / f"{name}.png": f for name, f in sorted(figures.items())}
    write_pngs(paths)
    return tuple(paths)
