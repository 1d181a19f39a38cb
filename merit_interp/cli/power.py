"""What an items file can show, on a terminal: `merit-interp items check ITEMS --power`.

    print_power(rows)

This file must not compute a number; it shows those of `tables`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from merit_interp.benchmarks.splits import SplitSettings
    from merit_interp.tables.item_power import PowerRow

ABBREVIATIONS = {"reasoning": "TR", "perception": "TP"}


def power_of(
    path: Path,
    shares: SplitSettings,
    run: Path | None,
    discordance: float | None,
    correlation: float | None,
) -> list[PowerRow]:
    """The power of a file's items, of what could be read of it.

    Args:
        path: The items file.
        shares: How it would be split.
        run: A finished run that says how often models differ; None to assume it.
        discordance: Instead of the run's or the default.
        correlation: Instead of the run's or the default.

    Raises:
        RunError: The run has no scores to estimate from.
        SettingError: A number is out of range.
    """
    from merit_interp.benchmarks.items import parse_items
    from merit_interp.tables.item_frames import item_scores
    from merit_interp.tables.item_power import POWER_SKILLS, Assumed, assumed_from, power_rows
    from merit_interp.tables.run_records import read_run

    assumed = dict.fromkeys(POWER_SKILLS, Assumed())
    if run is not None:
        assumed |= assumed_from(item_scores(read_run(run).scores), str(run))
    given = {
        name: value
        for name, value in (("discordance", discordance), ("correlation", correlation))
        if value is not None
    }
    if given:
        words = " and ".join(f"{name} as given" for name in given)
        assumed = {
            skill: dataclasses.replace(one, source=f"{one.source}; {words}", **given)
            for skill, one in assumed.items()
        }
    return power_rows([item for _, item in parse_items(path).lines], shares, assumed)


def print_power(rows: Sequence[PowerRow]) -> None:
    """The least change that each part shows, what that rests on, and where it is too small."""
    table = Table(title="least change at 80% power, test at 5% two-sided, clustered by video")
    for name in ("part", "skill", "items", "videos", "design effect", "least change"):
        table.add_column(name, justify="left" if name in ("part", "skill") else "right")
    for row in rows:
        least = "none" if row.detectable is None else f"{100 * row.detectable:.1f} points"
        table.add_row(
            row.part, ABBREVIATIONS[row.skill], str(row.n_items), str(row.n_videos),
            f"{row.design_effect:.2f}", least,
        )  # fmt: skip
    Console().print(table)
    for row in rows[: len(ABBREVIATIONS)]:
        print(
            f"{ABBREVIATIONS[row.skill]}: VLM and merged model differ on {row.discordance:.0%} of "
            f"the items, and two items of a video are correlated by {row.correlation:.2g} "
            f"({row.source})"
        )
    for row in rows:
        if row.warning:
            print(f"{ABBREVIATIONS[row.skill]} in {row.part}: {row.warning}")
