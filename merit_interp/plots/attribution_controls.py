"""Every model, control and method in one picture: attribution on the evidence, beyond chance.

    figure = draw_attribution_controls(attribution_controls(findings.shift, "validation"))

What has lost its structure (randomised weights, one frame everywhere) belongs on the dotted line of
chance. This file must not know how scores are computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.row_texts import ROW_PIXELS, mark_place, place_row_texts
from merit_interp.plots.style import (
    GREY,
    LEGEND_PIXELS,
    SKILL_MARKS,
    TITLE_PIXELS,
    interval_bars,
    plain,
    styled,
)
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_series import METHOD_LABELS, Series
from merit_interp.tables.number_text import signed_ends, signed_text


@dataclass(frozen=True)
class ControlPoint:
    """One series on one skill."""

    row: str
    skill: str
    mean: float
    """Mass in evidence beyond chance, a share."""
    low: float
    high: float
    n_items: int

    @property
    def text(self) -> str:
        """The point in words."""
        ends = f" ({signed_ends(100 * self.low, 100 * self.high)})"
        interval = "" if math.isnan(self.low) else ends
        return f"{self.row}: {signed_text(100 * self.mean)}{interval}, {self.n_items} items"


@dataclass(frozen=True)
class AttributionControls:
    """All series of one item set, in reading order."""

    item_set: str
    points: tuple[ControlPoint, ...]

    @property
    def rows(self) -> tuple[str, ...]:
        """Labels of the series, once each."""
        return tuple(dict.fromkeys(point.row for point in self.points))

    def describe(self) -> str:
        """The figure in words."""
        skills = (
            f"{SKILL_MARKS[skill].label}: "
            + "; ".join(point.text for point in self.points if point.skill == skill)
            for skill in dict.fromkeys(point.skill for point in self.points)
        )
        return f"Attribution on the evidence, points beyond chance. {'. '.join(skills)}."


def attribution_controls(
    shift: pd.DataFrame, item_set: str, *, method: str, labels: Mapping[str, str] = {}
) -> AttributionControls:
    """One point for each series and skill.

    Args:
        shift: As `shift_table` returns it.
        item_set: Name of the item set.
        method: The run's main method.
        labels: Of models that this run calls otherwise, as `masked_labels` returns them.
    """
    rows = shift[
        (shift["item_set"] == item_set)
        & (shift["metric"] == "excess_mass")
        & (shift["items"] == "all")
    ].drop_duplicates(["model", "condition", "method", "skill"])
    points = []
    for _, row in rows.iterrows():
        series = Series(str(row["model"]), str(row["condition"]), str(row["method"]))
        label = labels.get(series.model, series.label)
        if series.method != method and series.condition == VIDEO:
            label = f"{label}, {METHOD_LABELS.get(series.method, series.method)}"
        points.append(
            ControlPoint(
                row=label,
                skill=str(row["skill"]),
                mean=float(row["mean"]),
                low=float(row["mean_low"]),
                high=float(row["mean_high"]),
                n_items=int(row["n_items"]),
            )
        )
    return AttributionControls(item_set, tuple(points))


def draw_attribution_controls(data: AttributionControls) -> go.Figure:
    """One row a series, a mark with its interval for each skill."""
    rows = data.rows
    figure = make_subplots(rows=1, cols=1)
    skills = list(dict.fromkeys(point.skill for point in data.points))
    for order, skill in enumerate(skills):
        points = [point for point in data.points if point.skill == skill]
        ends = [(point.mean, point.low, point.high) for point in points]
        mark = SKILL_MARKS[skill]
        figure.add_scatter(
            x=[100 * point.mean for point in points],
            y=[mark_place(rows.index(point.row), order=order, count=len(skills))
               for point in points],
            mode="markers", name=mark.label,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 8,
                    "line": {"width": 2, "color": mark.colour}},
            error_x=interval_bars(ends, mark.colour, scale=100.0),
            text=[plain(point.text) for point in points],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    height = TITLE_PIXELS + LEGEND_PIXELS + ROW_PIXELS * len(rows) + 60
    title = f"{data.item_set}: attribution on the evidence, every model and control"
    styled(figure, title=title, height=height)
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5, "dash": "dot"}, layer="below")
    place_row_texts(figure, rows, row=1, col=1)
    figure.update_xaxes(title_text="Points beyond chance, 95% intervals by video")
    return figure
