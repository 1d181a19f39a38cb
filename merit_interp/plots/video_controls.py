"""Accuracy under each video control beside that on the video: how much each skill needs the video.

    data = control_comparison(video_control_table(scores, controls), "validation")
    figure = draw_control_comparison(data)

The length of a line is a drop: from a tick, the accuracy on the video over the same questions, to
the mark of the control. This file must not know what a control shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    GREY,
    INK,
    LEGEND_PIXELS,
    REASONING,
    SKILL_MARKS,
    TITLE_PIXELS,
    Mark,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.model_names import MERGED, VLM, model_label
from merit_interp.tables.number_text import number_ends, number_text, signed_ends, signed_text
from merit_interp.tables.skills import ALL

LABELS = {
    "black": "black video",
    "shuffled": "frames shuffled",
    "reversed": "frames reversed",
    "single_frame": "one frame everywhere",
    "evidence_only": "evidence alone",
    "evidence_removed": "evidence black",
}
MARKS = {
    VLM: Mark(model_label(VLM), GREY, "circle-open", "dot"),
    MERGED: Mark(model_label(MERGED), REASONING.colour, "diamond", "solid"),
}
ROW_PIXELS = 46
BETWEEN_PIXELS = 78
"""From the bottom of a skill's panel to the top of the next."""
OFFSET = 0.19
"""Distance of a model's line from the middle of its row, in rows."""


@dataclass(frozen=True)
class ControlPoint:
    """One model under one control on one skill."""

    control: str
    model: str
    skill: str
    accuracy: float
    """Share in [0, 1]."""
    low: float
    """Lower end of the 95% interval, clustered by video; NaN where undefined."""
    high: float
    on_video: float
    """Accuracy on the video over the same questions."""
    drop_text: str
    """The drop with its interval."""
    chance: float
    n_items: int

    @property
    def text(self) -> str:
        """The point in words."""
        ends = "" if math.isnan(self.low) else f" ({number_ends(100 * self.low, 100 * self.high)})"
        label = LABELS.get(self.control, self.control)
        return (
            f"{model_label(self.model)}, {label}: {number_text(100 * self.accuracy)}%{ends}, "
            f"on the video {number_text(100 * self.on_video)}%; drop {self.drop_text}, "
            f"{self.n_items} questions"
        )


@dataclass(frozen=True)
class ControlComparison:
    """All controls of one item set."""

    item_set: str
    points: tuple[ControlPoint, ...]

    @property
    def controls(self) -> tuple[str, ...]:
        """Names of the controls, in the order of the table."""
        return tuple(dict.fromkeys(point.control for point in self.points))

    @property
    def skills(self) -> tuple[str, ...]:
        """The skills that were scored, in one order everywhere."""
        return skills_in_order(point.skill for point in self.points)

    def describe(self) -> str:
        """The figure in words."""
        skills = (
            f"{SKILL_MARKS[skill].label}: "
            + "; ".join(point.text for point in self.points if point.skill == skill)
            for skill in self.skills
        )
        name = self.item_set.replace("_", " ")
        return f"Accuracy under video controls on {name}, 95% intervals. {'. '.join(skills)}."


def control_comparison(table: pd.DataFrame, item_set: str) -> ControlComparison:
    """One point for each control, model and skill that has questions.

    Args:
        table: As `video_control_table` returns it.
        item_set: Name of the item set.
    """
    rows = table[
        (table["item_set"] == item_set)
        & (table["category"] == ALL)
        & (table["n_items"] > 0)
        & table["model"].isin(list(MARKS))
    ]
    return ControlComparison(
        item_set,
        tuple(
            ControlPoint(
                control=str(row["video_control"]),
                model=str(row["model"]),
                skill=str(row["skill"]),
                accuracy=float(row["accuracy"]),
                low=float(row["accuracy_low"]),
                high=float(row["accuracy_high"]),
                on_video=float(row["video_accuracy"]),
                drop_text=_drop_text(row),
                chance=float(row["chance"]),
                n_items=int(row["n_items"]),
            )
            for _, row in rows.iterrows()
        ),
    )


