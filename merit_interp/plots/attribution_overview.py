"""All items at once, their frames aligned on the evidence: does the mass gather there?

    figure = draw_attribution_overview(attribution_overview(run, "validation"))

Each row is an item, each column a distance from its first evidence frame; a cell is the share of
the item's absolute attribution, signed. One panel a model, one colour scale. This file must not
know how scores are computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from merit_interp.plots.cells import CellText, write_cells
from merit_interp.plots.signed_colours import minus_signs, signed_colour, signed_scale
from merit_interp.plots.style import INK, LEGEND_PIXELS, SKILL_MARKS, TITLE_PIXELS, plain, styled
from merit_interp.records import FrameAttribution
from merit_interp.tables.attribution_frames import VIDEO, AttributionRun
from merit_interp.tables.attribution_series import Series
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.number_text import number_text, signed_text

ROW_PIXELS = 8
LIMIT = 0.5
"""End of the colour scale: half of an item's attribution in one frame."""
END_TICKS = ("≤ −50%", "0", "≥ +50%")
"""Of the scale, whose ends stand for whatever lies beyond them too."""


@dataclass(frozen=True)
class OverviewRow:
    """One item under one model."""

    item: str
    skill: str
    group: str
    offsets: tuple[int, ...]
    """Of each unit from the first unit that holds evidence."""
    shares: tuple[float, ...]
    """Signed share of the item's absolute attribution, adding up to 1 without signs."""
    in_evidence: tuple[bool, ...]


@dataclass(frozen=True)
class OverviewPanel:
    """One model."""

    label: str
    rows: tuple[OverviewRow, ...]


@dataclass(frozen=True)
class AttributionOverview:
    """All models, with the same items in the same order."""

    item_set: str
    unit: str
    panels: tuple[OverviewPanel, ...]

    @property
    def offsets(self) -> range:
        """From the furthest before the evidence to the furthest after."""
        seen = [offset for panel in self.panels for row in panel.rows for offset in row.offsets]
        return range(min(seen, default=0), max(seen, default=0) + 1)

    def describe(self) -> str:
        """The figure in words."""
        parts = []
        for panel in self.panels:
            at = [
                sum(abs(s) for s, flag in zip(row.shares, row.in_evidence, strict=True) if flag)
                for row in panel.rows
            ]
            if at:
                mean = 100 * sum(at) / len(at)
                parts.append(
                    f"{panel.label}: {number_text(mean)}% on evidence over {len(at)} items"
                )
        return "Attribution aligned on the first evidence frame. " + "; ".join(parts) + "."


def attribution_overview(
    run: AttributionRun, item_set: str, models: Iterable[str] = (VLM, MERGED)
) -> AttributionOverview:
    """Items with evidence, reasoning first, those with early evidence first.

    Args:
        run: The run; its main method is shown.
        item_set: Name of the item set.
        models: Models of the panels; only items that all of them attribute are shown.
    """
    found: dict[str, dict[str, OverviewRow]] = {model: {} for model in models}
    unit = "frame"
    for record in run.records:
        row = _row(record)
        wanted = (record.item_set, record.condition, record.method) == (item_set, VIDEO, run.method)
        if wanted and record.model in found and row is not None:
            found[record.model][record.item] = row
            unit = record.unit
    shared = set.intersection(*(set(rows) for rows in found.values())) if found else set()
    panels = []
    for model, rows in found.items():
        chosen = [rows[item] for item in shared]
        chosen.sort(key=lambda row: (list(SKILL_MARKS).index(row.skill), row.offsets[0], row.item))
        panels.append(OverviewPanel(Series(model, VIDEO, run.method).label, tuple(chosen)))
    return AttributionOverview(item_set, unit.replace("_", " "), tuple(panels))


def _row(record: FrameAttribution) -> OverviewRow | None:
    """None where evidence or attribution is undefined."""
    total = sum(abs(score) for score in record.scores)
    if total == 0 or not any(record.in_evidence) or all(record.in_evidence):
        return None
    first = record.in_evidence.index(True)
    return OverviewRow(
        item=record.item,
        skill=record.skill,
        group=record.group,
        offsets=tuple(range(-first, len(record.scores) - first)),
        shares=tuple(score / total for score in record.scores),
        in_evidence=record.in_evidence,
    )


