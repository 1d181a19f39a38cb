"""`merit-interp items`: look at an items file before a long run does.

    merit-interp items check items.jsonl

This file parses, calls and prints; it must not know what makes an item faulty.
"""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from merit_interp.cli.options import JsonOption

if TYPE_CHECKING:
    from merit_interp.benchmarks.item_checks import ItemCheck

FAULTY = 2

app = typer.Typer(help="Check benchmark items.", no_args_is_help=True)


@app.callback()
def items() -> None:
    """Check benchmark items."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="ITEMS", help="items.jsonl to check.")],
    json: JsonOption = False,
) -> None:
    """Every video opens, every answer fits, every span lies inside; lists every fault."""
    from merit_interp.benchmarks.item_checks import check_items

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening videos", total=None)
        found = check_items(
            path, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if json:
        print(dumps(found.to_row(), indent=2, ensure_ascii=False))
    else:
        print_check(path, found)
    if found.faults:
        raise typer.Exit(FAULTY)


def print_check(path: Path, found: ItemCheck) -> None:
    """Each fault on its line, then what the file holds."""
    for fault in found.faults:
        print(f"{path}, {fault}")
    skills = ", ".join(f"{n} {skill}" for skill, n in sorted(found.skills.items()))
    print(f"{path}: {found.n_items} items ({skills}) on {found.n_videos} videos")
    print(f"{len(found.faults)} fault(s)" if found.faults else "no faults")
