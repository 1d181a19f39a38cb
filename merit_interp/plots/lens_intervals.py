"""Means with their intervals in rows: direct parts of the margin, and heads that matter most.

    figure = draw_rows(direct_rows(findings.direct_groups))

This file must not know how a number was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.style import (
    GREY,
    INK,
    SKILL_MARKS,
    add_key,
    interval_bars,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.lens_direct import GROUPS
from merit_interp.tables.lens_layers import CHANGE
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.number_text import signed_ends, signed_text

ROW_PIXELS = 30
MOST_HEADS = 20
"""Heads that are shown: those that cost most."""
SERIES = {VLM: "VLM", MERGED: "Merged", CHANGE: "Merged minus VLM"}
SYMBOLS = {VLM: "circle-open", MERGED: "circle", CHANGE: "diamond"}
GROUP_LABELS = {
    "chosen_heads": "Heads of the<br>chosen layers",
    "other_heads": "Heads of<br>other layers",
    "mlps": "MLPs",
    "embedding": "Embedding<br>and biases",
    "margin": "<b>Margin</b>",
}


@dataclass(frozen=True)
class RowValue:
    """One mean."""

    row: str
    skill: str
    series: str
    """A model, or the difference of two."""
    value: float
    """In nats."""
    low: float
    """End of the 95% interval; NaN where undefined."""
    high: float

    @property
    def text(self) -> str:
        """The mean with its interval."""
        ends = "no interval" if math.isnan(self.low) else signed_ends(self.low, self.high, 2)
        return f"{signed_text(self.value, 2)} nats ({ends})"


@dataclass(frozen=True)
class IntervalRows:
    """Rows from top to bottom, with a panel for each skill."""

    title: str
    axis: str
    rows: tuple[str, ...]
    values: tuple[RowValue, ...]

    def describe(self) -> str:
        """The figure in words."""
        sentences = [
            f"{SKILL_MARKS[v.skill].label}, {SERIES[v.series]}, {_words(v.row)}: {v.text}."
            for v in self.values
            if v.series != VLM
        ]
        return f"{self.title}. {' '.join(sentences)}"


def _words(row: str) -> str:
    for markup, text in (("<br>", " "), ("<b>", ""), ("</b>", "")):
        row = row.replace(markup, text)
    return row


def direct_rows(groups: pd.DataFrame) -> IntervalRows:
    """Direct parts, put together, of VLM and merged model.

    Args:
        groups: As `tables.lens_direct.direct_groups` returns it.
    """
    rows = groups[groups["model"].isin(list(SERIES))]
    values = tuple(
        RowValue(GROUP_LABELS[part], skill, model, value, low, high)
        for part, skill, model, value, low, high in rows[
            ["part", "skill", "model", "nats", "low", "high"]
        ].itertuples(index=False)
    )
    title = "Direct parts of the right option's margin at the output (nats)"
    labels = tuple(GROUP_LABELS[part] for part in GROUPS)
    return IntervalRows(title, "Direct part of the margin (nats)", labels, values)


def cost_rows(heads: pd.DataFrame) -> IntervalRows:
    """The heads whose masking costs most in the merged model (in the VLM, where there is none).

    Args:
        heads: As `tables.lens_heads.head_frame` returns it.
    """
    judged = "cost_merged" if heads["cost_merged"].notna().any() else "cost_vlm"
    rows = heads[heads[judged].notna()]
    rows = rows.assign(name=[f"{r.layer}.{r.head}" for r in rows.itertuples()])
    greatest = rows.groupby("name")[judged].agg(lambda costs: costs.abs().max())
    kept = set(greatest.sort_values(ascending=False).index[:MOST_HEADS])
    shown = rows[rows["name"].isin(kept)].sort_values(["layer", "head"])
    names = tuple(dict.fromkeys(shown["name"]))
    values = []
    for series in (VLM, MERGED):
        name = f"cost_{series}"
        for _, row in shown[shown[name].notna()].iterrows():
            values.append(
                RowValue(
                    str(row["name"]), str(row["skill"]), series, float(row[name]),
                    float(row[f"{name}_low"]), float(row[f"{name}_high"]),
                )
            )  # fmt: skip
    more = f"the {MOST_HEADS} that cost most of " if len(rows["name"].unique()) > MOST_HEADS else ""
    title = f"Cost of masking one head alone ({more}layer.head; nats of margin)"
    return IntervalRows(title, "Drop of the margin (nats)", names, tuple(values))


def draw_rows(data: IntervalRows) -> go.Figure:
    """One panel a skill, one row a part, one mark a model."""
    skills = skills_in_order(v.skill for v in data.values)
    count = max(1, len(skills))
    figure = make_subplots(
        rows=1, cols=count, horizontal_spacing=0.05, shared_yaxes=True,
        subplot_titles=[SKILL_MARKS[skill].label for skill in skills] or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    height = 170 + ROW_PIXELS * len(data.rows)
    styled(figure, title=data.title, height=height, readable=110 + 220 * count)
    series = [s for s in SERIES if any(v.series == s for v in data.values)]
    for column, skill in enumerate(skills, start=1):
        figure.add_vline(x=0, row=1, col=column, layer="below", line={"color": GREY, "width": 1})
        for order, name in enumerate(series):
            own = [v for v in data.values if v.skill == skill and v.series == name]
            shift = 0.2 * (order - (len(series) - 1) / 2)
            _draw(figure, data, own, name, shift, column)
        figure.update_xaxes(title_text=data.axis, row=1, col=column)
    for name in series:
        colour = GREY if name == VLM else INK
        look = {"symbol": SYMBOLS[name], "size": 8, "color": colour}
        add_key(figure, SERIES[name], marker=look | {"line": {"width": 2, "color": colour}})
    places = list(range(len(data.rows)))
    figure.update_yaxes(
        tickvals=places, ticktext=list(data.rows), range=[len(places) - 0.5, -0.5], showgrid=True
    )
    return figure.update_layout(margin_t=figure.layout.margin.t + 20)


def _draw(
    figure: go.Figure,
    data: IntervalRows,
    own: list[RowValue],
    series: str,
    shift: float,
    column: int,
) -> None:
    if not own:
        return
    colour = GREY if series == VLM else SKILL_MARKS[own[0].skill].colour
    if series == CHANGE:
        colour = INK
    figure.add_scatter(
        x=[v.value for v in own], y=[data.rows.index(v.row) + shift for v in own],
        mode="markers", name=plain(SERIES[series]), showlegend=False,
        marker={"symbol": SYMBOLS[series], "size": 8, "color": colour,
                "line": {"width": 2, "color": colour}},
        error_x=interval_bars([(v.value, v.low, v.high) for v in own], colour),
        customdata=[v.text for v in own], hovertemplate="%{customdata}<extra></extra>",
        row=1, col=column,
    )  # fmt: skip
