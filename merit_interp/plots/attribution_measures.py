"""Whether merging moves attribution to the evidence, by every measure through every method.

    figure = draw_attribution_measures(attribution_measures(shift, "validation", method="ig"))

A filled mark is shown after correction for the number of rows, a hollow one is not. This file must
not know how scores are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.row_texts import ROW_PIXELS, mark_place, place_row_texts
from merit_interp.plots.style import (
    GREY,
    LEGEND_PIXELS,
    SKILL_MARKS,
    TITLE_PIXELS,
    interval_bars,
    plain,
    styled,
)
from merit_interp.tables.attribution_measures import MeasuredShift, measured_shifts

GAP_PIXELS = 64
"""Between the two panels: the axis of the upper one, and its title."""
SYMBOLS = {"reasoning": "circle", "perception": "diamond", "other": "square"}


@dataclass(frozen=True)
class AttributionMeasures:
    """Merged against VLM on one item set."""

    item_set: str
    by_skill: tuple[tuple[str, tuple[MeasuredShift, ...]], ...]
    """Skills, each with its shifts; the run's main one is the first."""

    def rows(self, *, in_nats: bool) -> tuple[str, ...]:
        """Texts of one unit's rows from top to bottom, once each."""
        shifts = (shift for _, shifts in self.by_skill for shift in shifts)
        return tuple(dict.fromkeys(row_text(s) for s in shifts if s.in_nats == in_nats))

    def describe(self) -> str:
        """The figure in words."""
        parts = []
        for skill, shifts in self.by_skill:
            named = "; ".join(f"{s.label} {s.text}" for s in shifts if s.side)
            parts.append(
                f"{SKILL_MARKS[skill].label}: shown for {sum(bool(s.side) for s in shifts)} of "
                f"{len(shifts)}{': ' if named else ''}{named}"
            )
        return f"Merged less VLM by measure and method. {'. '.join(parts)}."


def row_text(shift: MeasuredShift) -> str:
    """A row's text; the main one says that it is."""
    text = shift.label[0].upper() + shift.label[1:]
    return f"{text} (the main one)" if shift.is_headline else text


def attribution_measures(shift: pd.DataFrame, item_set: str, *, method: str) -> AttributionMeasures:
    """Every measure and method of one item set.

    Args:
        shift: As `shift_table` returns it.
        item_set: Name of the item set.
        method: The run's main method.
    """
    found = {skill: measured_shifts(shift, item_set, skill, method=method) for skill in SKILL_MARKS}
    return AttributionMeasures(
        item_set, tuple((skill, shifts) for skill, shifts in found.items() if shifts)
    )


def draw_attribution_measures(data: AttributionMeasures) -> go.Figure:
    """One row a measure and method, shares above and nats below, a mark for each skill."""
    units = [in_nats for in_nats in (False, True) if data.rows(in_nats=in_nats)]
    counts = [len(data.rows(in_nats=in_nats)) for in_nats in units]
    plot = ROW_PIXELS * sum(counts) + GAP_PIXELS * (len(units) - 1)
    figure = make_subplots(
        rows=max(1, len(units)), cols=1, row_heights=counts or None,
        vertical_spacing=GAP_PIXELS / plot if len(units) > 1 else 0,
    )  # fmt: skip
    height = TITLE_PIXELS + 2 * LEGEND_PIXELS + plot + 60
    title = f"{data.item_set}: merged − VLM, every method and measure"
    styled(figure, title=title, height=height)
    # on a phone the legend takes two rows
    figure.update_layout(margin_t=TITLE_PIXELS + 2 * LEGEND_PIXELS)
    _add_legend(figure, [skill for skill, _ in data.by_skill])
    for number, in_nats in enumerate(units, start=1):
        _draw_unit(figure, data, in_nats, number)
    return figure


def _draw_unit(figure: go.Figure, data: AttributionMeasures, in_nats: bool, number: int) -> None:
    rows = data.rows(in_nats=in_nats)
    scale = 1.0 if in_nats else 100.0
    at = {"row": number, "col": 1}
    for order, (skill, shifts) in enumerate(data.by_skill):
        own = [shift for shift in shifts if shift.in_nats == in_nats]
        mark = SKILL_MARKS[skill]
        figure.add_scatter(
            x=[scale * s.difference for s in own],
            y=[mark_place(rows.index(row_text(s)), order=order, count=len(data.by_skill))
               for s in own],
            mode="markers", showlegend=False,
            marker={"color": [mark.colour if s.side else "white" for s in own],
                    "symbol": SYMBOLS[skill], "size": 9,
                    "line": {"width": 2, "color": mark.colour}},
            error_x=interval_bars([(s.difference, s.low, s.high) for s in own], mark.colour,
                                  scale=scale),
            text=[plain(_hover(s)) for s in own], hovertemplate="%{text}<extra></extra>", **at,
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5, "dash": "dot"}, layer="below", **at)
    place_row_texts(figure, rows, row=number, col=1)
    unit = "Nats" if in_nats else "Points"
    figure.update_xaxes(title_text=f"{unit}, 95% by video; right: to the evidence", **at)


def _add_legend(figure: go.Figure, skills: Sequence[str]) -> None:
    """An entry a skill, and what a hollow mark says; those of the rows may be of either kind."""
    entries = [
        (SKILL_MARKS[s].label, SYMBOLS[s], SKILL_MARKS[s].colour, SKILL_MARKS[s].colour)
        for s in skills
    ]
    for name, symbol, inside, line in (*entries, ("hollow: not shown", "circle", "white", GREY)):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=name,
            marker={"symbol": symbol, "size": 9, "color": inside,
                    "line": {"width": 2, "color": line}},
            row=1, col=1,
        )  # fmt: skip


def _hover(shift: MeasuredShift) -> str:
    return f"{shift.label}: {shift.text}, {shift.n_items} items, p = {shift.p_holm:.2g} (Holm)"
