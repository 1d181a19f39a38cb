"""Progress on a terminal, silence elsewhere.

    with blocks_progress() as done:
        evaluate_recipe(..., progress=done)

This file must not know what is being counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextlib.contextmanager
def blocks_progress() -> Iterator[Callable[[str, str], None]]:
    """A line that names the item set and model last scored, with a count and the time."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("preparing items")
        count = 0

        def done(item_set: str, model: str) -> None:
            nonlocal count
            count += 1
            bar.update(task, description=f"{count} models scored; last: {model} on {item_set}")

        yield done


@contextlib.contextmanager
def sweep_progress(doing: str = "masking ") -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each model that is swept, with the time left.

    Args:
        doing: Stands before what the callback names.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        tasks = {"": bar.add_task("preparing items", total=None)}

        def done(model: str, count: int, total: int) -> None:
            if model not in tasks:
                if "" in tasks:
                    bar.remove_task(tasks.pop(""))
                tasks[model] = bar.add_task(f"{doing}{model}", total=total)
            bar.update(tasks[model], completed=count)

        yield done
