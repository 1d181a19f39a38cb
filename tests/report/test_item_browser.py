"""The report's item browser: what it lists, that it is text, and that a keyboard suffices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from merit_interp.plots.cells import contrast
from merit_interp.plots.signed_colours import SIGNED, signed_colour
from merit_interp.report.attribution import attribution_part
from merit_interp.report.item_browser import browsed_items
from merit_interp.report.run_report import write_report
from merit_interp.tables.attribution_tables import attribution_findings
from tests.chromium import needs_chromium
from tests.opened_page import use_page
from tests.synthetic_attribution import write_attribution
from tests.synthetic_run import write_run

READ = """[
  document.querySelector('[data-browser="place"]').textContent,
  Array.from(document.querySelectorAll('.browser article')).filter((a) => !a.hidden).map(
    (a) => a.querySelector('h4').id),
  document.activeElement.dataset.browser,
]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_run(tmp_path_factory.mktemp("browser") / "run")
    write_attribution(directory / "attribute")
    return directory


def test_items_that_merging_changed_come_first(run: Path) -> None:
    findings = attribution_findings(run / "attribute")
    items = browsed_items(findings, "validation")
    kinds = [item.kind for item in items]
    assert len(items) == 40
    # every fourth of twenty videos is turned right, one broken, two items each
    assert kinds[:12] == ["right"] * 10 + ["broken"] * 2
    assert set(kinds[12:]) == {"kept_right"}
    first = items[0]
    assert [row.label for row in first.rows][:2] == ["VLM", "Merged"]
    assert [row.answer for row in first.rows][:2] == ["the square ✗", "the star ✓"]
    assert all(sum(cell.n_frames for cell in row.cells) == 8 for row in first.rows)
    assert [flag for _, _, flag in first.frames].count(True) == 1
    assert len(browsed_items(findings, "validation", most=5)) == 5


def test_numbers_stand_out_from_their_cells(run: Path) -> None:
    items = browsed_items(attribution_findings(run / "attribute"), "validation")
    cells = [cell for item in items for row in item.rows for cell in row.cells]
    assert {cell.text[0] for cell in cells} <= set("+−0")
    assert all(contrast(cell.text_colour, cell.colour) >= 4.5 for cell in cells)
    assert {cell.is_dark for cell in cells} == {True, False}


def test_colours_are_those_of_the_figures() -> None:
    assert signed_colour(-2.0, 2.0) == SIGNED[0][1]
    assert signed_colour(0.0, 2.0) == "#ffffff"
    assert signed_colour(2.0, 2.0) == SIGNED[-1][1]
    assert signed_colour(9.0, 2.0) == SIGNED[-1][1]
    assert signed_colour(1.0, 2.0) == SIGNED[3][1]
    assert signed_colour(0.0, 0.0) == "#ffffff"


def test_a_question_with_markup_is_text(run: Path) -> None:
    part = attribution_part(run)
    assert part is not None
    assert part.n_items == len(part.items) == 40
    page = write_report(run).read_text()
    assert "<b>circle</b>" not in page
    assert "&lt;b&gt;circle&lt;/b&gt;" in page
    assert page.count("<article") == 40
    assert page.count("<article hidden") == 39


@pytest.mark.browser
@needs_chromium
def test_the_browser_works_by_keyboard_and_asks_the_network_for_nothing(run: Path) -> None:
    keys = ("ArrowDown", "Tab", "Enter", "Tab", "Enter")
    seen = asyncio.run(use_page(write_report(run), keys, focus='[data-browser="item"]', read=READ))
    assert seen.values == (
        ["1 of 40", ["item-0"], "item"],
        ["2 of 40", ["item-1"], "item"],
        ["2 of 40", ["item-1"], "-1"],
        ["1 of 40", ["item-0"], "-1"],
        ["1 of 40", ["item-0"], "1"],
        ["2 of 40", ["item-1"], "1"],
    )
    assert seen.requests == ()
    assert seen.complaints == ()
