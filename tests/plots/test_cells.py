"""Text in cells can be read over the whole of every scale that cells are coloured with."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from merit_interp.plots.cells import (
    BLACK,
    WHITE,
    CellText,
    Stops,
    contrast,
    readable_on,
    scale_colour,
    write_cells,
)
from merit_interp.plots.signed_colours import SIGNED, signed_colour
from merit_interp.plots.style import SEQUENTIAL

LEAST = 4.5
"""WCAG's AA for text of this size."""


def test_contrast_is_wcags() -> None:
    assert contrast(BLACK, WHITE) == contrast(WHITE, BLACK) == 21
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)  # WCAG's own near miss
    assert contrast("#c0ffee", "#c0ffee") == 1


@pytest.mark.parametrize("stops", [SIGNED, SEQUENTIAL])
def test_every_place_of_a_scale_is_readable(stops: Stops) -> None:
    colours = [scale_colour(stops, place / 400) for place in range(401)]
    assert min(contrast(readable_on(colour), colour) for colour in colours) >= LEAST
    # both are used, and each change of tone changes the letters once
    chosen = [readable_on(colour) for colour in colours]
    assert {BLACK, WHITE} == set(chosen)
    changes = sum(a != b for a, b in itertools.pairwise(chosen))
    assert changes == (2 if stops is SIGNED else 1)


def test_a_light_orange_cell_has_dark_letters() -> None:
    # white on this one was 1.92:1
    assert readable_on("#f6ab67") == BLACK
    assert readable_on(signed_colour(-1.0, 1.0)) == WHITE
    assert readable_on(signed_colour(1.0, 1.0)) == WHITE


def test_texts_are_written_in_the_colour_of_their_cell() -> None:
    figure = make_subplots(rows=1, cols=2)
    assert isinstance(figure, go.Figure)
    cells = [CellText(0, 1, "a", WHITE), CellText(1, 1, "b", BLACK), CellText(2, 1, "", BLACK)]
    write_cells(figure, cells, col=2)
    drawn = {(trace.text, trace.textfont.color, trace.xaxis) for trace in figure.data}
    assert drawn == {(("a",), BLACK, "x2"), (("b",), WHITE, "x2")}
