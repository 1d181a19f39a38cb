"""What masking each layer alone costs reasoning and perception, with the chosen layers marked.

    figure = draw_layer_importance(layer_importance(layers, chosen=(2, 4)))

This file must not know how layers were masked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

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
from merit_interp.tables.model_names import in_listing_order, model_label
from merit_interp.tables.number_text import number_ends, number_text

PANEL_PIXELS = 210
OFFSET = 0.13
"""Of the skills' points from the middle of their layer."""
MOST_LABELLED_LAYERS = 16
"""With more layers only every fourth one is labelled."""
UNIT = "nats of margin"


@dataclass(frozen=True)
class LayerCost:
    """One layer, masked alone."""

    layer: int
    skill: str
    cost: float
    """Mean drop of the right option's margin, in nats."""
    low: float
    """End of the 95% interval over videos; NaN where undefined."""
    high: float

    @property
    def leaves_zero_out(self) -> bool:
        """Whether the interval lies on one side of zero; an undefined one does not."""
        return self.low > 0 or self.high < 0

    def text(self, digits: int = 3) -> str:
        """The cost with its interval."""
        ends = "no interval" if self.low != self.low else number_ends(self.low, self.high, digits)
        return f"{number_text(self.cost, digits)} ({ends})"


@dataclass(frozen=True)
class LayerImportance:
    """Every layer of every model."""

    panels: tuple[tuple[str, tuple[LayerCost, ...]], ...]
    """(model, its layers by skill) in listing order."""
    chosen: tuple[int, ...]
    """Layers that are marked."""
    n_layers: int

    def describe(self) -> str:
        """The figure in words."""
        sentences = []
        for model, costs in self.panels:
            for skill, mark in SKILL_MARKS.items():
                own = [c for c in costs if c.skill == skill]
                if own:
                    top = max(own, key=lambda c: c.cost)
                    sentences.append(
                        f"{model_label(model)}: {mark.label} loses most, "
                        f"{number_text(top.cost, 2)} {UNIT}, by masking layer {top.layer}."
                    )
        return " ".join(sentences) or "No layer was masked."


def layer_importance(layers: pd.DataFrame, *, chosen: Sequence[int]) -> LayerImportance:
    """Single layers out of a sweep's layer table.

    Args:
        layers: As `tables.masking_depth.layer_frame` returns it.
        chosen: Layers to mark.
    """
    singles = single_layers(layers, "margin_nats")
    singles = singles[singles["category"] == "all"]
    panels = []
    for model in in_listing_order(singles["model"]):
        rows = singles[singles["model"] == model].sort_values(["skill", "layer"])
        panels.append(
            (
                model,
                tuple(
                    LayerCost(
                        int(r["layer"]), str(r["skill"]), float(r["cost"]), float(r["low"]),
                        float(r["high"]),
                    )
                    for _, r in rows.iterrows()
                ),
            )
        )  # fmt: skip
    n_layers = int(singles["layer"].max()) + 1 if len(singles) else 0
    return LayerImportance(tuple(panels), tuple(chosen), n_layers)


def single_layers(layers: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The rows of layers masked alone, one outcome, with the layer's number as `layer`."""
    is_single = layers["roles"].str.split().map(lambda roles: "single" in roles).astype(bool)
    rows = layers[is_single & (layers["outcome"] == outcome)]
    return rows.assign(layer=rows["layers"].astype("int64"))


def draw_layer_importance(data: LayerImportance) -> go.Figure:
    """Layer against cost, one panel a model; bands mark the chosen layers."""
    count = max(1, len(data.panels))
    height = 120 + PANEL_PIXELS * count
    titles = [plain(model_label(model)) for model, _ in data.panels]
    figure = make_subplots(
        rows=count, cols=1, shared_xaxes=True, vertical_spacing=44 / height,
        subplot_titles=titles if titles else None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    styled(
        figure,
        title=f"Cost of masking each layer alone ({UNIT}, 95% intervals by video)",
        height=height,
    )
    # one range, so that a fall from one panel to the next is seen as one
    low, high = cost_range([cost for _, costs in data.panels for cost in costs])
    for row, (_, costs) in enumerate(data.panels, start=1):
        _draw_costs(figure, costs, row)
        mark_layers(figure, data.chosen, row)
        margin = 0.06 * (high - low)
        figure.update_yaxes(
            title_text="Cost (nats)", range=[low - margin, high + margin], row=row, col=1
        )
    if data.chosen:
        add_band_key(figure)
    layer_axis(figure, data.n_layers, row=count)
    # the first panel's title stands between legend and panel
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def cost_range(costs: Iterable[LayerCost]) -> tuple[float, float]:
    """From the least to the greatest of zero, all costs and the ends of their intervals."""
    ends = [end for c in costs for end in (c.cost, c.low, c.high) if not math.isnan(end)]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    return min(low, 0.0), max(high, 0.0) or 1.0


def _draw_costs(figure: go.Figure, costs: Sequence[LayerCost], row: int) -> None:
    skills = skills_in_order(c.skill for c in costs)
    for order, skill in enumerate(skills):
        mark = SKILL_MARKS[skill]
        own = [c for c in costs if c.skill == skill]
        shift = OFFSET * (2 * order - len(skills) + 1)
        figure.add_scatter(
            x=[c.layer + shift for c in own], y=[c.cost for c in own],
            mode="markers", name=mark.label, legendgroup=skill, showlegend=row == 1,
            marker={"color": mark.colour, "symbol": mark.symbol, "size": 8,
                    "line": {"width": 2, "color": mark.colour}},
            error_y=interval_bars([(c.cost, c.low, c.high) for c in own], mark.colour),
            customdata=[f"layer {c.layer}: {c.text()}" for c in own],
            hovertemplate="%{customdata}<extra></extra>",
            row=row, col=1,
        )  # fmt: skip


def mark_layers(figure: go.Figure, layers: Sequence[int], row: int) -> None:
    """Bands behind some layers of a panel that is drawn already, and its line of no cost."""
    for layer in layers:
        figure.add_vrect(
            x0=layer - 0.42, x1=layer + 0.42, row=row, col=1, layer="below",
            fillcolor=FAINT, opacity=0.75, line_width=0,
        )  # fmt: skip
    figure.add_hline(y=0, row=row, col=1, layer="below", line={"color": GREY, "width": 1})


def layer_axis(figure: go.Figure, n_layers: int, *, row: int, col: int = 1) -> None:
    """The axis of layers below a panel, and the same range above it."""
    step = 1 if n_layers <= MOST_LABELLED_LAYERS else 4
    figure.update_xaxes(
        range=[-0.6, n_layers - 0.4], tickmode="linear", tick0=0, dtick=step, showgrid=False
    )
    figure.update_xaxes(title_text="Masked text layer, counted from 0", row=row, col=col)
