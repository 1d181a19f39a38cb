"""The logit lens: how far the right option is ahead if the model ended at a layer.

    figure = draw_lens(lens_lines(findings.layers, chosen=(2, 4)))

This file must not know how a state became a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.masking_layers import LayerCost
from merit_interp.plots.style import (
    FAINT,
    GREY,
    INK,
    SKILL_MARKS,
    add_band_key,
    add_key,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.lens_layers import CHANGE
from merit_interp.tables.model_names import BACKBONE, MERGED, VLM, in_listing_order, model_label

PANEL_PIXELS = 230
OFFSET = 0.1
MOST_LABELLED_LAYERS = 16
"""With more layers only every fourth one is labelled."""
LOOKS = {VLM: ("circle-open", "dot"), MERGED: ("circle", "solid"), BACKBONE: ("x-thin", "dash")}
"""Symbol and dash of each model."""


@dataclass(frozen=True)
class LensLine:
    """One model, or the difference of two, over the layers."""

    model: str
    skill: str
    points: tuple[LayerCost, ...]
    """Mean margin after each layer, in nats; layer -1 is what enters the first one."""

    @property
    def last(self) -> LayerCost:
        """The model's own answer."""
        return self.points[-1]


@dataclass(frozen=True)
class LensLines:
    """All lines."""

    lines: tuple[LensLine, ...]
    chosen: tuple[int, ...]
    """Layers that are marked."""

    def describe(self) -> str:
        """The figure in words."""
        return " ".join(
            f"{SKILL_MARKS[line.skill].label}, {line_label(line.model)}: the margin ends at "
            f"{line.last.text(2)} nats."
            for line in self.lines
        )


def line_label(model: str) -> str:
    """What a reader is shown for a model or the difference."""
    return "Merged minus VLM" if model == CHANGE else model_label(model)


def lens_lines(layers: pd.DataFrame, *, chosen: Sequence[int]) -> LensLines:
    """Margins out of a run's table.

    Args:
        layers: As `tables.lens_layers.layer_lens_frame` returns it.
        chosen: Layers to mark.
    """
    rows = layers[layers["measure"] == "margin_nats"].sort_values("after_layer")
    names = in_listing_order(set(rows["model"]) - {CHANGE})
    if CHANGE in set(rows["model"]):
        names.append(CHANGE)
    lines = [
        LensLine(
            model,
            skill,
            tuple(
                LayerCost(int(layer), skill, float(value), float(low), float(high))
                for layer, value, low, high in own[
                    ["after_layer", "value", "low", "high"]
                ].itertuples(index=False)
            ),
        )
        for skill in SKILL_MARKS
        for model in names
        if len(own := rows[(rows["model"] == model) & (rows["skill"] == skill)])
    ]
    return LensLines(tuple(lines), tuple(chosen))


def draw_lens(data: LensLines) -> go.Figure:
    """One row a skill: the models on the left, what merging changes on the right."""
    skills = skills_in_order(line.skill for line in data.lines)
    has_change = any(line.model == CHANGE for line in data.lines)
    count, columns = max(1, len(skills)), 2 if has_change else 1
    height = 120 + PANEL_PIXELS * count
    titles = [
        title
        for skill in skills
        for title in (SKILL_MARKS[skill].label, "Merged minus VLM")[:columns]
    ]
    figure = make_subplots(
        rows=count, cols=columns, shared_xaxes=True, vertical_spacing=50 / height,
        horizontal_spacing=0.1, subplot_titles=titles or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    styled(
        figure,
        title="Margin of the right option read off after each layer (nats)",
        height=height,
        readable=320 * columns if has_change else 0,
    )
    for row, skill in enumerate(skills, start=1):
        own = [line for line in data.lines if line.skill == skill]
        models = [line for line in own if line.model != CHANGE]
        for order, line in enumerate(models):
            shift = OFFSET * (2 * order - len(models) + 1)
            _draw(figure, line, shift, row, 1)
        for line in own:
            if line.model == CHANGE:
                _draw(figure, line, 0.0, row, 2)
        for column in range(1, columns + 1):
            _mark(figure, data, row, column)
        figure.update_yaxes(title_text="Margin (nats)", row=row, col=1)
        if has_change:
            figure.update_yaxes(title_text="Change (nats)", row=row, col=2)
    for model in dict.fromkeys(line.model for line in data.lines if line.model != CHANGE):
        add_line_key(figure, model)
    _layer_axes(figure, data, count, columns)
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def add_line_key(figure: go.Figure, model: str) -> None:
    """A model's entry in the legend: its dash and symbol, in ink, as skills have the colours."""
    colour = GREY if model in (VLM, BACKBONE) else INK
    symbol, dash = LOOKS.get(model, ("circle", "solid"))
    add_key(
        figure, model_label(model), mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 7, "color": colour,
                "line": {"width": 2, "color": colour}},
    )  # fmt: skip


def _draw(figure: go.Figure, line: LensLine, shift: float, row: int, column: int) -> None:
    colour = GREY if line.model in (VLM, BACKBONE) else SKILL_MARKS[line.skill].colour
    symbol, dash = LOOKS.get(line.model, ("circle", "solid"))
    figure.add_scatter(
        x=[p.layer + shift for p in line.points], y=[p.cost for p in line.points],
        mode="lines+markers", name=plain(line_label(line.model)), showlegend=False,
        line={"color": colour, "dash": dash, "width": 2},
        marker={"symbol": symbol, "size": 7, "line": {"width": 2, "color": colour}},
        error_y=interval_bars([(p.cost, p.low, p.high) for p in line.points], colour),
        customdata=[f"{_place(p.layer)}: {p.text()}" for p in line.points],
        hovertemplate=plain(line_label(line.model)) + ", %{customdata}<extra></extra>",
        row=row, col=column,
    )  # fmt: skip


def _place(layer: int) -> str:
    return "before the first layer" if layer < 0 else f"after layer {layer}"


def _mark(figure: go.Figure, data: LensLines, row: int, column: int) -> None:
    """Bands behind the chosen layers, and the line of no margin."""
    for layer in data.chosen:
        figure.add_vrect(
            x0=layer - 0.42, x1=layer + 0.42, row=row, col=column, layer="below",
            fillcolor=FAINT, opacity=0.75, line_width=0,
        )  # fmt: skip
    figure.add_hline(y=0, row=row, col=column, layer="below", line={"color": GREY, "width": 1})


def _layer_axes(figure: go.Figure, data: LensLines, row: int, columns: int) -> None:
    last = max((line.last.layer for line in data.lines), default=0)
    step = 1 if last < MOST_LABELLED_LAYERS else 4
    ticks = [-1, *range(0, last + 1, step)]
    figure.update_xaxes(
        range=[-1.6, last + 0.6], tickvals=ticks, ticktext=["in", *map(str, ticks[1:])],
        showgrid=False,
    )  # fmt: skip
    for column in range(1, columns + 1):
        figure.update_xaxes(title_text="After text layer (in: embedding)", row=row, col=column)
    if data.chosen:
        add_band_key(figure)
