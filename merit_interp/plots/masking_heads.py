"""What masking each head alone costs each skill, layer by head.

    figure = draw_head_costs(head_costs(layers, model="merged"))

This file must not know how heads were masked.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.cells import CellText, write_cells
from merit_interp.plots.masking_categories import (
    CROSSED,
    FIELD_PIXELS,
    ROW_PIXELS,
    UNNUMBERED_PIXELS,
)
from merit_interp.plots.masking_layers import UNIT, LayerCost
from merit_interp.plots.signed_colours import marked_number, signed_colour, signed_scale
from merit_interp.plots.style import (
    INK,
    SKILL_MARKS,
    skills_in_order,
    styled,
)
from merit_interp.tables.model_names import model_label
from merit_interp.tables.number_text import number_text

MOST_NUMBERED, MOST_HEADS = 200, 10
"""With more fields, or more heads in a layer, the numbers and crosses would touch."""


@dataclass(frozen=True)
class HeadCosts:
    """Cost of every head to each skill in one model."""

    model: str
    skills: tuple[str, ...]
    costs: tuple[tuple[tuple[LayerCost, ...], ...], ...]
    """(skills, layers, heads) mean drop of the right option's margin, in nats, with intervals."""

    def describe(self) -> str:
        """The figure in words."""
        sentences = []
        for skill, rows in zip(self.skills, self.costs, strict=True):
            top, head = max(
                ((cost, head) for row in rows for head, cost in enumerate(row)),
                key=lambda pair: pair[0].cost,
            )
            beyond = "" if top.leaves_zero_out else " (not beyond its interval)"
            sentences.append(
                f"{SKILL_MARKS[skill].label} loses most, {number_text(top.cost, 2)} {UNIT}, by "
                f"masking head {head} of layer {top.layer}{beyond}."
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
        own = rows[rows["skill"] == skill].sort_values(["layer", "head"])
        costs.append(
            tuple(
                tuple(
                    LayerCost(int(layer), skill, float(cost), float(low), float(high))
                    for layer, cost, low, high in line[["layer", "cost", "low", "high"]].itertuples(
                        index=False
                    )
                )
                for _, line in own.groupby("layer")
            )
        )
    return HeadCosts(model, skills, tuple(costs))


def draw_head_costs(data: HeadCosts) -> go.Figure:
    """Heads across, layers down, one panel a skill; blue costs, orange helps; a cross as there."""
    count = max(1, len(data.skills))
    values = [c.cost for rows in data.costs for row in rows for c in row]
    most = max(map(abs, values), default=1.0) or 1.0
    n_layers = len(data.costs[0]) if data.costs else 1
    figure = make_subplots(
        rows=1, cols=count, horizontal_spacing=0.09,
        subplot_titles=[SKILL_MARKS[skill].label for skill in data.skills] or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    n_heads = len(data.costs[0][0]) if data.costs else 1
    numbered = len(values) <= MOST_NUMBERED and n_heads <= MOST_HEADS
    for column, rows in enumerate(data.costs, start=1):
        figure.add_heatmap(
            z=[[c.cost for c in row] for row in rows], **signed_scale(most),
            xgap=2, ygap=2, showscale=column == 1,
            colorbar={"thickness": 10, "outlinewidth": 0,
                      "title": {"text": "nats", "side": "top", "font": {"size": 12}}},
            customdata=[
                [f"layer {c.layer}, head {head}: {c.text()}" for head, c in enumerate(row)]
                for row in rows
            ],
            hovertemplate="%{customdata} nats<extra></extra>", row=1, col=column,
        )  # fmt: skip
        cells = [
            CellText(
                head, c.layer,
                marked_number(c.cost, most, is_shown=c.leaves_zero_out, numbered=numbered),
                signed_colour(c.cost, most),
            )
            for row in rows
            for head, c in enumerate(row)
        ]  # fmt: skip
        write_cells(figure, cells, col=column)
        # the texts would widen the ranges
        figure.update_xaxes(
            title_text="Head", dtick=1 if numbered else None, range=[-0.5, len(rows[0]) - 0.5],
            row=1, col=column,
        )  # fmt: skip
    title = f"{model_label(data.model)}: cost of masking each head alone ({UNIT}; {CROSSED})"
    readable = 120 + count * max(
        260, 40 + (FIELD_PIXELS if numbered else UNNUMBERED_PIXELS) * n_heads
    )
    styled(figure, title=title, height=170 + ROW_PIXELS * n_layers, readable=readable)
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(range=[n_layers - 0.5, -0.5], showgrid=False, dtick=1 if numbered else None)
    return figure.update_yaxes(title_text="Layer", row=1, col=1)
