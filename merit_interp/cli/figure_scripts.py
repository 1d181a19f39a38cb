"""The command line of the scripts in figures/: a run, a directory, and the figures between.

    figure_script(__doc__, lambda run, given: [run.named_figure("pareto")])

HTML is always written; PNG, SVG and PDF where there is a browser, else a line says so. This file
parses, calls and prints; it must not know what a figure shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from merit_interp.cli.main import one_line_errors
from merit_interp.errors import SettingError
from merit_interp.explore.run import Run, open_run
from merit_interp.plots.files import PICTURES
from merit_interp.report.figures import NamedFigure, write_named

MakeFigures = Callable[[Run, argparse.Namespace], Iterable[NamedFigure]]


def figure_script(description: str | None, figures: MakeFigures, **options: str) -> None:
    """Draw figures of the run that the command line names; a user's mistake ends with code 2.

    Args:
        description: What `--help` says.
        figures: Makes the figures of the run; takes the options that were given too.
        options: Further options by name, each with its help.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory of a finished run")
    parser.add_argument("--out", type=Path, default=Path(), help="where to; here by default")
    for name, words in options.items():
        parser.add_argument(f"--{name}", help=words)
    given = parser.parse_args()
    with one_line_errors():
        made = list(figures(open_run(given.run), given))
        for path in _written(made, given.out):
            print(path)


def _written(figures: list[NamedFigure], out: Path) -> tuple[Path, ...]:
    try:
        return write_named(figures, out, formats=tuple(PICTURES))
    except SettingError as error:
        print(f"HTML alone: {error}", file=sys.stderr)
        return tuple(out / f"{figure.name}.html" for figure in figures)
