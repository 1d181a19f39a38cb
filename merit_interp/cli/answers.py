"""How answers are asked for on the command line, and what is printed of how they came.

    scoring = asked_scoring(recipe, answers="generated", circular=True)
    print_answers(run)

This file must not compute a number; it shows those of `tables.answers`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from merit_interp.cli.tables import ABBREVIATIONS
from merit_interp.errors import SettingError
from merit_interp.recipe import Recipe
from merit_interp.scoring_settings import Scoring, changed_scoring, without_orders
from merit_interp.tables.answers import notable_letters, unread_lines
from merit_interp.tables.model_names import MERGED, VLM
from merit_interp.tables.run_records import read_run
from merit_interp.tables.run_tables import tables_of_answers


def asked_scoring(
    recipe: Recipe,
    *,
    answers: str | None = None,
    circular: bool | None = None,
    max_new_tokens: int | None = None,
) -> Scoring:
    """The recipe's scoring, with what the command line says otherwise.

    Raises:
        SettingError: Options contradict each other.
    """
    own = recipe.items.scoring if recipe.items else Scoring()
    scoring = changed_scoring(
        own, answers=answers, circular=circular, max_new_tokens=max_new_tokens
    )
    if max_new_tokens is not None and scoring.answers != "generated":
        raise SettingError(
            "--max-new-tokens without generated answers", valid="--answers generated too"
        )
    return scoring


def one_forward_scoring(recipe: Recipe, verb: str) -> Scoring:
    """The recipe's scoring for a verb that looks into one forward; says what it leaves out."""
    scoring, left_out = without_orders(recipe.items.scoring if recipe.items else Scoring())
    if left_out:
        # beside the results, which may be JSON
        print(f"`{verb}` looks into one forward an item: {left_out}", file=sys.stderr)
    return scoring


def print_answers(run: Path) -> None:
    """Right in every order of options, texts that no rule read, and letters that are liked.

    Prints nothing of what the run has not, and of letters only what is notable.
    """
    tables = tables_of_answers(read_run(run))
    if len(tables["circular"]):
        Console().print(_circular(tables["circular"]))
    for line in (*unread_lines(tables["answers_read"]), *notable_letters(tables["letter_prior"])):
        print(line)
    if len(tables["letter_prior"]):
        print(f"letters chosen and right: {run / 'tables' / 'letter_prior.csv'}")


def _circular(frame: pd.DataFrame) -> Table:
    table = Table(title="Right in every order of the options, in %; 95% intervals by video")
    names = ("items", "skill", "n", "guessing", "VLM", "merged", "change")
    for name in names:
        table.add_column(name, justify="left" if name in ("items", "skill") else "right")
    rows = {(r["item_set"], r["skill"], r["model"]): r for r in frame.to_dict("records")}
    for (item_set, skill, model), merged in rows.items():
        vlm = rows.get((item_set, skill, VLM))
        if model == MERGED and vlm is not None:
            shares = (merged["chance_always"], vlm["always_right"], merged["always_right"])
            table.add_row(
                item_set, ABBREVIATIONS.get(skill, skill), str(merged["n_items"]),
                *(f"{100 * share:.1f}" for share in shares), _change(merged),
            )  # fmt: skip
    return table


def _change(row: Mapping[Any, Any]) -> str:
    ends = ("", "_low", "_high")
    estimate, low, high = (100 * row[f"delta_always_right{end}"] for end in ends)
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]"