def draw_attribution_overview(data: AttributionOverview) -> go.Figure:
    """One heatmap a model, side by side; evidence cells are framed, a line divides the skills."""
    n_items = max((len(panel.rows) for panel in data.panels), default=0)
    figure = make_subplots(
        rows=1, cols=max(1, len(data.panels)), shared_yaxes=True, horizontal_spacing=0.03,
        subplot_titles=[f"<b>{plain(panel.label)}</b>" for panel in data.panels],
    )  # fmt: skip
    height = TITLE_PIXELS + LEGEND_PIXELS + max(160, ROW_PIXELS * n_items) + 60
    title = f"{data.item_set}: share of each item's attribution by {data.unit}, {n_items} items"
    styled(figure, title=title, height=height, readable=120 + 330 * len(data.panels))
    figure.update_annotations(font={"size": 13, "color": INK})
    for column, panel in enumerate(data.panels, start=1):
        _draw_panel(figure, data, panel, column)
    figure.update_yaxes(range=[n_items - 0.4, -0.6], showgrid=False, ticks="", showticklabels=False)
    first = next(iter(data.panels), None)
    if first is not None:
        _label_skills(figure, first)
    return figure


def _draw_panel(
    figure: go.Figure, data: AttributionOverview, panel: OverviewPanel, column: int
) -> None:
    offsets = data.offsets
    rows: list[list[float | None]] = []
    for row in panel.rows:
        shares = dict(zip(row.offsets, row.shares, strict=True))
        rows.append([shares.get(offset) for offset in offsets])
    at = {"row": 1, "col": column}
    places = [signed_text(float(offset), 0) for offset in offsets]
    figure.add_heatmap(
        z=rows, x=list(offsets), y=list(range(len(rows))), **signed_scale(LIMIT), xgap=1, ygap=1,
        showscale=column == 1,
        colorbar={
            "title": {"text": "signed share", "side": "right"}, "thickness": 10,
            "outlinewidth": 0, "tickvals": [-LIMIT, 0, LIMIT], "ticktext": END_TICKS,
        },
        customdata=[
            [f"{plain(row.item)}: {signed_text(100 * (share or 0.0))}% at {place}"
             for place, share in zip(places, shares, strict=True)]
            for row, shares in zip(panel.rows, rows, strict=True)
        ],
        hovertemplate="%{customdata}<extra></extra>", **at,
    )  # fmt: skip
    _write_minus_signs(figure, list(offsets), rows, column)
    marks = [
        (offset, number)
        for number, row in enumerate(panel.rows)
        for offset, flag in zip(row.offsets, row.in_evidence, strict=True)
        if flag
    ]
    figure.add_scatter(
        x=[offset for offset, _ in marks], y=[number for _, number in marks], mode="markers",
        marker={"symbol": "square-open", "size": ROW_PIXELS - 2, "color": INK,
                "line": {"width": 1.2}},
        name="Evidence", showlegend=column == 1, hoverinfo="skip", **at,
    )  # fmt: skip
    ticks = [offset for offset in offsets if not offset % (1 if len(offsets) <= 16 else 4)]
    numbers = [signed_text(float(tick), 0) for tick in ticks]
    figure.update_xaxes(
        title_text=plain(f"{data.unit.capitalize()}s from the first with evidence"),
        showgrid=False, tickvals=ticks, ticktext=numbers, **at,
    )  # fmt: skip


def _write_minus_signs(
    figure: go.Figure,
    offsets: Sequence[int],
    rows: Sequence[Sequence[float | None]],
    column: int,
) -> None:
    """What counts against the answer, for grey print."""
    cells = [
        CellText(offset, number, sign, signed_colour(share, LIMIT))
        for number, (signs, shares) in enumerate(zip(minus_signs(rows, LIMIT), rows, strict=True))
        for offset, sign, share in zip(offsets, signs, shares, strict=True)
        if sign and share is not None
    ]
    write_cells(figure, cells, size=8, col=column)


def _label_skills(figure: go.Figure, panel: OverviewPanel) -> None:
    skills = [row.skill for row in panel.rows]
    for skill in dict.fromkeys(skills):
        first, count = skills.index(skill), skills.count(skill)
        figure.add_annotation(
            x=-0.01, xref="paper", xanchor="right", y=first + (count - 1) / 2, yref="y",
            text=plain(SKILL_MARKS[skill].label), textangle=-90, showarrow=False,
        )  # fmt: skip
        if first:
            figure.add_hline(y=first - 0.5, line={"color": INK, "width": 1.5})
    figure.update_layout(margin_l=40)
