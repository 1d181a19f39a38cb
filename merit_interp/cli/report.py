"""`merit-interp report`: tables and page of a run, made again from its records.

    merit-interp report runs/demo --png

This file parses, calls and prints; it must not know what stands in a table or on the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merit_interp.cli.options import JsonOption


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
