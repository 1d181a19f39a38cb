"""One item as a reader sees it: its frames, and under them how much each decides, one row a model.

    strip = attribution_strip(run, "validation", "search-0003-2-after")
    figure = draw_attribution_strip(strip)

Scores are signed, on one colour scale for all rows, symmetric about zero; each cell carries its
number, so that the sign reads in grey print too. This file must not know how scores are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from merit_interp.plots.cells import readable_on
from merit_interp.plots.shown_text import isolated, shortened, undirected, wrapped
from merit_interp.plots.signed_colours import signed_colour, signed_scale
from merit_interp.plots.style import GREY, INK, TITLE_PIXELS, plain, styled
from merit_interp.records import AttributedItem, FrameAttribution
from merit_interp.tables.attribution_frames import VIDEO, AttributionRun
from merit_interp.tables.attribution_series import MASKED, METHOD_LABELS, Series, model_kind
from merit_interp.tables.model_names import MERGED, RANDOM_LAYERS, VLM
from merit_interp.tables.number_text import signed_text

ROWS = (VLM, MERGED, RANDOM_LAYERS, MASKED)
"""Models of a strip, top to bottom; those that the run has."""
FRAMES_PIXELS, ROW_PIXELS, BELOW_PIXELS, LINE_PIXELS = 104, 34, 64, 17
FRAME_PIXELS = 64
"""Width that a frame needs, so that its numbers do not run into the next one's."""
LINE_LETTERS = 96
"""Columns of a line of text above a figure."""
MOST_NUMBERS = 12
"""With more frames a cell has no room for its number."""


@dataclass(frozen=True)
class StripRow:
    """One model's scores on one item."""

    label: str
    chosen: str
    """The option that it chose, without marks of direction; empty for a mean over draws."""
    correct: bool
    scores: tuple[float, ...]
    """Of each unit, in nats."""


@dataclass(frozen=True)
class AttributionStrip:
    """What the figure of one item shows."""

    item: str
    skill: str
    question: str
    """Without marks of direction and control characters, as are the options."""
    options: tuple[str, ...]
    answer: int
    """Which of the options is right."""
    rows: tuple[StripRow, ...]
    thumbnails: tuple[str, ...]
    """Each frame as a data URI."""
    starts_s: tuple[float, ...]
    units: tuple[int, ...]
    """Unit of each frame; two frames of one temporal patch share theirs."""
    in_evidence: tuple[bool, ...]
    """Whether each frame shows evidence; empty where the item names none."""
    method: str
    baseline: str

    @property
    def limit(self) -> float:
        """Greatest absolute score of any row: the end of the common colour scale."""
        return max((abs(score) for row in self.rows for score in row.scores), default=0.0)

    @property
    def lines(self) -> tuple[str, str]:
        """The options with the right one marked, and each model's answer."""
        options = " / ".join(
            f"{isolated(option)} (right)" if place == self.answer else isolated(option)
            for place, option in enumerate(self.options)
        )
        answers = ", ".join(
            f"{row.label}: {isolated(row.chosen)} {'✓' if row.correct else '✗'}"
            for row in self.rows
            if row.chosen
        )
        return f"Options: {options}", answers

    def describe(self) -> str:
        """The figure in words."""
        shown = [str(i + 1) for i, flag in enumerate(self.in_evidence) if flag]
        where = f"evidence in frame {', '.join(shown)}" if shown else "no evidence named"
        rows = "; ".join(
            f"{row.label}: " + ", ".join(signed_text(score, 2) for score in row.scores)
            for row in self.rows
        )
        asked = f"{isolated(self.question)} {'. '.join(self.lines)}."
        return f"{asked} {len(self.thumbnails)} frames, {where}. Nats by frame: {rows}."


def attribution_strip(run: AttributionRun, item_set: str, item: str) -> AttributionStrip:
    """The strip of one item under the run's main method.

    Args:
        run: The run.
        item_set: Name of the item set.
        item: The item's id.

    Raises:
        KeyError: The run has no such item.
    """
    picture = next(p for p in run.items if (p.item_set, p.item) == (item_set, item))
    found: dict[str, list[FrameAttribution]] = {}
    for record in run.records:
        wanted = (item_set, item, VIDEO, run.method)
        is_wanted = (record.item_set, record.item, record.condition, record.method) == wanted
        if is_wanted and record.status == "ok":
            found.setdefault(model_kind(record.model), []).append(record)
    return AttributionStrip(
        item=item,
        skill=picture.skill,
        question=undirected(picture.question),
        options=tuple(undirected(option) for option in picture.options),
        answer=picture.answer,
        rows=_rows(found, picture, run.method),
        thumbnails=picture.thumbnails,
        starts_s=picture.starts_s,
        units=picture.units,
        in_evidence=picture.in_evidence,
        method=METHOD_LABELS.get(run.method, run.method),
        baseline=run.records[0].baseline,
    )


def _rows(
    found: Mapping[str, Sequence[FrameAttribution]], picture: AttributedItem, method: str
) -> tuple[StripRow, ...]:
    rows = []
    for model in ROWS:
        records = found.get(model, ())
        if not records:
            continue
        chosen = records[0].chosen if len(records) == 1 else None
        scores = np.mean([record.scores for record in records], axis=0)
        rows.append(
            StripRow(
                label=Series(model, VIDEO, method).label,
                chosen="" if chosen is None else undirected(picture.options[chosen]),
                correct=chosen == picture.answer,
                scores=tuple(float(score) for score in scores),
            )
        )
    return tuple(rows)


