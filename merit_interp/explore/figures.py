"""Figures of an opened run by name, part by part.

    study_figures(findings)["pareto"].figure

The names are those of the files in a run's `figures/`. This file must not know how a run is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from merit_interp.errors import SettingError
from merit_interp.plots.attribution_strip import attribution_strip, draw_attribution_strip
from merit_interp.plots.masking_categories import draw_layer_categories, layer_categories
from merit_interp.plots.skills_table import draw_skills_table, skills_table
from merit_interp.report.attribution import attribution_figures
from merit_interp.report.figures import (
    NamedFigure,
    control_figures,
    recipe_figure,
    search_figures,
    skill_figures,
    skills_figure,
)
from merit_interp.report.findings import Findings
from merit_interp.report.lens import lens_figures
from merit_interp.report.masking import CAPTIONS, masking_figures
from merit_interp.report.parts import LENS, MASK
from merit_interp.tables.attribution_tables import AttributionFindings
from merit_interp.tables.masking_tables import MaskingFindings

if TYPE_CHECKING:
    from merit_interp.explore.run import Run

MOST_LISTED = 12
"""Names that an error lists."""


def study_figures(findings: Findings) -> dict[str, NamedFigure]:
    """Search, recipe and evaluation."""
    figures: list[NamedFigure | None] = [*search_figures(findings)]
    figures += [recipe_figure(findings), skills_figure(findings)]
    table = skills_table(findings.summary)
    if table.rows:
        figures.append(NamedFigure("skills-table", draw_skills_table(table), table.describe()))
    figures += [*skill_figures(findings), *control_figures(findings).values()]
    return by_name(figure for figure in figures if figure is not None)


def part_figures(run: Run, part: str) -> dict[str, NamedFigure]:
    """Those of the run's own records, where the part is empty, or of one of its parts."""
    if not part:
        return study_figures(run.findings)
    if part == MASK:
        return by_name(masking_figures(run.masking))
    if part == LENS:
        return by_name(lens_figures(run.lens))
    return by_name(attribution_figures(run.attribution, run.attribution.item_sets[0]))


def by_name(figures: Iterable[NamedFigure]) -> dict[str, NamedFigure]:
    """Figures by their names, in their order."""
    return {figure.name: figure for figure in figures}


def category_figure(findings: MaskingFindings, model: str) -> NamedFigure:
    """What masking each layer costs each category of question in one model."""
    known = [effects.model for effects in findings.run.models]
    if model not in known:
        raise SettingError(f"model {model!r} was not masked", valid=listed(known))
    data = layer_categories(findings.layers, model=model, chosen=findings.run.plan.chosen)
    drawn, words = draw_layer_categories(data), data.describe()
    return NamedFigure(f"mask-categories-{model}", drawn, words, CAPTIONS["mask-categories"])


def item_figure(findings: AttributionFindings, item_set: str, item: str) -> NamedFigure:
    """The frames of one attributed item, and how much each decides before and after."""
    known = [picture.item for picture in findings.run.items if picture.item_set == item_set]
    if item not in known:
        raise SettingError(f"item {item!r} of {item_set!r} is not attributed", valid=listed(known))
    strip = attribution_strip(findings.run, item_set, item)
    # an id may hold anything, a figure's name is that of a file
    name = re.sub(r"[^\w.-]", "_", item)
    return NamedFigure(f"attribution-item-{name}", draw_attribution_strip(strip), strip.describe())


def listed(names: Iterable[str] | Mapping[str, NamedFigure]) -> str:
    """Names for an error, the first of them where there are many."""
    names = list(names)
    shown = ", ".join(names[:MOST_LISTED])
    return f"{shown}, ..." if len(names) > MOST_LISTED else shown
