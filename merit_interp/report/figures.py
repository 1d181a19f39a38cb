"""A run's figures, each with its words; what the report shows and what `figures/` holds.

    for figure in run_figures(findings): figure.name, figure.words

This file must not know where on a page a figure stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go

from merit_interp.plots.files import html_fragment, write_html, write_pictures
from merit_interp.plots.pareto import draw_pareto, pareto
from merit_interp.plots.recipe_strip import draw_recipe_strip, recipe_strip
from merit_interp.plots.search_history import draw_search_history, search_history
from merit_interp.plots.search_landscape import draw_search_landscape, search_landscape
from merit_interp.plots.skill_comparison import draw_skill_comparison, skill_comparison
from merit_interp.plots.video_controls import control_comparison, draw_control_comparison
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


def skills_figure(findings: Findings) -> NamedFigure | None:
    """Accuracy of every model on every item set, in one picture; None where nothing was scored."""
    panels = skill_comparison(findings.summary)
    if not panels:
        return None
    drawn = draw_skill_comparison(panels, columns=min(2, len(panels)))
    return NamedFigure("skills", drawn, " ".join(panel.describe() for panel in panels))


def control_figures(findings: Findings) -> dict[str, NamedFigure]:
    """Accuracy under every video control, one figure an item set, by the item set's name."""
    figures = {}
    for number, item_set in enumerate(dict.fromkeys(findings.controls["item_set"])):
        data = control_comparison(findings.controls, item_set)
        if data.points:
            drawn = draw_control_comparison(data)
            name, caption = f"video-controls-{number}", CONTROLS_CAPTION
            figures[item_set] = NamedFigure(name, drawn, data.describe(), caption)
    return figures


CONTROLS_CAPTION = (
    "A tick is the accuracy on the video, a mark with its interval that under the control, both "
    "over the same questions; the line between them is the drop. A tick has no interval here: the "
    "table has it, and that of the drop, which is what decides."
)


PARETO_CAPTION = (
    "Up is better reasoning, right is better perception. Trials and star have no interval: they "
    "are on the items that the search looked at."
)
DIAMOND = " The diamond is the chosen recipe on validation, with its 95% intervals by video."


def search_figures(findings: Findings) -> list[NamedFigure]:
    """Search history, Pareto front and landscape; none where the run made no search."""
    if findings.trials.empty:
        return []
    history = search_history(findings.trials, unit=findings.unit)
    recipe = findings.run.recipe
    front = pareto(findings.trials, unit=findings.unit, search=recipe.search if recipe else None)
    landscape = search_landscape(findings.trials, n_layers=findings.n_layers)
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
            PARETO_CAPTION + (DIAMOND if front.validated else ""),
        ),
        NamedFigure(
            "search-landscape",
            draw_search_landscape(landscape, unit=findings.unit),
            landscape.describe(),
            "Dark: the layer is the backbone's. A sampler tries good recipes again and again, so "
            "that the numbers below the layers describe this search, not the layers alone.",
        ),
    ]


def write_figures(run_dir: Path) -> tuple[Path, ...]:
    """Write a run's figures into `RUN/figures/`, for papers and READMEs; see `write_named`.

    The accuracies of all item sets are one picture here, `skills`.

    Raises:
        RunError: There is no such run, or its records are damaged.
        SettingError: There is no Chrome or Chromium to draw PNG with.
    """
    findings = gather(read_run(run_dir))
    figures = search_figures(findings)
    recipe = recipe_figure(findings)
    if recipe is not None:
        figures.append(recipe)
    skills = skills_figure(findings)
    if skills is not None:
        figures.append(skills)
    figures += control_figures(findings).values()
    return write_named(figures, Path(run_dir) / FIGURES)


def write_named(
    figures: Iterable[NamedFigure], directory: Path, *, formats: Sequence[str] = ("png",)
) -> tuple[Path, ...]:
    """Write figures as HTML, and as pictures where a browser is.

    Args:
        figures: The figures.
        directory: Where to.
        formats: Of the pictures, as in `plots.files.PICTURES`; none for HTML alone.

    Returns:
        Paths of the HTML files, then of the pictures, format by format, by name.

    Raises:
        SettingError: There is no Chrome or Chromium to draw with; the HTML is written.
        RunError: A file cannot be written.
    """
    named = sorted(figures, key=lambda figure: figure.name)
    pages = [directory / f"{figure.name}.html" for figure in named]
    for path, figure in zip(pages, named, strict=True):
        write_html(path, figure.figure, alternative=figure.words)
    pictures = {
        directory / f"{figure.name}.{kind}": figure.figure for kind in formats for figure in named
    }
    if pictures:
        write_pictures(pictures)
    return (*pages, *pictures)
