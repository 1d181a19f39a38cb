"""Where the answer's position looks, layer by layer, before and after merging.

    figure = draw_attention_depth(attention_depth(findings.attention, chosen=(2, 4)))

This file must not know how attention was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.lens_layers import (
    LOOKS,
    MOST_LABELLED_LAYERS,
    OFFSET,
    add_line_key,
)
from merit_interp.plots.masking_layers import LayerCost
from merit_interp.plots.style import (
    FAINT,
    GREY,
    INK,
    SKILL_MARKS,
    add_band_key,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.lens_attention import ALL
from merit_interp.tables.model_names import MERGED, VLM, model_label
from merit_interp.tables.number_text import number_text

PANEL_PIXELS = 200
KIND_LABELS = {
    "visual": "to the video",
    "question": "to the question",
    "answer": "to what follows the question",
    "other": "to the rest of the prompt",
}


@dataclass(frozen=True)
class AttentionLine:
    """One model's attention to one kind of token, for one skill."""

    model: str
    skill: str
    kind: str
    points: tuple[LayerCost, ...]
    """Share in percent, mean over heads, at each layer."""


@dataclass(frozen=True)
class AttentionDepth:
    """VLM and merged model."""

    lines: tuple[AttentionLine, ...]
    chosen: tuple[int, ...]
    """Layers that are marked."""

    def describe(self) -> str:
        """The figure in words."""
        return " ".join(
            f"{SKILL_MARKS[line.skill].label}, {model_label(line.model)}: most attention "
            f"{KIND_LABELS[line.kind]} in layer {top.layer}, {number_text(top.cost, 0)}%."
            for line in self.lines
            if (top := max(line.points, key=lambda point: point.cost))
        )


def attention_depth(attention: pd.DataFrame, *, chosen: Sequence[int]) -> AttentionDepth:
    """Means over heads out of a run's table, from the answer's position.

    Args:
        attention: As `tables.lens_attention.attention_frame` returns it.
        chosen: Layers to mark.
    """
    rows = attention[
        (attention["position"] == "answer")
        & (attention["head"] == ALL)
        & (attention["layer"] != ALL)
    ]
    lines = []
    for kind in KIND_LABELS:
        for skill in SKILL_MARKS:
            for model in (VLM, MERGED):
                own = rows[
                    (rows["kind"] == kind) & (rows["skill"] == skill) & (rows["model"] == model)
                ].sort_values("layer")
                points = tuple(
                    LayerCost(int(layer), skill, 100 * share, 100 * low, 100 * high)
                    for layer, share, low, high in own[
                        ["layer", "share", "low", "high"]
                    ].itertuples(index=False)
                )
                if points:
                    lines.append(AttentionLine(model, skill, kind, points))
    return AttentionDepth(tuple(lines), tuple(chosen))


def draw_attention_depth(data: AttentionDepth) -> go.Figure:
    """One row a kind of token, one column a skill."""
    kinds = [k for k in KIND_LABELS if any(line.kind == k for line in data.lines)]
    skills = skills_in_order(line.skill for line in data.lines)
    count, columns = max(1, len(kinds)), max(1, len(skills))
    height = 120 + PANEL_PIXELS * count
    titles = [
        f"{SKILL_MARKS[skill].label}: {KIND_LABELS[kind]}" for kind in kinds for skill in skills
    ]
    figure = make_subplots(
        rows=count, cols=columns, shared_xaxes=True, shared_yaxes="rows",
        vertical_spacing=50 / height, horizontal_spacing=0.05, subplot_titles=titles or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    title = "Attention from the answer's position, mean over each layer's heads (%)"
    styled(figure, title=title, height=height, readable=320 * columns if columns > 1 else 0)
    for line in data.lines:
        _draw(figure, line, kinds.index(line.kind) + 1, skills.index(line.skill) + 1)
    for model in dict.fromkeys(line.model for line in data.lines):
        add_line_key(figure, model)
    _mark(figure, data, count, columns)
    for row, kind in enumerate(kinds, start=1):
        # a fixed range: plotly draws nothing where it finds shared ones itself beside fixed ones
        tops = [
            max(p.cost, p.high) for line in data.lines if line.kind == kind for p in line.points
        ]
        figure.update_yaxes(range=[0, 1.05 * max(tops) or 1.0], row=row)
        figure.update_yaxes(title_text="Share (%)", row=row, col=1)
    last = max((line.points[-1].layer for line in data.lines), default=0)
    step = 1 if last < MOST_LABELLED_LAYERS else 4
    ticks = list(range(0, last + 1, step))
    figure.update_xaxes(range=[-0.6, last + 0.6], tickvals=ticks, showgrid=False)
    for column in range(1, columns + 1):
        figure.update_xaxes(title_text="Text layer, counted from 0", row=count, col=column)
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def _draw(figure: go.Figure, line: AttentionLine, row: int, column: int) -> None:
    colour = GREY if line.model == VLM else SKILL_MARKS[line.skill].colour
    symbol, dash = LOOKS[line.model]
    shift = OFFSET * (1 if line.model == MERGED else -1)
    figure.add_scatter(
        x=[p.layer + shift for p in line.points], y=[p.cost for p in line.points],
        mode="lines+markers", name=plain(model_label(line.model)), showlegend=False,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 7, "line": {"width": 2, "color": colour}},
        error_y=interval_bars([(p.cost, p.low, p.high) for p in line.points], colour),
        customdata=[f"layer {p.layer}: {p.text(1)}" for p in line.points],
        hovertemplate="%{customdata} %<extra></extra>",
        row=row, col=column,
    )  # fmt: skip


def _mark(figure: go.Figure, data: AttentionDepth, rows: int, columns: int) -> None:
    for layer in data.chosen:
        for row in range(1, rows + 1):
            for column in range(1, columns + 1):
                figure.add_vrect(
                    x0=layer - 0.42, x1=layer + 0.42, row=row, col=column, layer="below",
                    fillcolor=FAINT, opacity=0.75, line_width=0,
                )  # fmt: skip
    if data.chosen:
        add_band_key(figure)
