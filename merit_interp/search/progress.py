"""The progress bar of a search: best so far, recipes a minute, time left. On a terminal only.

    with search_progress() as watch:
        find_recipe(settings, inputs, run, watch=watch)

This file must not know what a step does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from merit_interp.search.loop import Step, Watch
from merit_interp.search.verdict import signed


@contextlib.contextmanager
def search_progress(console: Console | None = None) -> Iterator[Watch | None]:
    """A callback that draws each step; None where nobody would see it.

    Args:
        console: Where to draw; by default standard error.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    ) as progress:
        yield _Bars(progress)


class _Bars:
    """One bar for each phase."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phases: dict[str, tuple[TaskID, Pace]] = {}

    def __call__(self, step: Step) -> None:
        if step.phase not in self._phases:
            task = self._progress.add_task(step.phase, note="")
            self._phases[step.phase] = (task, Pace(time.monotonic))
        task, pace = self._phases[step.phase]
        pace.count(by_model=step.by_model)
        self._progress.update(task, completed=step.done, total=step.total, note=_note(step, pace))


class Pace:
    """Steps a minute, of those steps that took the model's time.

    Steps that the ledger answers pass in no time; counting them would promise a resumed search an
    end that never comes.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._steps = 0

    def count(self, *, by_model: bool) -> None:
        """One more step is done."""
        if by_model:
            self._steps += 1
        elif not self._steps:
            self._since = self._clock()

    @property
    def per_minute(self) -> float | None:
        """Steps a minute so far; None before the first."""
        elapsed_s = self._clock() - self._since
        return 60 * self._steps / elapsed_s if self._steps and elapsed_s > 0 else None


def _note(step: Step, pace: Pace) -> str:
    parts = []
    if step.best is not None:
        best = step.best
        parts.append(
            f"best J {signed(best.objective, '.3f')} "
            f"(TR {signed(best.delta_tr, '.3f')} TP {signed(best.delta_tp, '.3f')})"
        )
        rate = pace.per_minute
        if rate is not None:
            left_s = round(60 * (step.total - step.done) / rate)
            parts.append(f"{rate:.0f} recipes/min")
            parts.append(f"{left_s // 3600}:{left_s // 60 % 60:02d}:{left_s % 60:02d} left")
    return "  ".join(parts)
