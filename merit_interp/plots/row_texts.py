"""Rows whose texts stand above their marks, so that a phone keeps its width for the marks.

    place_row_texts(figure, ["Mass by leave one out"], row=1, col=1)
    figure.add_scatter(x=[7.5], y=[mark_place(0, order=1, count=2)])

This file must not know what a row is.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from merit_interp.plots.style import plain

ROW_PIXELS = 38
"""Height of a row: its text above, its marks below."""
_TEXT, _MARKS = -0.32, 0.18
"""Where a row's text stands, and the middle of its marks, in rows from the row's place."""
_APART = 0.24
"""Distance of two marks, in rows."""


def mark_place(place: int, *, order: int, count: int) -> float:
    """Where a mark stands on the axis of rows.

    Args:
        place: Of its row, counted from 0 at the top.
        order: Of the mark in its row.
        count: Marks that a row has.
    """
    return place + _MARKS + _APART * (order - (count - 1) / 2)


def place_row_texts(figure: go.Figure, rows: Sequence[str], *, row: int, col: int) -> None:
    """Write each row's text above its marks, in place of labels beside the axis.

    Args:
        figure: Of `make_subplots`, changed in place.
        rows: Texts from top to bottom.
        row: Of the panel.
        col: Of the panel.
    """
    for place, text in enumerate(rows):
        figure.add_annotation(
            x=0, xref="x domain", xanchor="left", y=place + _TEXT, yanchor="middle",
            text=plain(text), showarrow=False, font={"size": 12}, bgcolor="white", borderpad=1,
            row=row, col=col,
        )  # fmt: skip
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.6], showgrid=False, showticklabels=False, ticks="",
        row=row, col=col,
    )  # fmt: skip
