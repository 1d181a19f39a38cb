"""Numbers of heads, layer by head: attention that moved, weights that changed, costs, direct parts.

    figure = draw_head_maps(attention_maps(findings.attention))

A cross marks a number that is not told from zero, so that what is not shown is not taken for shown.
This file must not know how a number was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.cells import CellText, scale_colour, write_cells
from merit_interp.plots.signed_colours import signed_colour, signed_scale
from merit_interp.plots.style import INK, SEQUENTIAL, SKILL_MARKS, styled
from merit_interp.tables.lens_attention import ALL
from merit_interp.tables.lens_direct import NONE
from merit_interp.tables.lens_heads import heads_shown
from merit_interp.tables.lens_layers import CHANGE
from merit_interp.tables.number_text import MINUS, number_text, signed_text

ROW_PIXELS = 26
FIELD_PIXELS, UNNUMBERED_PIXELS = 48, 12
"""Width that a field needs with its number, and without."""
MOST_NUMBERED = 24
"""With more heads in a layer the numbers would touch."""
MLP_COLUMN = "MLP"
CROSS = "×: interval holds zero"
CROSS_CORRECTED = "×: not shown, Holm"
"""Where all cells of a panel were tested together."""


@dataclass(frozen=True)
class HeadMap:
    """One panel."""

    title: str
    columns: tuple[str, ...]
    """Heads, and what else a layer has."""
    rows: tuple[int, ...]
    """Layers."""
    values: tuple[tuple[float, ...], ...]
    """(layers, columns); NaN where there is none."""
    shown: tuple[tuple[bool, ...], ...]
    """(layers, columns) whether the number is told from zero: by its 95% interval, and by
    the corrected p-value where the panel has one."""
    signed: bool = True
    """Whether values lie on both sides of zero."""

    def number(self, value: float, digits: int) -> str:
        """A value as it is read: with a sign where both signs can be."""
        return signed_text(value, digits) if self.signed else number_text(value, digits)

    def colour(self, value: float, most: float) -> str:
        """The colour of a value's field, where the scale ends at `most`."""
        return signed_colour(value, most) if self.signed else scale_colour(SEQUENTIAL, value / most)


@dataclass(frozen=True)
class HeadMaps:
    """Panels side by side, of one unit."""

    title: str
    unit: str
    panels: tuple[HeadMap, ...]
    digits: int = 1

    def describe(self) -> str:
        """The figure in words."""
        sentences = []
        for panel in self.panels:
            cells = [
                (shown, abs(value), value, layer, column)
                for layer, row, known in zip(panel.rows, panel.values, panel.shown, strict=True)
                for column, value, shown in zip(panel.columns, row, known, strict=True)
                if not math.isnan(value)
            ]
            if cells:
                shown, _, value, layer, column = max(cells)
                text = f"{panel.number(value, self.digits)} {self.unit}"
                if not shown:
                    text += ", none is shown"
                sentences.append(
                    f"{panel.title}: most at layer {layer}, {_column_words(column)}, {text}."
                )
        return f"{self.title}. {' '.join(sentences) or 'Nothing was measured.'}"


def _column_words(column: str) -> str:
    return column if column == MLP_COLUMN else f"head {column}"


def attention_maps(attention: pd.DataFrame) -> HeadMaps:
    """Change of each head's attention to the video, at the answer's position, in points.

    Args:
        attention: As `tables.lens_attention.attention_frame` returns it.
    """
    rows = attention[
        (attention["model"] == CHANGE)
        & (attention["position"] == "answer")
        & (attention["kind"] == "visual")
        & (attention["head"] != ALL)
    ]
    rows = rows.assign(value=100 * rows["share"], column=rows["head"].astype(str))
    return HeadMaps(
        f"Change of attention from the answer's position to the video (points; {CROSS})",
        "points",
        _by_skill(rows),
    )


def cost_maps(heads: pd.DataFrame, *, model: str) -> HeadMaps:
    """Cost of masking each compared head, in nats of margin; crossed as the verdict counts them.

    Args:
        heads: As `tables.lens_heads.head_frame` returns it.
        model: `vlm` or `merged`.
    """
    name = f"cost_{model}"
    rows = heads[heads[name].notna()]
    rows = rows.assign(
        value=rows[name], shown=heads_shown(rows, model), column=rows["head"].astype(str)
    )
    label = {"vlm": "VLM", "merged": "merged model"}[model]
    title = f"Cost of masking each head alone in the {label} (nats of margin; {CROSS_CORRECTED})"
    return HeadMaps(title, "nats", _by_skill(rows))


def direct_maps(direct: pd.DataFrame) -> HeadMaps:
    """What merging changes of each head's and MLP's direct part, in nats.

    Args:
        direct: As `tables.lens_direct.direct_frame` returns it.
    """
    rows = direct[(direct["model"] == CHANGE) & direct["part"].isin(["head", "mlp"])]
    column = rows["head"].where(rows["head"] != NONE).astype("Int64").astype(str)
    rows = rows.assign(value=rows["nats"], column=column.where(rows["part"] == "head", MLP_COLUMN))
    title = f"Change of each head's and MLP's direct part of the margin (nats; {CROSS})"
    return HeadMaps(title, "nats", _by_skill(rows), digits=2)


