from __future__ import annotations

import io

from rich.console import Console

from merit_interp.records import Trial
from merit_interp.search.loop import Step
from merit_interp.search.progress import Pace, search_progress

BEST = Trial(3, "abc", {}, "search", 0.5, 0.75, -0.25, 0.1, -0.01)


def test_a_terminal_shows_best_rate_and_counts() -> None:
    text = io.StringIO()
    with search_progress(Console(file=text, force_terminal=True, width=160)) as watch:
        assert watch is not None
        watch(Step("reading search videos", 5, 10))
        watch(Step("search", 1, 20, by_model=False, best=BEST))
        watch(Step("search", 2, 20, by_model=True, best=BEST))
    shown = text.getvalue()
    for part in ("reading search videos", "5/10", "2/20", "best J +0.500 (TR +0.750 TP −0.250)"):
        assert part in shown
    assert "recipes/min" in shown
    assert " left" in shown


def test_nobody_is_shown_nothing() -> None:
    text = io.StringIO()
    with search_progress(Console(file=text, force_terminal=False)) as watch:
        assert watch is None
    assert not text.getvalue()


def test_the_ledgers_answers_do_not_count_as_speed() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for _ in range(1000):
        now[0] += 0.01
        pace.count(by_model=False)
    assert pace.per_minute is None
    for _ in range(3):
        now[0] += 2.0
        pace.count(by_model=True)
    assert pace.per_minute == 30.0
