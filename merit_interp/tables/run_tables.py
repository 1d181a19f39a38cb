"""A run's tables, as parquet and csv beside its records.

    for path in write_tables(Path("runs/demo")): print(path)

This file must not know what stands in a table.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from merit_interp.record_files import write_whole
from merit_interp.tables.answers import answer_tables
from merit_interp.tables.item_frames import item_scores, trial_frame
from merit_interp.tables.pair_consistency import pair_table
from merit_interp.tables.run_records import RunRecords, read_run, scoring_of
from merit_interp.tables.skills import baseline_summary, skill_table
from merit_interp.tables.video_controls import (
    BLACK,
    control_frame,
    video_control_table,
    visual_dependency,
)

TABLES = "tables"
"""Directory below the run's."""


def run_tables(run: RunRecords) -> dict[str, pd.DataFrame]:
    """The tables that a run's records fill, by name.

    `item_scores`, `skill_table` and `baseline_summary` where items were scored, `letter_prior`,
    `circular` and `answers_read` where they were answered so, `trials` where a search was made
    (both splits).

    `video_controls` and `visual_dependency` where videos were shown under controls,
    `pair_consistency` where items come in pairs.
    """
    tables: dict[str, pd.DataFrame] = {}
    if run.scores:
        scores = item_scores(run.scores)
        tables["item_scores"] = scores
        tables["skill_table"] = skill_table(scores)
        tables["baseline_summary"] = baseline_summary(scores)
        if run.control_scores:
            controls = video_control_table(scores, control_frame(run.control_scores))
            tables["video_controls"] = controls
            tables["visual_dependency"] = visual_dependency(controls)
        pairs = pair_table(run.scores)
        if len(pairs):
            tables["pair_consistency"] = pairs
        tables |= {name: table for name, table in tables_of_answers(run).items() if len(table)}
    if run.trials:
        tables["trials"] = trial_table(run)
    return tables


def trial_table(run: RunRecords) -> pd.DataFrame:
    """Every recipe that the run's search tried, on both splits; no rows where it made none."""
    chosen = run.recipe.merge_hash if run.recipe else None
    return trial_frame((*run.trials, *run.validation), chosen=chosen)


def tables_of_answers(
    run: RunRecords, *, models: Collection[str] | None = None
) -> dict[str, pd.DataFrame]:
    """How a run's models answered (`tables.answers`), also the tables that have no rows.

    Args:
        run: The run.
        models: Names of the only models to tabulate; all of them if not given.
    """
    scores = [score for score in run.scores if models is None or score.model in models]
    return answer_tables(scores, shown=scoring_of(run).answers != "option_text")


def tables_without_rows(run: RunRecords) -> set[str]:
    """Names of tables of answers, controls and pairs without rows, known without making them."""
    some = {
        "letter_prior": bool(run.scores) and scoring_of(run).answers != "option_text",
        "circular": any(score.rotations for score in run.scores),
        "answers_read": any(score.texts for score in run.scores),
        "video_controls": bool(run.control_scores),
        "visual_dependency": any(s.video_control == BLACK for s in run.control_scores),
        "pair_consistency": any(score.pair for score in run.scores),
    }
    return {name for name, rows in some.items() if not rows}


def write_tables(run_dir: Path) -> tuple[Path, ...]:
    """Write a run's tables into `RUN/tables/`, each as parquet and csv.

    Returns:
        The files written, in order.

    Raises:
        RunError: There is no such run, its records are damaged, or it cannot be written.
    """
    directory = Path(run_dir) / TABLES
    written: list[Path] = []
    for name, table in run_tables(read_run(run_dir)).items():
        written += write_table(table, directory, name)
    return tuple(written)


def write_table(table: pd.DataFrame, directory: Path, name: str) -> tuple[Path, Path]:
    """Write one table whole, as `name.parquet` and `name.csv`.

    Raises:
        RunError: It cannot be written.
    """
    parquet, csv = directory / f"{name}.parquet", directory / f"{name}.csv"
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    write_whole(parquet, content.getvalue())
    write_whole(csv, table.to_csv(index=False).encode())
    return parquet, csv
