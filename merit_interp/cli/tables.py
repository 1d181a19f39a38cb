"""What a run's tables look like on a terminal.

    print_skills(Path("runs/demo"), as_json=False)

This file must not compute a number; it shows those of `tables`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from merit_interp.tables.control_verdict import control_lines
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.model_names import MERGED, VLM, is_random_draw, model_label
from merit_interp.tables.number_text import MISSING, number_text
from merit_interp.tables.pair_consistency import pair_table
from merit_interp.tables.run_records import RunRecords, read_run
from merit_interp.tables.skills import ALL, SKILLS, baseline_summary
from merit_interp.tables.verdict import judge_sets, judged_item_set
from merit_interp.tables.video_controls import BLACK, control_frame, video_control_table

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
    verdicts = judge_sets(scores, identity=identity)
    if verdicts:
        judged = verdicts[0].item_set
        console.print(_baselines(summary[summary["item_set"] == judged], judged))
        print(verdicts[0].text)
    for verdict in verdicts[1:]:
        if not identity:
            print(f"On {verdict.item_set}: {verdict.headline}")
    print_controls(console, records, scores)
    print_pairs(console, records)
    print(f"every model on every set, with intervals: {run / 'tables' / 'baseline_summary.csv'}")


def print_controls(console: Console, records: RunRecords, scores: pd.DataFrame) -> None:
    """Accuracy under each video control, and what it says; nothing where there were none.

    The judged item set whole, of the others whether the model needs the video.
    """
    frame = control_frame(records.control_scores)
    if frame.empty:
        return
    controls = video_control_table(scores, frame)
    judged = judged_item_set(scores)
    for item_set in dict.fromkeys(controls["item_set"]):
        if item_set == judged:
            rows = controls[(controls["category"] == ALL) & (controls["item_set"] == item_set)]
            if not rows["n_items"].any():
                print(f"Video controls on {item_set}: no question could be scored")
                continue
            console.print(_under_controls(rows, item_set))
            print("\n".join(control_lines(controls, frame, item_set)))
            continue
        table, items = (part[part["video_control"] == BLACK] for part in (controls, frame))
        for line in control_lines(table, items, item_set):
            print(f"On {item_set}: {line}")


def _under_controls(controls: pd.DataFrame, item_set: str) -> Table:
    table = Table(title=f"Video controls on {item_set}: accuracy in %, drop in points")
    table.add_column("control", max_width=9)
    table.add_column("skill")
    table.add_column("model", no_wrap=True)
    for name in ("n", "video", "under", "drop"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in controls.to_dict("records"):
        shown = (_percent(row[name]) for name in ("video_accuracy", "accuracy"))
        skill = ABBREVIATIONS.get(row["skill"], row["skill"])
        names = (row["video_control"].replace("_", " "), skill, model_label(row["model"]))
        if row["n_items"]:
            table.add_row(*names, str(row["n_items"]), *shown, _points(row, "drop"))
    return table


def print_pairs(console: Console, records: RunRecords) -> None:
    """The share of pairs with every answer right; nothing where items come in no pairs."""
    pairs = pair_table(s for s in records.scores if s.model in (VLM, MERGED))
    for item_set in dict.fromkeys(pairs["item_set"]):
        rows = pairs[pairs["item_set"] == item_set]
        console.print(_pairs(rows, item_set))
        left_out = rows[["n_incomplete", "n_failed"]].sum(axis=1).max()
        if left_out:
            print(f"up to {left_out} pairs lack a question or have one that failed: left out")


def _pairs(pairs: pd.DataFrame, item_set: str) -> Table:
    table = Table(title=f"Pairs of {item_set} with every answer right, in %; change in points")
    for name in ("skill", "score", "model"):
        table.add_column(name)
    for name in ("pairs", "chance", "right", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in pairs.to_dict("records"):
        skill = ABBREVIATIONS.get(row["skill"], row["skill"])
        names = (skill, row["score"], model_label(row["model"]), str(row["n_pairs"]))
        shown = (_percent(row[name]) for name in ("chance", "consistency"))
        table.add_row(
            *names, *shown, _points(row, "delta_consistency") if row["n_compared"] else "-"
        )
    return table


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
            _percent(vlm["accuracy"]),
            _percent(merged["accuracy"]),
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
    return _points(row, "delta_accuracy")


def _points(row: Mapping[Any, Any], name: str) -> str:
    estimate, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if math.isnan(estimate):
        return MISSING  # not one item of it could be scored
    if math.isnan(low):
        return f"{estimate:+.1f} [{MISSING}]"  # too few videos
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]"


def _percent(share: float) -> str:
    return number_text(100 * share)
