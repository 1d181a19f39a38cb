from __future__ import annotations

import pytest
from plotly.subplots import make_subplots

from merit_interp.plots.row_texts import mark_place, place_row_texts


def test_marks_lie_below_their_text_and_above_the_next() -> None:
    figure = make_subplots(rows=1, cols=1)
    figure.add_scatter(x=[1, 2], y=[0, 1])
    place_row_texts(figure, ["<b>first</b>", "second"], row=1, col=1)
    first, second = figure.layout.annotations
    assert (first.text, second.text) == ("&lt;b&gt;first&lt;/b&gt;", "second")
    marks = [mark_place(0, order=order, count=3) for order in range(3)]
    assert first.y < marks[0] < marks[1] < marks[2] < second.y
    assert marks[1] == pytest.approx(mark_place(0, order=0, count=1))
    bottom, top = figure.layout.yaxis.range
    assert top < first.y
    assert mark_place(1, order=2, count=3) < bottom
    assert not figure.layout.yaxis.showticklabels
