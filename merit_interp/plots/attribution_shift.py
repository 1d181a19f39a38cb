"""Attribution on the evidence before and after merging, item by item.

    figure = draw_attribution_shift(attribution_shift(findings.frame, findings.shift, "validation"))

A point is an item, a line joins it to itself in the next model; means with 95% intervals by video
lie over them. This file must not know how scores are computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    FAINT,
    GREY,
    INK,
    LEGEND_PIXELS,
    SKILL_MARKS,
    TITLE_PIXELS,
    add_key,
    plain,
    styled,
)
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_series import Series, draws_averaged
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM
from merit_interp.tables.number_text import signed_ends, signed_text

MODELS = (RANDOM_LAYERS, VLM, MERGED)
"""From left to right: what random layers do, and then the claim."""
SPREAD = 0.16
"""Half of the width over which a model's points are spread."""
HEIGHT = 444


@dataclass(frozen=True)
class ShiftColumn:
    """One model on one skill."""

    label: str
    excess: tuple[float, ...]
    """Mass in evidence beyond chance of each item, in the panel's order; NaN where undefined."""
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ShiftPanel:
    """One skill; every column has the same items in the same order."""

    skill: str
    items: tuple[str, ...]
    columns: tuple[ShiftColumn, ...]
    difference: float
    """Merged less VLM, a share."""
    low: float
    high: float
    p_value: float

    @property
    def text(self) -> str:
        """Change with its interval, in points."""
        ends = f"95% {signed_ends(100 * self.low, 100 * self.high)}"
        interval = "no interval" if math.isnan(self.low) else ends
        return f"{signed_text(100 * self.difference)} points ({interval}), {len(self.items)} items"


@dataclass(frozen=True)
class AttributionShift:
    """All skills of one item set."""

    item_set: str
    panels: tuple[ShiftPanel, ...]

    def describe(self) -> str:
        """The figure in words."""
        parts = [f"{SKILL_MARKS[panel.skill].label}: {panel.text}" for panel in self.panels]
        return f"Attribution on evidence beyond chance, merged less VLM. {'; '.join(parts)}."


def attribution_shift(
    frame: pd.DataFrame, shift: pd.DataFrame, item_set: str, *, method: str
) -> AttributionShift:
    """The columns of every skill.

    Args:
        frame: As `attribution_frame` returns it.
        shift: As `shift_table` returns it.
        item_set: Name of the item set.
        method: The run's main method.
    """
    rows = draws_averaged(frame[(frame["item_set"] == item_set) & (frame["status"] == "ok")])
    rows = rows[(rows["condition"] == VIDEO) & (rows["method"] == method)]
    summary = shift[
        (shift["item_set"] == item_set)
        & (shift["condition"] == VIDEO)
        & (shift["method"] == method)
        & (shift["metric"] == "excess_mass")
        & (shift["items"] == "all")
    ]
    panels = []
    for skill in SKILL_MARKS:
        wide = rows[rows["skill"] == skill].pivot_table(
            index="item", columns="model", values="excess_mass", sort=False
        )
        own = summary[summary["skill"] == skill]
        change = own[(own["model"] == MERGED) & (own["against"] == VLM)]
        if wide.empty or change.empty:
            continue
        first = change.iloc[0]
        panels.append(
            ShiftPanel(
                skill=skill,
                items=tuple(str(item) for item in wide.index),
                columns=_columns(wide, own, method),
                difference=float(first["difference"]),
                low=float(first["difference_low"]),
                high=float(first["difference_high"]),
                p_value=float(first["difference_p"]),
            )
        )
    return AttributionShift(item_set, tuple(panels))


