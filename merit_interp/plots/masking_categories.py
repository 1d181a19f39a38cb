"""What masking each layer alone costs each category of questions, as a heatmap.

    figure = draw_layer_categories(layer_categories(layers, model="merged", chosen=(2, 4)))

This file must not know how layers were masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.cells import CellText, write_cells
from merit_interp.plots.masking_layers import MOST_LABELLED_LAYERS, UNIT, LayerCost, single_layers
from merit_interp.plots.signed_colours import CROSS, marked_number, signed_colour, signed_scale
from merit_interp.plots.style import INK, SKILL_MARKS, plain, styled
from merit_interp.tables.model_names import model_label
from merit_interp.tables.number_text import number_text

ROW_PIXELS = 26
FIELD_PIXELS, UNNUMBERED_PIXELS = 48, 12
"""Width that a field needs with its number, and without."""
CROSSED = f"{CROSS}: interval holds zero"
"""What a title says of the cross."""


@dataclass(frozen=True)
class LayerCategories:
    """Cost of each layer to each category of questions in one model."""

    model: str
    rows: tuple[tuple[str, str], ...]
    """(skill, category), reasoning first."""
    costs: tuple[tuple[LayerCost, ...], ...]
    """(rows, layers) mean drop of the right option's margin, in nats, with its interval."""
    n_items: tuple[int, ...]
    """Questions of each row."""
    chosen: tuple[int, ...]
    """Layers that are marked."""

    @property
    def n_layers(self) -> int:
        """Text layers of the model."""
        return len(self.costs[0]) if self.costs else 0

    def describe(self) -> str:
        """The figure in words."""
        parts = []
        for (_, category), costs in zip(self.rows, self.costs, strict=True):
            top = max(costs, key=lambda cost: cost.cost)
            beyond = "" if top.leaves_zero_out else ", not beyond its interval"
            number = number_text(top.cost, 2)
            name = category.replace("_", " ")
            parts.append(f"{name} needs layer {top.layer} most ({number} nats{beyond})")
        return "; ".join(parts) + "." if parts else "The questions have no categories."


def layer_categories(layers: pd.DataFrame, *, model: str, chosen: Sequence[int]) -> LayerCategories:
    """The categories out of a sweep's layer table.

    Args:
        layers: As `tables.masking_depth.layer_frame` returns it.
        model: Which model.
        chosen: Layers to mark.
    """
    singles = single_layers(layers, "margin_nats")
    singles = singles[(singles["model"] == model) & (singles["category"] != "all")]
    order = {skill: place for place, skill in enumerate(SKILL_MARKS)}
    names = sorted(
        {(str(s), str(c)) for s, c in zip(singles["skill"], singles["category"], strict=True)},
        key=lambda name: (order[name[0]], name[1]),
    )
    costs, n_items = [], []
    for skill, category in names:
        own = singles[(singles["skill"] == skill) & (singles["category"] == category)]
        own = own.sort_values("layer")
        costs.append(
            tuple(
                LayerCost(int(layer), skill, float(cost), float(low), float(high))
                for layer, cost, low, high in own[["layer", "cost", "low", "high"]].itertuples(
                    index=False
                )
            )
        )
        n_items.append(int(own["n_items"].max()))
    return LayerCategories(model, tuple(names), tuple(costs), tuple(n_items), tuple(chosen))


def draw_layer_categories(data: LayerCategories) -> go.Figure:
    """Layers across, categories down; blue costs, orange helps; chosen layers in bold.

    A cross marks a cost whose interval holds zero.
    """
    most = max((abs(c.cost) for row in data.costs for c in row), default=1.0) or 1.0
    labels = [
        f"{plain(category.replace('_', ' '))} (n={n})"
        for (_, category), n in zip(data.rows, data.n_items, strict=True)
    ]
    numbers = data.n_layers <= MOST_LABELLED_LAYERS
    figure = make_subplots(rows=1, cols=1)
    figure.add_heatmap(
        x=list(range(data.n_layers)), y=list(range(len(labels))),
        z=[[c.cost for c in row] for row in data.costs], **signed_scale(most), xgap=2, ygap=2,
        colorbar={"thickness": 10, "outlinewidth": 0, "title": {"text": "nats", "side": "top",
                  "font": {"size": 12}}},
        customdata=[
            [f"layer {c.layer}, {label}: {c.text()}" for c in row]
            for label, row in zip(labels, data.costs, strict=True)
        ],
        hovertemplate="%{customdata} nats<extra></extra>",
    )  # fmt: skip
    write_cells(
        figure,
        [
            CellText(
                c.layer, place,
                marked_number(c.cost, most, is_shown=c.leaves_zero_out, numbered=numbers),
                signed_colour(c.cost, most),
            )
            for place, row in enumerate(data.costs)
            for c in row
        ],
    )  # fmt: skip
    title = f"{model_label(data.model)}: cost of each layer to each category ({UNIT}; {CROSSED})"
    height = 140 + ROW_PIXELS * max(1, len(labels))
    # beside the fields the names of categories and the scale
    readable = 210 + (FIELD_PIXELS if numbers else UNNUMBERED_PIXELS) * data.n_layers
    styled(figure, title=title, height=height, readable=readable)
    figure.update_layout(margin_t=48)
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5],
        showgrid=False, ticks="",
    )  # fmt: skip
    step = 1 if numbers else 4
    shown = range(0, data.n_layers, step)
    figure.update_xaxes(
        title_text="Masked text layer (the chosen in bold)", showgrid=False,
        tickvals=list(shown), range=[-0.5, data.n_layers - 0.5],
        ticktext=[f"<b>{n}</b>" if n in data.chosen else str(n) for n in shown],
    )  # fmt: skip
    n_reasoning = sum(skill == "reasoning" for skill, _ in data.rows)
    if 0 < n_reasoning < len(labels):
        figure.add_hline(y=n_reasoning - 0.5, line={"color": INK, "width": 1.5})
    return figure
