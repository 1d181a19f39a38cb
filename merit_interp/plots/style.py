"""The one look of all figures: colours, symbols, dashes, fonts, margins.

    figure = styled(go.Figure(), title="Accuracy by model (%)", height=400)

Two skills differ in colour, in darkness, in symbol and in dash, so that a figure reads in grey
print and without colour vision. This file must not know what a figure shows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
INK = "#1a1a1a"
"""Text, and what matters most."""
GREY = "#6f6f6f"
"""What is there for comparison."""
FAINT = "#e3e3e3"
"""Grid lines."""


@dataclass(frozen=True)
class Mark:
    """How one kind of thing is drawn everywhere."""

    label: str
    colour: str
    symbol: str
    dash: str


# Okabe and Ito's blue and vermilion, the blue darkened so that the two differ in grey print
REASONING = Mark("Reasoning (TR)", "#004f80", "circle", "solid")
PERCEPTION = Mark("Perception (TP)", "#d55e00", "diamond-open", "dash")
OTHER = Mark("Other", GREY, "square-open", "dot")
SKILL_MARKS = {"reasoning": REASONING, "perception": PERCEPTION, "other": OTHER}

SEQUENTIAL = ((0.0, "#f0f0f0"), (1.0, REASONING.colour))
"""From nothing to all, for shares in [0, 1]."""

TITLE_PIXELS = 38
"""Height of a figure that its title takes."""
LEGEND_PIXELS = 34
"""Height that one row of the legend takes."""


READABLE = "readable_pixels"
"""Where a figure keeps the width below which it cannot be read: in `layout.meta`."""


def readable_pixels(figure: go.Figure) -> int:
    """Width below which a figure cannot be read; 0 where a phone's will do."""
    return int((figure.layout.meta or {}).get(READABLE, 0))


def plain(text: str) -> str:
    """A name as plotly shall print it: its letters, not its markup."""
    return html.escape(text, quote=False)


def skills_in_order(found: Iterable[str]) -> tuple[str, ...]:
    """The skills that were found, once each, in one order everywhere."""
    there = set(found)
    return tuple(skill for skill in SKILL_MARKS if skill in there)


def interval_bars(
    intervals: Sequence[tuple[float, float, float]], colour: str, *, scale: float = 1.0
) -> dict[str, object]:
    """Error bars of plotly, whose ends are distances; an undefined interval has none.

    Args:
        intervals: Estimate, lower and upper end of each mark; NaN where undefined.
        colour: Of the bars.
        scale: Units of the axis per unit of the intervals, as 100 where it counts percent.
    """
    return {
        "type": "data", "symmetric": False,
        "array": [_length(high - estimate, scale) for estimate, _, high in intervals],
        "arrayminus": [_length(estimate - low, scale) for estimate, low, _ in intervals],
        "color": colour, "thickness": 1.6, "width": 3,
    }  # fmt: skip


def _length(distance: float, scale: float) -> float:
    return 0.0 if math.isnan(distance) else scale * distance


def add_key(figure: go.Figure, name: str, *, mode: str = "markers", **look: object) -> None:
    """An entry of the legend that no trace has in its own colours, as panels differ in colour.

    Args:
        figure: Changed in place; its entries stand in the order of their traces.
        name: What the entry says; plain text.
        mode: Plotly's: markers, lines or both.
        look: `marker` and `line` of the entry.
    """
    figure.add_scatter(x=[None], y=[None], mode=mode, name=plain(name), hoverinfo="skip", **look)


def add_band_key(figure: go.Figure) -> None:
    """The entry of the bands behind the chosen layers."""
    marker = {"color": FAINT, "symbol": "square", "size": 12, "line": {"color": GREY, "width": 0.5}}
    add_key(figure, "Chosen layers", marker=marker)


def untitled(figure: go.Figure) -> go.Figure:
    """The same figure without its title, for a page that sets the title as its own text."""
    bare = go.Figure(figure)
    height = bare.layout.height - TITLE_PIXELS
    bare.update_layout(
        title=None, height=height, margin_t=bare.layout.margin.t - TITLE_PIXELS, legend_y=1
    )
    return bare


def styled(figure: go.Figure, *, title: str, height: int, readable: int = 0) -> go.Figure:
    """Give a figure the look.

    Args:
        figure: The figure, changed in place.
        title: What is shown, with units; plain text.
        height: In pixels; the width is the reader's.
        readable: Width in pixels below which texts would run into each other; a page that is
            narrower lets the figure scroll in its box. 0: as narrow as a phone.
    """
    figure.update_layout(
        template="none",
        title={
            "text": plain(title), "x": 0, "xanchor": "left", "xref": "container",
            "y": 1, "yanchor": "top", "yref": "container", "pad": {"t": 12, "l": 12},
            "font": {"size": 16, "color": INK},
        },
        font={"family": FONT, "size": 13, "color": INK},
        height=height,
        margin={"l": 12, "r": 16, "t": TITLE_PIXELS + LEGEND_PIXELS, "b": 12},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={
            "orientation": "h", "x": 0, "xanchor": "left", "xref": "container",
            "y": 1 - TITLE_PIXELS / height, "yanchor": "top", "yref": "container",
            "font": {"size": 12}, "itemclick": False, "itemdoubleclick": False,
            "tracegroupgap": 0,
        },
        hoverlabel={"bgcolor": "white", "bordercolor": GREY, "font": {"color": INK, "size": 12}},
        hovermode="closest",
        dragmode=False,
        meta={READABLE: readable} if readable else None,
    )  # fmt: skip
    axis = {
        "gridcolor": FAINT, "zeroline": False, "linecolor": GREY, "ticks": "outside",
        "tickcolor": GREY, "ticklen": 4, "automargin": True, "fixedrange": True,
        "title": {"standoff": 8, "font": {"size": 12}},
    }  # fmt: skip
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure
