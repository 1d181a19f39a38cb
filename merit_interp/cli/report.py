"""`merit-interp report`: tables and page of a run, made again from its records.

    merit-interp report runs/demo --png

This file parses, calls and prints; it must not know what stands in a table or on the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merit_interp.cli.options import JsonOption
from merit_interp.errors import RunError

RECORDS = ("run.json", "trials.jsonl", "scores.jsonl")
"""A run has one of them, however early it was cut."""


def report(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    png: Annotated[
        bool, typer.Option("--png", help="Also draw the figures as PNG; needs Chromium.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a run's tables and its report, one HTML file that needs nothing beside it."""
    from json import dumps

    from merit_interp.report.figures import write_figures
    from merit_interp.report.run_report import write_report
    from merit_interp.tables.run_tables import write_tables

    _require_run(run)
    tables = write_tables(run)
    page = write_report(run)
    figures = write_figures(run) if png else ()
    if json:
        written = {"report": str(page), "tables": tables, "figures": figures}
        print(dumps(written, indent=2, default=str))
        return
    for name, paths in (("tables", tables), ("figures", figures)):
        if paths:
            print(f"{name:7} {paths[0].parent}")
    print(f"report  {page}")


def _require_run(directory: Path) -> None:
    """Refuse to write into what is no run; a merged checkpoint has a recipe.json too."""
    if not any((directory / name).exists() for name in RECORDS):
        raise RunError(
            f"no run at {directory}",
            valid="a directory that `merit-interp demo`, `search`, `evaluate`, `mask`, "
            "`attribute` or `lens` wrote",
        )
