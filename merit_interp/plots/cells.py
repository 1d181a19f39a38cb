"""Text in coloured cells: black or white, whichever stands out more from the cell's own colour.

    readable_on("#f6ab67")                      # "#000000"
    write_cells(figure, [CellText(0, 2, "−0.4", "#f6ab67")])

Contrast is WCAG 2's, (lighter + 0.05) / (darker + 0.05) of relative luminances. This file must not
know what a cell counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

BLACK, WHITE = "#000000", "#ffffff"
"""Of any colour one of the two is at least 4.58 away; the ink of other text only 4.17."""

Stops = Sequence[tuple[float, str]]
"""A colour scale of plotly: places from 0 to 1, each with its colour as `#rrggbb`."""


@dataclass(frozen=True)
class CellText:
    """What stands in one cell."""

    x: object
    y: object
    text: str
    background: str
    """The cell's colour, as `#rrggbb`."""


def scale_colour(stops: Stops, place: float) -> str:
    """The colour of a place on a scale, as plotly draws it: `#rrggbb`.

    Args:
        stops: The scale.
        place: From 0 to 1; what lies outside has the colour of the nearer end.
    """
    place = min(max(place, 0.0), 1.0)
    after = next(i for i, (stop, _) in enumerate(stops) if stop >= place and i > 0)
    (low, first), (high, second) = stops[after - 1], stops[after]
    share = (place - low) / (high - low)
    parts = zip(_rgb(first), _rgb(second), strict=True)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in parts)


def readable_on(background: str) -> str:
    """Black or white, whichever has the greater contrast to a colour.

    Args:
        background: The colour, as `#rrggbb`.
    """
    return max((BLACK, WHITE), key=lambda text: contrast(text, background))


def contrast(one: str, other: str) -> float:
    """WCAG's contrast of two colours, from 1 to 21.

    Args:
        one: A colour, as `#rrggbb`.
        other: Another.
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def write_cells(
    figure: go.Figure, cells: Sequence[CellText], *, size: int = 11, row: int = 1, col: int = 1
) -> None:
    """Write texts over a heatmap that is drawn already; it keeps its own hover.

    Args:
        figure: Made by `make_subplots`; changed in place.
        cells: The texts; empty ones are left out.
        size: Of the letters, in pixels.
        row: Of the panel, from 1.
        col: Of the panel, from 1.
    """
    for colour in (BLACK, WHITE):
        own = [c for c in cells if c.text and readable_on(c.background) == colour]
        if own:
            figure.add_scatter(
                x=[c.x for c in own], y=[c.y for c in own], text=[c.text for c in own],
                mode="text", textfont={"size": size, "color": colour}, hoverinfo="skip",
                showlegend=False, row=row, col=col,
            )  # fmt: skip


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))


def _luminance(colour: str) -> float:
    """Relative luminance in [0, 1]."""
    shares = (channel / 255 for channel in _rgb(colour))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
