"""TR and TP of every model on every item set as a table: accuracy, change, and their intervals.

    figure = draw_skills_table(skills_table(findings.summary))

This file must not know which of the models is the good one, but that changes are from the VLM.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from merit_interp.plots.style import (
    FAINT,
    GREY,
    INK,
    SKILL_MARKS,
    TITLE_PIXELS,
    plain,
    skills_in_order,
    styled,
)
from merit_interp.tables.model_names import MERGED, VLM, model_label
from merit_interp.tables.number_text import number_text, signed_text

ROW_PIXELS = 24
HEAD_PIXELS = 28
NO_BREAK = "\u00a0"
MARKED = "#e8eef3"
"""Behind the merged model's row, as in `skill_comparison`."""


@dataclass(frozen=True)
class SkillsRow:
    """One model on one item set."""

    item_set: str
    model: str
    cells: tuple[str, ...]
    """For each skill its accuracy and its change from the VLM, as text."""


@dataclass(frozen=True)
class SkillsTable:
    """All rows, item set by item set."""

    skills: tuple[str, ...]
    rows: tuple[SkillsRow, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """Names of the columns."""
        labels = [SKILL_MARKS[skill].label for skill in self.skills]
        pairs = [(f"{label}, %", "change, points") for label in labels]
        return ("Items", "Model", *(name for pair in pairs for name in pair))

    def describe(self) -> str:
        """The figure in words."""
        rows = (
            f"{row.item_set}, {model_label(row.model)}: "
            + "; ".join(f"{n} {c}" for n, c in zip(self.head[2:], row.cells, strict=True) if c)
            for row in self.rows
            if row.model in (VLM, MERGED)
        )
        return f"Accuracy and change with 95% intervals. {'. '.join(rows)}."


def skills_table(summary: pd.DataFrame) -> SkillsTable:
    """One row for each item set and model, in the order of the table.

    Args:
        summary: As `tables.skills.baseline_summary` returns it.
    """
    skills = skills_in_order(summary["skill"])
    rows = []
    for (item_set, model), part in summary.groupby(["item_set", "model"], sort=False):
        of_skill = {str(row["skill"]): row for _, row in part.iterrows()}
        cells: list[str] = []
        for skill in skills:
            row = of_skill.get(skill)
            cells += ("", "") if row is None else (_accuracy(row), _change(row))
        rows.append(SkillsRow(str(item_set), str(model), tuple(cells)))
    return SkillsTable(skills, tuple(rows))


def _accuracy(row: pd.Series) -> str:
    low, high = (number_text(100 * row[f"accuracy_{end}"]) for end in ("low", "high"))
    ends = f" [{low}, {high}]"
    return f"{number_text(100 * row['accuracy'])}{'' if math.isnan(row['accuracy_low']) else ends}"


def _change(row: pd.Series) -> str:
    if math.isnan(row["delta_accuracy"]):
        return ""
    low, high = (signed_text(100 * row[f"delta_accuracy_{end}"]) for end in ("low", "high"))
    ends = "" if math.isnan(row["delta_accuracy_low"]) else f" [{low}, {high}]"
    return f"{signed_text(100 * row['delta_accuracy'])}{ends}"


def draw_skills_table(data: SkillsTable) -> go.Figure:
    """One line a model, each item set named once, the merged model's rows shaded."""
    figure = go.Figure()
    shown = [row.item_set for row in data.rows]
    first = [number == 0 or name != shown[number - 1] for number, name in enumerate(shown)]
    columns = [
        [plain(n.replace("_", " ")) if f else "" for n, f in zip(shown, first, strict=True)],
        [plain(model_label(row.model)) for row in data.rows],
        *([row.cells[place] for row in data.rows] for place in range(2 * len(data.skills))),
    ]
    # a cell that breaks into two lines would push the table's end out of the picture
    columns = [[text.replace(" ", NO_BREAK) for text in column] for column in columns]
    fills = [MARKED if row.model == MERGED else "white" for row in data.rows]
    sides = ["left", "left", *["right"] * (2 * len(data.skills))]
    figure.add_table(
        columnwidth=[90, 150, *[145, 160] * len(data.skills)],
        header={
            "values": [f"<b>{plain(name)}</b>" for name in data.head], "align": sides,
            "fill": {"color": "white"}, "line": {"color": GREY, "width": 0}, "height": HEAD_PIXELS,
            "font": {"size": 11, "color": INK},
        },
        cells={
            "values": columns, "align": sides, "fill": {"color": [fills] * len(columns)},
            "line": {"color": FAINT, "width": 1}, "height": ROW_PIXELS,
            "font": {"size": 11, "color": INK},
        },
    )  # fmt: skip
    height = TITLE_PIXELS + HEAD_PIXELS + ROW_PIXELS * len(data.rows) + 16
    title = "Accuracy of each model and its change from the VLM, 95% intervals by video"
    styled(figure, title=title, height=height)
    return figure.update_layout(margin={"l": 12, "r": 12, "t": TITLE_PIXELS, "b": 4})
