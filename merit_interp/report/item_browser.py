"""Every attributed item for the report's browser: frames, heatmap and answers as a plain table.

    for item in browsed_items(findings, "validation"): item.strip.question, item.rows

A table and not a figure, so that it reads with a screen reader and in print, and so that hundreds
of items do not make a page heavy. This file must not compute a score.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from merit_interp.plots.attribution_strip import AttributionStrip, attribution_strip
from merit_interp.plots.cells import readable_on
from merit_interp.plots.shown_text import isolated, shortened
from merit_interp.plots.signed_colours import signed_colour
from merit_interp.tables.attribution_examples import KINDS
from merit_interp.tables.attribution_frames import VIDEO
from merit_interp.tables.attribution_tables import AttributionFindings
from merit_interp.tables.number_text import signed_text

MOST_ITEMS = 200
"""Items of the browser; the records have all."""
LISTED_LETTERS = 70
"""Columns of a question in the list of items."""


@dataclass(frozen=True)
class BrowsedCell:
    """One unit's score under one model."""

    text: str
    """The score in nats, signed."""
    colour: str
    """Of the cell, on the item's own scale."""
    text_colour: str
    """Black or white, whichever stands out more from the cell's colour."""
    n_frames: int
    """Frames that share the score."""


@dataclass(frozen=True)
class BrowsedRow:
    """One model's scores on one item."""

    label: str
    answer: str
    """The option that it chose; empty for a mean over draws."""
    mark: str
    """Whether that is right."""
    cells: tuple[BrowsedCell, ...]


@dataclass(frozen=True)
class BrowsedItem:
    """One item as the browser shows it."""

    strip: AttributionStrip
    kind: str
    """One of `tables.attribution_examples.KINDS`, or empty."""
    rows: tuple[BrowsedRow, ...]

    @property
    def listed(self) -> str:
        """The question in the list, where markup has no place."""
        return isolated(shortened(self.strip.question, LISTED_LETTERS))

    @property
    def kind_in_words(self) -> str:
        """What merging did to the answer."""
        return KINDS.get(self.kind, "answer not known")

    @property
    def frames(self) -> tuple[tuple[str, str, bool], ...]:
        """(thumbnail, start in the video, whether it shows evidence) of each frame."""
        evidence = self.strip.in_evidence or (False,) * len(self.strip.thumbnails)
        starts = (f"{start:.2f} s" for start in self.strip.starts_s)
        return tuple(zip(self.strip.thumbnails, starts, evidence, strict=True))


def browsed_items(
    findings: AttributionFindings, item_set: str, *, most: int = MOST_ITEMS
) -> tuple[BrowsedItem, ...]:
    """The items of a set, what merging changed first, then in the order of the records.

    Args:
        findings: What was attributed.
        item_set: Name of the item set.
        most: Items to return.
    """
    frame = findings.frame
    main = frame["condition"].eq(VIDEO) & frame["method"].eq(findings.run.method)
    own = frame[main & frame["item_set"].eq(item_set) & frame["status"].eq("ok")]
    turned = dict(zip(own["item"], own["turned"], strict=True))
    order = sorted(turned, key=lambda item: _rank(turned[item]))
    return tuple(
        _browsed(attribution_strip(findings.run, item_set, item), turned[item])
        for item in order[:most]
    )


def _rank(kind: str) -> int:
    return list(KINDS).index(kind) if kind in KINDS else len(KINDS)


def _browsed(strip: AttributionStrip, kind: str) -> BrowsedItem:
    sizes = [len(list(frames)) for _, frames in itertools.groupby(strip.units)]
    rows = tuple(
        BrowsedRow(
            label=row.label,
            answer=row.chosen,
            mark="✓" if row.correct else "✗",
            cells=tuple(
                _cell(score, strip.limit, n_frames)
                for score, n_frames in zip(row.scores, sizes, strict=True)
            ),
        )
        for row in strip.rows
    )
    return BrowsedItem(strip, kind, rows)


def _cell(score: float, limit: float, n_frames: int) -> BrowsedCell:
    colour = signed_colour(score, limit)
    return BrowsedCell(signed_text(score, 2), colour, readable_on(colour), n_frames)
