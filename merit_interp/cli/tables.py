"""What a run's tables look like on a terminal.

    print_skills(Path("runs/demo"), as_json=False)

This file must not compute a number; it shows those of `tables`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.model_names import MERGED, VLM, is_random_draw, model_label
from merit_interp.tables.run_records import read_run
from merit_interp.tables.skills import SKILLS, baseline_summary
from merit_interp.tables.verdict import judge, judged_item_set

ABBREVIATIONS = {"reasoning": "TR", "perception": "TP"}


def print_skills(run: Path, *, as_json: bool) -> None:
    """VLM against merged model on every item set, the baselines, and the verdict in words."""
    records = read_run(run)
    scores = item_scores(records.scores)
    summary = baseline_summary(scores)
    if as_json:
        print(summary.to_json(orient="records", indent=2))
        return
    console = Console()
    console.print(_before_and_after(summary))
    identity = records.recipe is not None and records.recipe.is_identity
    judged = judged_item_set(scores)
    if judged is not None:
        console.print(_baselines(summary[summary["item_set"] == judged], judged))
        print(judge(scores, judged, identity=identity).text)
    for item_set in dict.fromkeys(scores["item_set"]):
        if item_set != judged and not identity:
            print(f"On {item_set}: {judge(scores, item_set).headline}")
    print(f"every model on every set, with intervals: {run / 'tables' / 'baseline_summary.csv'}")


def _before_and_after(summary: pd.DataFrame) -> Table:
    table = Table(title="Accuracy in %, change in points; 95% intervals clustered by video")
    for name in ("items", "skill", "n", "VLM", "merged", "change"):
        table.add_column(name, justify="left" if name in ("items", "skill") else "right")
    rows = {(r["item_set"], r["skill"], r["model"]): r for r in summary.to_dict("records")}
    for (item_set, skill, model), merged in rows.items():
        vlm = rows.get((item_set, skill, VLM))
        if model != MERGED or vlm is None:
            continue
        table.add_row(
            item_set,
            ABBREVIATIONS.get(skill, skill),
            str(merged["n_items"]),
            f"{100 * vlm['accuracy']:.1f}",
            f"{100 * merged['accuracy']:.1f}",
            _change(merged),
        )
    return table


def _baselines(summary: pd.DataFrame, item_set: str) -> Table:
    table = Table(title=f"Change against the VLM on {item_set}, in points")
    table.add_column("model")
    rows = {(r["model"], r["skill"]): r for r in summary.to_dict("records")}
    skills = [skill for skill in SKILLS if skill in set(summary["skill"])]
    for skill in skills:
        table.add_column(ABBREVIATIONS.get(skill, skill), justify="right")
    for model in dict.fromkeys(model for model, _ in rows):
        if model == VLM or is_random_draw(model):
            continue
        cells = (_change(rows[model, s]) if (model, s) in rows else "-" for s in skills)
        table.add_row(model_label(model), *cells)
    return table


def _change(row: Mapping[Any, Any]) -> str:
    ends = ("", "_low", "_high")
    estimate, low, high = (100 * row[f"delta_accuracy{end}"] for end in ends)
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]"
