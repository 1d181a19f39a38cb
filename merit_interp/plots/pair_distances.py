"""How far the VLM lies from its backbone, layer by layer and projection by projection.

    figure = draw_distances(layer_distances(frame))

This file must not know how a distance is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import INK, Mark, styled
from merit_interp.tables.number_text import number_text

PROJECTION_MARKS = {
    "q": Mark("q", "#1a1a1a", "circle", "solid"),
    "k": Mark("k", "#d06a9c", "diamond-open", "dash"),
    "v": Mark("v", "#00795a", "square", "dot"),
    "o": Mark("o", "#3f97cf", "triangle-up-open", "dashdot"),
}
"""Okabe and Ito's remaining colours, darkened; symbols and dashes tell them apart in grey."""

MEASURES = {
    "relative_norm": ("Size of the difference: |backbone − VLM| / |VLM|", "Relative norm"),
    "cosine": ("Direction: cosine of the two weights", "Cosine"),
    "rank_percent": (
        "Effective rank of the difference, in % of the largest possible", "Rank (%)"
    ),
}  # fmt: skip
"""Title of the panel and of its axis, by measure."""

PANEL_PIXELS = 190
MOST_LABELLED_LAYERS = 16


@dataclass(frozen=True)
class DistanceLine:
    """One measure of one projection over depth."""

    measure: str
    projection: str
    layers: tuple[int, ...]
    values: tuple[float, ...]
    shape: str
    """Of the weight, like `512x3584`; of several shapes, the first."""


@dataclass(frozen=True)
class LayerDistances:
    """All measures of all projections' weights."""

    lines: tuple[DistanceLine, ...]
    n_layers: int

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures that there are."""
        return tuple(m for m in MEASURES if any(line.measure == m for line in self.lines))

    def of(self, measure: str) -> tuple[DistanceLine, ...]:
        """The lines of one measure."""
        return tuple(line for line in self.lines if line.measure == measure)

    def describe(self) -> str:
        """The figure in words."""
        parts = []
        for line in self.of("relative_norm"):
            value, layer = max(zip(line.values, line.layers, strict=True))
            low, _ = min(zip(line.values, line.layers, strict=True))
            parts.append(
                f"{line.projection} moved most in layer {layer} (relative norm "
                f"{number_text(value, 3)}; least {number_text(low, 3)})."
            )
        for line in self.of("rank_percent"):
            mean = sum(line.values) / len(line.values)
            parts.append(
                f"The difference of {line.projection} has {number_text(mean, 0)}% of full rank."
            )
        return " ".join(parts) or "No weight of self-attention is on both sides."


def layer_distances(frame: pd.DataFrame) -> LayerDistances:
    """Lines out of the table of distances.

    Args:
        frame: As `tables.pair_distances.pair_distances` returns it.
    """
    percent = 100 * frame["effective_rank"] / frame["full_rank"]
    frame = frame.assign(rank_percent=percent)
    lines = []
    for measure in MEASURES:
        for projection in PROJECTION_MARKS:
            own = frame[(frame["tensor"] == f"{projection}.weight") & frame[measure].notna()]
            if len(own):
                lines.append(
                    DistanceLine(
                        measure,
                        projection,
                        tuple(map(int, own["layer"])),
                        tuple(map(float, own[measure])),
                        str(own["shape"].iloc[0]),
                    )
                )
    n_layers = int(frame["layer"].max()) + 1 if len(frame) else 0
    return LayerDistances(tuple(lines), n_layers)


def draw_distances(data: LayerDistances) -> go.Figure:
    """Layer against distance, one panel a measure, one line a projection."""
    measures = data.measures or ("relative_norm",)
    height = 120 + PANEL_PIXELS * len(measures)
    figure = make_subplots(
        rows=len(measures), cols=1, shared_xaxes=True, vertical_spacing=44 / height,
        subplot_titles=[MEASURES[measure][0] for measure in measures],
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    title = "How far each layer moved from backbone to VLM"
    styled(figure, title=title, height=height)
    for row, measure in enumerate(measures, start=1):
        for line in data.of(measure):
            _draw_line(figure, line, row)
        figure.update_yaxes(title_text=MEASURES[measure][1], row=row, col=1)
        if measure != "cosine":
            figure.update_yaxes(rangemode="tozero", row=row, col=1)
    step = 1 if data.n_layers <= MOST_LABELLED_LAYERS else 4
    figure.update_xaxes(
        range=[-0.6, data.n_layers - 0.4], tickmode="linear", tick0=0, dtick=step, showgrid=False
    )
    figure.update_xaxes(title_text="Text layer, counted from 0", row=len(measures), col=1)
    # the first panel's title stands between legend and panel
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def _draw_line(figure: go.Figure, line: DistanceLine, row: int) -> None:
    mark = PROJECTION_MARKS[line.projection]
    figure.add_scatter(
        x=line.layers, y=line.values, mode="lines+markers",
        name=f"{mark.label} ({line.shape.replace('x', ' × ')})",
        legendgroup=line.projection, showlegend=row == 1,
        line={"color": mark.colour, "width": 1.6, "dash": mark.dash},
        marker={"color": mark.colour, "symbol": mark.symbol, "size": 8, "line": {"width": 1.6}},
        customdata=[number_text(value, 4) for value in line.values],
        hovertemplate=f"layer %{{x}}, {line.projection}: %{{customdata}}<extra></extra>",
        row=row, col=1,
    )  # fmt: skip
