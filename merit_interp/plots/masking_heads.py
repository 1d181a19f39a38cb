"""What masking each head alone costs each skill, layer by head.

    figure = draw_head_costs(head_costs(layers, model="merged"))

This file must not know how heads were masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.masking_categories import DIVERGING, ROW_PIXELS
from merit_interp.plots.style import (
    INK,
    SKILL_MARKS,
    skills_in_order,
    styled,
)
from merit_interp.tables.model_names import model_label

MOST_NUMBERED = 200
"""With more heads the numbers in the fields would touch."""


@dataclass(frozen=True)
class HeadCosts:
    """Cost of every head to each skill in one model."""

    model: str
    skills: tuple[str, ...]
    costs: tuple[tuple[tuple[float, ...], ...], ...]
    """(skills, layers, heads) mean drop of the right option's margin, in nats."""

    def describe(self) -> str:
        """The figure in words."""
        sentences = []
        for skill, rows in zip(self.skills, self.costs, strict=True):
            cost, layer, head = max(
                (cost, layer, head)
                for layer, row in enumerate(rows)
                for head, cost in enumerate(row)
            )  # fmt: skip
            sentences.append(
                f"{SKILL_MARKS[skill].label} loses most, {cost:.2f} nats of margin, by masking "
                f"head {head} of layer {layer}."
            )
        return " ".join(sentences) or "No head was masked alone."


def head_costs(layers: pd.DataFrame, *, model: str) -> HeadCosts:
    """Single heads out of a sweep's layer table.

    Args:
        layers: As `tables.masking_depth.layer_frame` returns it.
        model: Which model.
    """
    rows = layers[
        (layers["roles"] == "head")
        & (layers["model"] == model)
        & (layers["category"] == "all")
        & (layers["outcome"] == "margin_nats")
    ]
    rows = rows.assign(layer=rows["layers"].astype("int64"), head=rows["heads"].astype("int64"))
    skills = skills_in_order(rows["skill"])
    costs = []
    for skill in skills:
        table = rows[rows["skill"] == skill].pivot_table(
            index="layer", columns="head", values="cost"
        )  # fmt: skip
        costs.append(tuple(tuple(map(float, line)) for line in table.to_numpy()))
    return HeadCosts(model, skills, tuple(costs))


def draw_head_costs(data: HeadCosts) -> go.Figure:
    """Heads across, layers down, one panel a skill; blue costs, orange helps."""
    count = max(1, len(data.skills))
    values = [cost for rows in data.costs for row in rows for cost in row]
    most = max(map(abs, values), default=1.0) or 1.0
    n_layers = len(data.costs[0]) if data.costs else 1
    figure = make_subplots(
        rows=1, cols=count, horizontal_spacing=0.09,
        subplot_titles=[SKILL_MARKS[skill].label for skill in data.skills] or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    numbered = len(values) <= MOST_NUMBERED
    for column, rows in enumerate(data.costs, start=1):
        figure.add_heatmap(
            z=rows, zmin=-most, zmax=most, colorscale=[list(stop) for stop in DIVERGING],
            xgap=2, ygap=2, showscale=column == 1,
            texttemplate="%{z:.1f}" if numbered else None, textfont={"size": 11},
            colorbar={"thickness": 10, "outlinewidth": 0,
                      "title": {"text": "nats", "side": "top", "font": {"size": 12}}},
            hovertemplate="layer %{y}, head %{x}: %{z:.3f} nats<extra></extra>",
            row=1, col=column,
        )  # fmt: skip
        figure.update_xaxes(title_text="Head", dtick=1 if numbered else None, row=1, col=column)
    title = f"{model_label(data.model)}: cost of masking each head alone (nats of margin)"
    readable = 120 + 260 * count
    styled(figure, title=title, height=170 + ROW_PIXELS * n_layers, readable=readable)
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1 if numbered else None)
    return figure.update_yaxes(title_text="Layer", row=1, col=1)
