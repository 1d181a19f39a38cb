"""An attribution run's progress on a terminal; what it will take is said in any case.

    with attribution_progress() as watch:
        attribute_recipe(..., watch=watch)

This file must not know what an attribution is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from merit_interp.attribution.estimate import RunEstimate
from merit_interp.attribution.recipe_attribution import RunWatch


@contextlib.contextmanager
def attribution_progress() -> Iterator[RunWatch]:
    """A bar over items prepared, then over items attributed in all blocks; drawn on stderr."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("preparing items", total=None)

        def preparing(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        def estimated(estimate: RunEstimate, n_items: int) -> None:
            console.print(
                f"{n_items} items: {estimate.text}", markup=False, highlight=False, soft_wrap=True
            )

        def attributed(done: int, total: int, block: str) -> None:
            bar.update(task, completed=done, total=total, description=block)

        yield RunWatch(preparing, estimated, attributed)
