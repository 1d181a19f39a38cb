"""The report's item browser: what it lists, that it is text, and that a keyboard suffices."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from merit_interp.plots.cells import contrast
from merit_interp.plots.signed_colours import SIGNED, signed_colour
from merit_interp.report.attribution import attribution_part
from merit_interp.report.item_browser import browsed_items
from merit_interp.report.run_report import write_report
from merit_interp.tables.attribution_tables import attribution_findings
from tests.chromium import needs_chromium
from tests.opened_page import look_at, use_page
from tests.synthetic_attribution import write_attribution
from tests.synthetic_run import write_run

READ = """[
  document.querySelector('[data-browser="place"]').textContent,
  Array.from(document.querySelectorAll('.browser article')).filter((a) => !a.hidden).map(
    (a) => a.querySelector('h4').id),
  document.activeElement.dataset.browser,
]"""


# where each option, and the mark behind the right one, begins in its line
PLACES = """(() => {
  const article = document.querySelector(".browser article:not([hidden])");
  const line = article.querySelector("p");
  const left = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return range.getBoundingClientRect().left;
  };
  const parts = Array.from(line.childNodes).filter((node) => node.textContent.trim());
  return {
    title: article.querySelector("h4").textContent,
    parts: parts.slice(1).map(
      (node) => [node.textContent.trim().split(/\\s+/).join(" "), left(node)]),
    answers: Array.from(article.querySelectorAll(".ends")).map(
      (e) => [e.textContent, left(e.firstChild) < left(e.lastChild)]),
    listed: document.querySelector('[data-browser="item"] option').textContent,
    beyond: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  };
})()"""
PRINTED = """(() => {
  const open = () => Array.from(document.querySelectorAll("details")).map((part) => part.open);
  const before = open();
  dispatchEvent(new Event("beforeprint"));
  const during = open();
  dispatchEvent(new Event("afterprint"));
  const rules = Array.from(document.styleSheets[0].cssRules).filter(
    (rule) => rule.media && rule.media.mediaText === "print");
  const exact = rules.flatMap((rule) => Array.from(rule.cssRules)).filter(
    (rule) => rule.style && rule.style.printColorAdjust === "exact");
  return [before, during, open(), exact.map((rule) => rule.selectorText)];
})()"""


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
    answers = [(row.answer, row.mark) for row in first.rows]
    assert answers[:2] == [("the square", "✗"), ("the star", "✓")]
    assert all(sum(cell.n_frames for cell in row.cells) == 8 for row in first.rows)
    assert [flag for _, _, flag in first.frames].count(True) == 1
    assert len(browsed_items(findings, "validation", most=5)) == 5


def test_numbers_stand_out_from_their_cells(run: Path) -> None:
    items = browsed_items(attribution_findings(run / "attribute"), "validation")
    cells = [cell for item in items for row in item.rows for cell in row.cells]
    assert {cell.text[0] for cell in cells} <= set("+−0")
    assert all(contrast(cell.text_colour, cell.colour) >= 4.5 for cell in cells)
    assert len({cell.text_colour for cell in cells}) == 2


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


@pytest.fixture
def odd(run: Path, tmp_path: Path) -> Path:
    """The page of a run whose first item has texts that turn, and a word without an end."""
    copy = tmp_path / "odd"
    shutil.copytree(run, copy)
    path = copy / "attribute" / "attributed_items.jsonl"
    first = browsed_items(attribution_findings(run / "attribute"), "validation")[0].strip.item
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["item"] == first:
            row["question"] = "\u0642\u0644\u0628 " + "x" * 400
            row["options"] = [
                "\u0642\u0644\u0628",
                "\u202ereversed",
                "\u0642\u0645\u0631",
                "y" * 300,
            ]
            row["answer"] = 2
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return write_report(copy)


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_texts_of_items_turn_nothing_and_push_nothing_aside(odd: Path, width: int) -> None:
    seen = asyncio.run(look_at(odd, width=width, read=PLACES))
    (found,) = seen.values
    assert found["title"] == "\u0642\u0644\u0628 " + "x" * 400
    # a select has no place for markup
    assert found["listed"].startswith("1. \u2068\u0642\u0644\u0628 xxx")
    assert found["listed"].endswith(" …\u2069")
    parts = dict(found["parts"])
    assert list(parts) == [
        "\u0642\u0644\u0628", "/", "reversed", "\u0642\u0645\u0631", "(right) /", "y" * 300,
    ]  # fmt: skip
    # the mark begins right of its option, and what follows right of the mark
    assert parts["\u0642\u0644\u0628"] < parts["reversed"] < parts["\u0642\u0645\u0631"]
    assert parts["\u0642\u0645\u0631"] < parts["(right) /"]
    assert found["answers"][:2] == [["\u0642\u0644\u0628 ✗", True], ["reversed ✗", True]]
    assert found["beyond"] <= 0
    assert seen.complaints == ()


@pytest.mark.browser
@needs_chromium
def test_what_is_folded_is_printed_and_folded_again(odd: Path) -> None:
    seen = asyncio.run(use_page(odd, (), focus="select", read=PRINTED))
    ((before, during, after, exact),) = seen.values
    assert set(before) == {True, False}
    assert all(during)
    assert after == before
    # browsers leave other colours behind text out
    assert exact == [".mark, .frames"]
    assert seen.complaints == ()
