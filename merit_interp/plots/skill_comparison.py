"""Reasoning and perception of every model, with intervals: one panel an item set.

    panels = skill_comparison(baseline_summary(item_scores(run.scores)))
    figure = draw_skill_comparison(panels, columns=2)

This file must not know which of the models is the good one, but that the first is the reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    INK,
    LEGEND_PIXELS,
    SKILL_MARKS,
    TITLE_PIXELS,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.model_names import MERGED, VLM, in_listing_order, model_label
from merit_interp.tables.number_text import number_ends, number_text

ROW_PIXELS = 26
BETWEEN_PIXELS = 92
"""From the bottom of a panel to the top of the next: ticks, axis title, panel title."""
BELOW_PIXELS = 56
"""Below the last panel: ticks and axis title."""
OFFSET = 0.17
"""Distance of a skill's mark from the middle of its model's row, in rows."""


@dataclass(frozen=True)
class SkillPoint:
    """One model on one skill."""

    model: str
    skill: str
    accuracy: float
    """Share in [0, 1]."""
    low: float
    """Lower end of the 95% interval, clustered by video; NaN where undefined."""
    high: float
    n_items: int
    n_videos: int
    n_draws: int = 1
    """Draws whose mean this is."""

    @property
    def text(self) -> str:
        """The point in words."""
        draws = f", mean of {self.n_draws} draws" if self.n_draws > 1 else ""
        ends = f" ({number_ends(100 * self.low, 100 * self.high)})"
        interval = " (no interval)" if math.isnan(self.low) else ends
        return f"{model_label(self.model)}{draws}: {number_text(100 * self.accuracy)}%{interval}"


@dataclass(frozen=True)
class SkillPanel:
    """All models on one item set, in listing order."""

    item_set: str
    points: tuple[SkillPoint, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, once each."""
        return tuple(dict.fromkeys(point.model for point in self.points))

    @property
    def skills(self) -> tuple[str, ...]:
        """The skills that were scored, in one order everywhere."""
        return skills_in_order(point.skill for point in self.points)

    @property
    def title(self) -> str:
        """The item set's name as words."""
        return self.item_set.replace("_", " ")

    @property
    def size_text(self) -> str:
        """Questions and videos behind the panel: `300 + 240 questions on 60 videos`."""
        first = [point for point in self.points if point.model == self.models[0]]
        items = " + ".join(str(p.n_items) for s in self.skills for p in first if p.skill == s)
        return f"{items} questions on {max(point.n_videos for point in first)} videos"

    def describe(self) -> str:
        """The panel in words."""
        skills = (
            f"{SKILL_MARKS[skill].label}: "
            + "; ".join(point.text for point in self.points if point.skill == skill)
            for skill in self.skills
        )
        return f"Accuracy on {self.title} with 95% intervals. {'. '.join(skills)}."


def skill_comparison(summary: pd.DataFrame) -> tuple[SkillPanel, ...]:
    """One panel for each item set, in the order of the table.

    Args:
        summary: As `tables.skills.baseline_summary` returns it.
    """
    panels = []
    for item_set, rows in summary.groupby("item_set", sort=False):
        points = (
            SkillPoint(
                model=str(row["model"]),
                skill=str(row["skill"]),
                accuracy=float(row["accuracy"]),
                low=float(row["accuracy_low"]),
                high=float(row["accuracy_high"]),
                n_items=int(row["n_items"]),
                n_videos=int(row["n_videos"]),
                n_draws=int(row["n_draws"]),
            )
            for _, row in rows.iterrows()
        )
        panels.append(SkillPanel(str(item_set), tuple(points)))
    return tuple(panels)


def draw_skill_comparison(panels: Sequence[SkillPanel], *, columns: int = 1) -> go.Figure:
    """Accuracy with its interval, one row a model; dotted lines mark the first model's.

    Args:
        panels: One for each item set; at least one.
        columns: Panels side by side.
    """
    models = in_listing_order(model for panel in panels for model in panel.models)
    rows = math.ceil(len(panels) / columns)
    panel_height = ROW_PIXELS * len(models)
    height = TITLE_PIXELS + LEGEND_PIXELS + rows * (panel_height + BETWEEN_PIXELS)
    titles = [f"<b>{plain(panel.title)}</b>, {panel.size_text}" for panel in panels]
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles if len(panels) > 1 else None,
        vertical_spacing=BETWEEN_PIXELS / (rows * (panel_height + BETWEEN_PIXELS)),
        horizontal_spacing=0.06,
    )  # fmt: skip
    title = "Accuracy of each model (%), 95% intervals by video"
    if len(panels) == 1:
        title = f"Accuracy on {panels[0].title} (%), 95% intervals by video"
        height -= BETWEEN_PIXELS - BELOW_PIXELS
    styled(figure, title=title, height=height)
    figure.update_annotations(font={"size": 13, "color": INK})
    if len(panels) > 1:
        figure.update_layout(margin_t=figure.layout.margin.t + 20)
    for place, panel in enumerate(panels):
        row, column = divmod(place, columns)
        _draw_panel(figure, panel, models, row + 1, column + 1, legend=place == 0)
    return figure


def _draw_panel(
    figure: go.Figure,
    panel: SkillPanel,
    models: Sequence[str],
    row: int,
    column: int,
    *,
    legend: bool,
) -> None:
    at = {"row": row, "col": column}
    middle = (len(panel.skills) - 1) / 2
    for order, skill in enumerate(panel.skills):
        points = [point for point in panel.points if point.skill == skill]
        ends = [(point.accuracy, point.low, point.high) for point in points]
        mark = SKILL_MARKS[skill]
        offset = OFFSET * 2 * (order - middle)
        figure.add_scatter(
            x=[100 * point.accuracy for point in points],
            y=[models.index(point.model) + offset for point in points],
            error_x=interval_bars(ends, mark.colour, scale=100.0), cliponaxis=False,
            mode="markers", name=mark.label, legendgroup=skill, showlegend=legend,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 8,
                    "line": {"width": 2, "color": mark.colour}},
            customdata=[plain(point.text) for point in points],
            hovertemplate="%{customdata}<extra></extra>", **at,
        )  # fmt: skip
    # after the marks, since plotly puts no band into an empty panel
    if MERGED in models:
        place = models.index(MERGED)
        figure.add_hrect(
            y0=place - 0.5, y1=place + 0.5, fillcolor="#e8eef3", line_width=0, layer="below", **at
        )
    for skill in panel.skills:
        first = next(point for point in panel.points if point.skill == skill)
        figure.add_vline(
            x=100 * first.accuracy, layer="below",
            line={"color": SKILL_MARKS[skill].colour, "width": 1, "dash": "dot"}, **at,
        )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(models))), ticktext=[_tick(model) for model in models],
        range=[len(models) - 0.45, -0.55], showgrid=False, ticks="",
        showticklabels=column == 1, **at,
    )  # fmt: skip
    figure.update_xaxes(
        range=[-3, 103], tickvals=[0, 25, 50, 75, 100], title_text="Accuracy (%)", **at
    )


def _tick(model: str) -> str:
    label = plain(model_label(model))
    return f"<b>{label}</b>" if model in (VLM, MERGED) else label