def _columns(wide: pd.DataFrame, own: pd.DataFrame, method: str) -> tuple[ShiftColumn, ...]:
    columns = []
    for model in MODELS:
        if model not in wide:
            continue
        level = own[own["model"] == model].iloc[0]
        columns.append(
            ShiftColumn(
                label=Series(model, VIDEO, method).label,
                excess=tuple(float(value) for value in wide[model]),
                mean=float(level["mean"]),
                low=float(level["mean_low"]),
                high=float(level["mean_high"]),
            )
        )
    return tuple(columns)


def draw_attribution_shift(data: AttributionShift) -> go.Figure:
    """One panel a skill, side by side on one axis."""
    figure = make_subplots(
        rows=1, cols=max(1, len(data.panels)), shared_yaxes=True, horizontal_spacing=0.04,
        subplot_titles=[
            f"<b>{SKILL_MARKS[p.skill].label}</b>, merged − VLM:<br>{plain(p.text)}"
            for p in data.panels
        ],
    )  # fmt: skip
    title = f"{data.item_set}: attribution on the evidence, item by item"
    styled(figure, title=title, height=HEIGHT, readable=60 + 270 * len(data.panels))
    figure.update_annotations(font={"size": 12, "color": INK})
    # each panel has two lines of title, which stand between legend and panel
    figure.update_layout(margin_t=TITLE_PIXELS + LEGEND_PIXELS + 34)
    for number, panel in enumerate(data.panels, start=1):
        _draw_panel(figure, panel, number)
    marker = {"color": GREY, "symbol": "circle", "size": 6}
    add_key(figure, "One item", mode="lines+markers", marker=marker, line={"color": FAINT})
    mean = {"color": INK, "symbol": "line-ew", "size": 14, "line": {"width": 3, "color": INK}}
    add_key(figure, "Mean, 95% interval by video", marker=mean)
    figure.update_yaxes(title_text="Points beyond chance", col=1)
    return figure


def _draw_panel(figure: go.Figure, panel: ShiftPanel, number: int) -> None:
    at = {"row": 1, "col": number}
    mark = SKILL_MARKS[panel.skill]
    # each item keeps its place beside the middle in every column, so that its line is level
    beside = np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(panel.items))
    lines_x: list[float | None] = []
    lines_y: list[float | None] = []
    for item in range(len(panel.items)):
        lines_x += [*(place + beside[item] for place in range(len(panel.columns))), None]
        lines_y += [*(100 * column.excess[item] for column in panel.columns), None]
    figure.add_scatter(
        x=lines_x,
        y=lines_y,
        mode="lines",
        line={"color": FAINT, "width": 1},
        hoverinfo="skip",
        showlegend=False,
        **at,
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1, "dash": "dot"}, **at)
    for place, column in enumerate(panel.columns):
        figure.add_scatter(
            x=place + beside, y=[100 * value for value in column.excess], mode="markers",
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 5, "opacity": 0.55},
            showlegend=False,
            text=[
                f"{plain(item)}: {signed_text(100 * value)}"
                for item, value in zip(panel.items, column.excess, strict=True)
            ],
            hovertemplate="%{text} points<extra></extra>", **at,
        )  # fmt: skip
        bars = [0.0 if math.isnan(end) else 100 * abs(end - column.mean)
                for end in (column.high, column.low)]  # fmt: skip
        figure.add_scatter(
            x=[place + 2 * SPREAD], y=[100 * column.mean], mode="markers",
            marker={"color": INK, "symbol": "line-ew", "size": 14,
                    "line": {"width": 3, "color": INK}},
            error_y={"type": "data", "symmetric": False, "array": bars[:1],
                     "arrayminus": bars[1:], "color": INK, "thickness": 2, "width": 5},
            showlegend=False,
            hovertemplate=f"mean {signed_text(100 * column.mean)} points<extra></extra>", **at,
        )  # fmt: skip
    figure.update_xaxes(
        tickvals=list(range(len(panel.columns))), showgrid=False,
        ticktext=[plain(column.label) for column in panel.columns],
        range=[-0.5, len(panel.columns) - 0.4], **at,
    )  # fmt: skip