def _drop_text(row: pd.Series) -> str:
    drop, low, high = (100 * float(row[f"drop{end}"]) for end in ("", "_low", "_high"))
    ends = "" if math.isnan(low) else f" ({signed_ends(low, high)})"
    return f"{signed_text(drop)}{ends} points"


def draw_control_comparison(data: ControlComparison) -> go.Figure:
    """One panel a skill, one row a control; a line leads from the video to the control."""
    count = max(1, len(data.skills))
    panel = ROW_PIXELS * max(1, len(data.controls))
    height = TITLE_PIXELS + LEGEND_PIXELS + count * (panel + BETWEEN_PIXELS)
    figure = make_subplots(
        rows=count, cols=1, vertical_spacing=BETWEEN_PIXELS / (count * (panel + BETWEEN_PIXELS)),
        subplot_titles=[f"<b>{SKILL_MARKS[skill].label}</b>" for skill in data.skills],
    )  # fmt: skip
    name = data.item_set.replace("_", " ")
    styled(figure, title=f"Accuracy under video controls: {name} (%)", height=height)
    figure.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    figure.update_layout(margin_t=figure.layout.margin.t + 22)
    for row, skill in enumerate(data.skills, start=1):
        points = [point for point in data.points if point.skill == skill]
        _draw_skill(figure, points, data.controls, row)
    return figure


def _draw_skill(
    figure: go.Figure, points: Sequence[ControlPoint], controls: Sequence[str], row: int
) -> None:
    at = {"row": row, "col": 1}
    for order, (model, mark) in enumerate(MARKS.items()):
        own = [point for point in points if point.model == model]
        ends = [(point.accuracy, point.low, point.high) for point in own]
        places = [controls.index(p.control) + OFFSET * (2 * order - 1) for p in own]
        _draw_drops(figure, own, places, mark, row)
        figure.add_scatter(
            x=[100 * point.accuracy for point in own], y=places, mode="markers", name=mark.label,
            showlegend=row == 1, legendrank=order, cliponaxis=False,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 9,
                    "line": {"width": 2, "color": mark.colour}},
            error_x=interval_bars(ends, mark.colour, scale=100.0),
            customdata=[plain(point.text) for point in own],
            hovertemplate="%{customdata}<extra></extra>", **at,
        )  # fmt: skip
    # after the marks, since plotly puts no line into an empty panel
    chance = sum(point.chance * point.n_items for point in points)
    figure.add_vline(
        x=100 * chance / sum(point.n_items for point in points), layer="below",
        line={"color": GREY, "width": 1.5, "dash": "dot"}, annotation_text="chance",
        annotation_position="bottom right", annotation_font={"size": 11, "color": GREY}, **at,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(controls))), ticktext=[LABELS.get(c, plain(c)) for c in controls],
        range=[len(controls) - 0.28, -0.55], showgrid=False, ticks="", **at,
    )  # fmt: skip
    figure.update_xaxes(
        range=[-3, 103], tickvals=[0, 25, 50, 75, 100], title_text="Accuracy (%)", **at
    )


def _draw_drops(
    figure: go.Figure, points: Sequence[ControlPoint], places: Sequence[float], mark: Mark, row: int
) -> None:
    """Thin lines from the accuracy on the video, a tick, to that under the control."""
    lines_x, lines_y = [], []
    for point, place in zip(points, places, strict=True):
        lines_x += [100 * point.on_video, 100 * point.accuracy, None]
        lines_y += [place, place, None]
    figure.add_scatter(
        x=lines_x, y=lines_y, mode="lines", line={"color": mark.colour, "width": 5},
        opacity=0.25, hoverinfo="skip", showlegend=False, row=row, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=[100 * point.on_video for point in points], y=list(places), mode="markers",
        name="on the video", showlegend=row == 1 and mark is MARKS[VLM], cliponaxis=False,
        marker={"symbol": "line-ns", "size": 13, "line": {"width": 3, "color": mark.colour}},
        hoverinfo="skip", row=row, col=1,
    )  # fmt: skip
