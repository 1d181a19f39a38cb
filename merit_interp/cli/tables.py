"""What a run's tables look like on a terminal.

    print_skills(Path("runs/demo"), as_json=False)

This file must not compute a number; it shows those of `tables`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.model_names import model_label
from merit_interp.tables.run_records import RunRecords, read_run
from merit_interp.tables.skills import baseline_summary
from merit_interp.tables.verdict import judge, judged_item_set


def print_skills(run: Path, *, as_json: bool) -> None:
    """Verdict, accuracy of every model on every item set, and where the results are."""
    records = read_run(run)
    scores = item_scores(records.scores)
    summary = baseline_summary(scores)
    if as_json:
        print(summary.to_json(orient="records", indent=2))
        return
    console = Console()
    for item_set in dict.fromkeys(scores["item_set"]):
        console.print(_skills_of(summary[summary["item_set"] == item_set], item_set))
    console.print(verdict_of(records, scores), markup=False, highlight=False)
    print(f"results {run}")


def verdict_of(records: RunRecords, scores: pd.DataFrame) -> str:
    """The verdict on validation, or on the first item set, in words."""
    item_set = judged_item_set(scores)
    if item_set is None:
        return "No items were scored."
    identity = records.recipe is not None and records.recipe.is_identity
    return judge(scores, item_set, identity=identity).text


def _skills_of(summary: pd.DataFrame, item_set: str) -> Table:
    table = Table(title=f"{item_set}: accuracy in % and change in points, 95% intervals by video")
    table.add_column("model")
    skills = [s for s in ("reasoning", "perception", "other") if s in set(summary["skill"])]
    for skill in skills:
        n = summary.loc[summary["skill"] == skill, "n_items"].max()
        table.add_column(f"{skill} (n={n})", justify="right")
        table.add_column("change", justify="right")
    for model in dict.fromkeys(summary["model"]):
        cells: list[str] = []
        for skill in skills:
            rows = summary[(summary["model"] == model) & (summary["skill"] == skill)]
            cells += _cells(rows.iloc[0]) if len(rows) else ["-", "-"]
        table.add_row(model_label(str(model)), *cells)
    return table


def _cells(row: pd.Series) -> list[str]:
    accuracy = _percent(row, "accuracy", "{:.1f} [{:.1f}, {:.1f}]")
    if pd.isna(row["delta_accuracy"]):
        return [accuracy, ""]
    return [accuracy, _percent(row, "delta_accuracy", "{:+.1f} [{:+.1f}, {:+.1f}]")]


def _percent(row: pd.Series, name: str, pattern: str) -> str:
    return pattern.format(*(100 * row[f"{name}{end}"] for end in ("", "_low", "_high")))
