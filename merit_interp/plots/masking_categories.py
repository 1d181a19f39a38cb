"""What masking each layer alone costs each category of questions, as a heatmap.

    figure = draw_layer_categories(layer_categories(layers, model="merged", chosen=(2, 4)))

This file must not know how layers were masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from merit_interp.plots.masking_layers import MOST_LABELLED_LAYERS, single_layers
from merit_interp.plots.style import INK, PERCEPTION, REASONING, SKILL_MARKS, plain, styled
from merit_interp.tables.model_names import model_label

ROW_PIXELS = 26
FIELD_PIXELS, UNNUMBERED_PIXELS = 34, 12
"""Width that a field needs with its number, and without."""
# nothing is white; what hurts and what helps differ in colour and, in grey print, by their sign
DIVERGING = ((0.0, PERCEPTION.colour), (0.5, "#ffffff"), (1.0, REASONING.colour))


@dataclass(frozen=True)
class LayerCategories:
    """Cost of each layer to each category of questions in one model."""

    model: str
    rows: tuple[tuple[str, str], ...]
    """(skill, category), reasoning first."""
    costs: tuple[tuple[float, ...], ...]
    """(rows, layers) mean drop of the right option's margin, in nats."""
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
            top = max(range(len(costs)), key=lambda layer: costs[layer])
            parts.append(f"{category} needs layer {top} most ({costs[top]:.2f} nats)")
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
        costs.append(tuple(map(float, own["cost"])))
        n_items.append(int(own["n_items"].max()))
    return LayerCategories(model, tuple(names), tuple(costs), tuple(n_items), tuple(chosen))


def draw_layer_categories(data: LayerCategories) -> go.Figure:
    """Layers across, categories down; blue costs, orange helps; chosen layers in bold."""
    most = max((abs(cost) for row in data.costs for cost in row), default=1.0) or 1.0
    labels = [
        f"{plain(category.replace('_', ' '))} (n={n})"
        for (_, category), n in zip(data.rows, data.n_items, strict=True)
    ]
    numbers = data.n_layers <= MOST_LABELLED_LAYERS
    figure = go.Figure()
    figure.add_heatmap(
        x=list(range(data.n_layers)), y=list(range(len(labels))), z=data.costs,
        zmin=-most, zmax=most, colorscale=[list(stop) for stop in DIVERGING],
        xgap=2, ygap=2, texttemplate="%{z:.1f}" if numbers else None, textfont={"size": 11},
        colorbar={"thickness": 10, "outlinewidth": 0, "title": {"text": "nats", "side": "top",
                  "font": {"size": 12}}},
        customdata=[[label] * data.n_layers for label in labels],
        hovertemplate="layer %{x}, %{customdata}: %{z:.3f} nats<extra></extra>",
    )  # fmt: skip
    title = f"{model_label(data.model)}: cost of each layer to each category (nats of margin)"
    height = 140 + ROW_PIXELS * max(1, len(labels))
    # beside the fields the names of categories and the scale
    readable = 210 + (FIELD_PIXELS if numbers else UNNUMBERED_PIXELS) * data.n_layers
    styled(figure, title=title, height=height, readable=readable)
    figure.update_layout(margin_t=48)
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, autorange="reversed",
        showgrid=False, ticks="",
    )  # fmt: skip
    step = 1 if numbers else 4
    shown = range(0, data.n_layers, step)
    figure.update_xaxes(
        title_text="Masked text layer (the chosen in bold)", showgrid=False,
        tickvals=list(shown),
        ticktext=[f"<b>{n}</b>" if n in data.chosen else str(n) for n in shown],
    )  # fmt: skip
    n_reasoning = sum(skill == "reasoning" for skill, _ in data.rows)
    if 0 < n_reasoning < len(labels):
        figure.add_hline(y=n_reasoning - 0.5, line={"color": INK, "width": 1.5})
    return figure