def draw_attribution_strip(strip: AttributionStrip) -> go.Figure:
    """Frames over a heatmap; the evidence is framed from the pictures down to the last row."""
    n_frames, n_rows = len(strip.thumbnails), len(strip.rows)
    cells = [[row.scores[unit] for unit in strip.units] for row in strip.rows]
    figure = go.Figure()
    ends = [-strip.limit, 0.0, strip.limit]
    figure.add_heatmap(
        z=cells, x=list(range(n_frames)), y=list(range(n_rows)),
        xgap=1.5, ygap=1.5, **signed_scale(strip.limit),
        colorbar={
            "title": {"text": "nats", "side": "right"}, "thickness": 10, "outlinewidth": 0,
            "tickvals": ends,
            "ticktext": [_signed(end, strip.limit) if end else "0" for end in ends],
        },
        customdata=[
            [f"{plain(row.label)}, frame {frame + 1}: {signed_text(score, 3)}"
             for frame, score in enumerate(scores)]
            for row, scores in zip(strip.rows, cells, strict=True)
        ],
        hovertemplate="%{customdata} nats<extra></extra>",
    )  # fmt: skip
    above = [line for text in strip.lines for line in wrapped(text, LINE_LETTERS)]
    top = TITLE_PIXELS + LINE_PIXELS * len(above)
    height = top + FRAMES_PIXELS + ROW_PIXELS * n_rows + BELOW_PIXELS
    title = isolated(shortened(strip.question, LINE_LETTERS))
    # beside the frames the rows' names and the scale
    readable = 240 + FRAME_PIXELS * min(n_frames, MOST_NUMBERS)
    styled(figure, title=title, height=height, readable=readable)
    figure.update_layout(margin_t=top, margin_b=BELOW_PIXELS - 6)
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", align="left",
        text="<br>".join(plain(line) for line in above), showarrow=False, font={"size": 12},
    )  # fmt: skip
    # pictures lie above row 0, in rows of the same axis
    rows_of_pictures = FRAMES_PIXELS / ROW_PIXELS
    figure.update_yaxes(
        tickvals=list(range(n_rows)), ticktext=[f"<b>{plain(r.label)}</b>" for r in strip.rows],
        range=[n_rows - 0.4, -0.5 - rows_of_pictures], showgrid=False, ticks="", linewidth=0,
    )  # fmt: skip
    figure.update_xaxes(
        tickvals=list(range(n_frames)), range=[-0.6, n_frames - 0.4], showgrid=False, ticks="",
        ticktext=[f"{i + 1}<br>{start:.2f} s" for i, start in enumerate(strip.starts_s)],
        title_text=plain(f"Frame ({strip.method}, baseline {strip.baseline})"),
    )  # fmt: skip
    for frame, uri in enumerate(strip.thumbnails):
        figure.add_layout_image(
            source=uri, x=frame, y=-0.5 - 0.05 * rows_of_pictures, xref="x", yref="y",
            xanchor="center", yanchor="bottom", sizex=0.94, sizey=0.76 * rows_of_pictures,
            sizing="contain", layer="above",
        )  # fmt: skip
    if n_frames <= MOST_NUMBERS:
        _write_numbers(figure, strip, cells)
    _mark_evidence(figure, strip, rows_of_pictures)
    return figure


def _write_numbers(
    figure: go.Figure, strip: AttributionStrip, cells: Sequence[Sequence[float]]
) -> None:
    for row, scores in enumerate(cells):
        for frame, score in enumerate(scores):
            colour = readable_on(signed_colour(score, strip.limit))
            figure.add_annotation(
                x=frame, y=row, text=_signed(score, strip.limit), showarrow=False,
                font={"size": 11, "color": colour},
            )  # fmt: skip


def _signed(score: float, limit: float) -> str:
    """With as many digits as the scale of the figure needs."""
    return signed_text(score, 1 if limit >= 10 else 2)


def _mark_evidence(figure: go.Figure, strip: AttributionStrip, above: float) -> None:
    """A frame around each run of evidence frames, with its name."""
    for first, last in _runs(strip.in_evidence):
        figure.add_shape(
            type="rect", x0=first - 0.49, x1=last + 0.49, y0=-0.5 - above * 0.98,
            y1=len(strip.rows) - 0.45, line={"color": INK, "width": 2.5}, layer="above",
        )  # fmt: skip
        figure.add_annotation(
            x=(first + last) / 2, y=-0.5 - above * 0.98, yanchor="top", yshift=1, showarrow=False,
            text="evidence", font={"size": 10, "color": INK},
        )  # fmt: skip
    if strip.units and strip.units[-1] + 1 < len(strip.units):
        figure.add_annotation(
            x=1, y=0, xref="paper", yref="paper", xanchor="right", yanchor="bottom",
            text="two frames share a temporal patch", showarrow=False, font={"color": GREY},
        )  # fmt: skip


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    runs: list[tuple[int, int]] = []
    for place, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        elif flag:
            runs.append((place, place))
    return runs