def change_maps(heads: pd.DataFrame) -> HeadMaps:
    """How much merging changed each compared head: its weights and its output, in percent."""
    first = heads[heads["skill"] == heads["skill"].iloc[0]] if len(heads) else heads
    first = first.assign(column=first["head"].astype(str), low=1.0, high=1.0)
    panels = []
    if first["share_all"].notna().any():
        rows = first.assign(value=100 * first["share_all"])
        panels.append(_panel(rows, "Weights of q, k, v and o", signed=False))
    for skill, mark in SKILL_MARKS.items():
        own = heads[(heads["skill"] == skill) & heads["output_change"].notna()]
        if len(own):
            rows = own.assign(
                value=100 * own["output_change"], column=own["head"].astype(str), low=1.0, high=1.0
            )
            panels.append(_panel(rows, f"Output, {mark.label}", signed=False))
    return HeadMaps(
        "How much merging changed each head (% of its norm in the VLM)",
        "%",
        tuple(panels),
        digits=0,
    )


def _by_skill(rows: pd.DataFrame) -> tuple[HeadMap, ...]:
    return tuple(
        _panel(rows[rows["skill"] == skill], mark.label)
        for skill, mark in SKILL_MARKS.items()
        if (rows["skill"] == skill).any()
    )


def _panel(rows: pd.DataFrame, title: str, *, signed: bool = True) -> HeadMap:
    layers = sorted({int(layer) for layer in rows["layer"]})
    columns = sorted(set(rows["column"]), key=lambda c: (c == MLP_COLUMN, len(c), c))
    if "shown" not in rows:
        rows = rows.assign(shown=(rows["low"] > 0) | (rows["high"] < 0))
    cells = {
        (int(layer), str(column)): (float(value), bool(shown))
        for layer, column, value, shown in rows[["layer", "column", "value", "shown"]].itertuples(
            index=False
        )
    }
    missing = (math.nan, True)
    found = [[cells.get((layer, column), missing) for column in columns] for layer in layers]
    return HeadMap(
        title,
        tuple(columns),
        tuple(layers),
        tuple(tuple(value for value, _ in row) for row in found),
        tuple(tuple(shown for _, shown in row) for row in found),
        signed,
    )


def draw_head_maps(data: HeadMaps) -> go.Figure:
    """Heads across, layers down, one panel after the other; a cross: the interval holds zero."""
    count = max(1, len(data.panels))
    figure = make_subplots(
        rows=1, cols=count, horizontal_spacing=0.07,
        subplot_titles=[panel.title for panel in data.panels] or None,
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": INK})
    values = [v for p in data.panels for row in p.values for v in row if not math.isnan(v)]
    most = max(map(abs, values), default=1.0) or 1.0
    for column, panel in enumerate(data.panels, start=1):
        _draw_panel(figure, data, panel, most, column)
    n_rows = max((len(panel.rows) for panel in data.panels), default=1)
    n_fields = max((len(panel.columns) for panel in data.panels), default=1)
    field = FIELD_PIXELS if n_fields <= MOST_NUMBERED else UNNUMBERED_PIXELS
    readable = 120 + count * max(170, 40 + field * n_fields)
    styled(figure, title=data.title, height=170 + ROW_PIXELS * n_rows, readable=readable)
    figure.update_xaxes(showgrid=False, type="category", title_text="Head")
    # the texts in the fields would widen the ranges
    figure.update_yaxes(range=[n_rows - 0.5, -0.5], showgrid=False, type="category")
    for column, panel in enumerate(data.panels, start=1):
        figure.update_xaxes(range=[-0.5, len(panel.columns) - 0.5], row=1, col=column)
    return figure.update_yaxes(title_text="Text layer", row=1, col=1)


def _draw_panel(
    figure: go.Figure, data: HeadMaps, panel: HeadMap, most: float, column: int
) -> None:
    numbered = len(panel.columns) <= MOST_NUMBERED
    scale = (
        signed_scale(most)
        if panel.signed
        else {"zmin": 0.0, "zmax": most, "colorscale": [list(stop) for stop in SEQUENTIAL]}
    )
    figure.add_heatmap(
        z=panel.values, x=list(panel.columns), y=[str(layer) for layer in panel.rows],
        xgap=2, ygap=2, showscale=column == 1, **scale,
        colorbar={"thickness": 10, "outlinewidth": 0,
                  "title": {"text": data.unit, "side": "top", "font": {"size": 12}}},
        customdata=[[panel.number(value, 3) for value in line] for line in panel.values],
        hovertemplate="layer %{y}, %{x}: %{customdata} " + data.unit + "<extra></extra>",
        row=1, col=column,
    )  # fmt: skip
    cells = [
        CellText(name, str(layer), text, panel.colour(value, most))
        for number, layer in enumerate(panel.rows)
        for name, value, text in zip(
            panel.columns, panel.values[number], _texts(panel, number, most, data.digits, numbered),
            strict=True,
        )
        if text
    ]  # fmt: skip
    write_cells(figure, cells, col=column)


def _texts(panel: HeadMap, row: int, most: float, digits: int, numbered: bool) -> Sequence[str]:
    """What stands in each field of a row.

    Without room for numbers, a minus tells what is below zero in grey print.
    """
    found = []
    for value, shown in zip(panel.values[row], panel.shown[row], strict=True):
        if math.isnan(value):
            found.append("")
        elif numbered:
            found.append(f"{panel.number(value, digits)}{'' if shown else ' ×'}")
        else:
            sign = MINUS if value < -0.08 * most else ""
            found.append(sign if shown else "×")
    return found
