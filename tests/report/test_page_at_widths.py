"""The whole page, section by section, on a phone and on a desktop; and by keyboard alone."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from merit_interp.report.run_report import write_report
from tests.chromium import needs_chromium
from tests.opened_page import Seen, look_at, walk
from tests.report.test_run_report import TRAINING, Page
from tests.synthetic_study import write_study

PHONE, DESKTOP = 390, 1100

SECTIONS = {
    "verdict": ("Reasoning rose", 0, 0),
    "recipe": ("Merged text layers: 3 of 8", 0, 1),
    "skills": ("Accuracy before (VLM) and after (merged)", 5, 2),
    "controls": ("visual dependency", 2, 2),
    "pairs": ("Where a benchmark is built from pairs", 1, 0),
    "layers": ("Zeroing self-attention in the recipe", 2, 4),
    "frames": ("Reasoning: the evidence holds", 1, 10),
    "lens": ("Logit lens: reasoning ends at", 1, 8),
    "search": ("12 recipes were tried", 0, 3),
    "training": ("The embedded pair was trained in the open", 1, 0),
    "provenance": ("merit-interp search --vlm models/vlm", 0, 0),
}
"""Key sentence, tables and figures of each section."""

# all that is folded is open; of the item browser one article is shown at a time
PROBE = """(() => {
  const edge = document.documentElement.clientWidth + 1;
  const inside = (element) => {
    const box = element.getBoundingClientRect();
    const drawn = box.width > 0 && box.height > 0 && getComputedStyle(element).opacity !== "0";
    return drawn && box.left >= -1 && box.right <= edge;
  };
  const here = (within, selector) => Array.from(within.querySelectorAll(selector)).filter(
    (element) => !element.closest("[hidden]"));
  const box = (element) => element.closest(".scroll, .wide") || element;
  const section = (one) => ({
    heading: inside(one.querySelector("h2")),
    sentences: here(one, "p, li, code").filter(inside).map((e) => e.textContent.trim()),
    outside: here(one, "p, li, code, h3, h4, summary, figcaption, select, button")
      .filter((e) => !e.closest(".scroll") && !inside(e)).map((e) => e.textContent.trim()),
    tables: here(one, "table").map((table) => inside(box(table))),
    figures: here(one, ".plot").map(
      (plot) => inside(box(plot)) && plot.querySelector(".main-svg") !== null),
  });
  const cut = [], crossed = [];
  here(document, ".plot").forEach((plot) => {
    const room = plot.querySelector(".main-svg").getBoundingClientRect();
    const texts = (selector) => here(plot, selector).map((element) => (
      { text: element.textContent, box: element.getBoundingClientRect() }
    )).filter(({ text, box }) => text.trim() && box.width);
    texts("text").forEach(({ text, box }) => {
      const over = Math.max(room.left - box.left, box.right - room.right,
        room.top - box.top, box.bottom - room.bottom);
      if (over > 2) cut.push(text);
    });
    const names = texts(
      ".annotation-text, .xtitle, .ytitle, .legendtext, .xtick text, .ytick text");
    names.forEach((a, place) => names.slice(place + 1).forEach((b) => {
      const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
      const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
      if (wide > 2 && high > 3) crossed.push([a.text, b.text]);
    }));
  });
  const root = document.documentElement;
  return {
    sections: Object.fromEntries(here(document, "section").map((s) => [s.id, section(s)])),
    beyond: root.scrollWidth - root.clientWidth, cut, crossed,
  };
})()"""

FOCUS = """(() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  return {
    tag: at.tagName, box: at.className, section: at.closest("section, header").id,
    shown: box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0
      && box.top < innerHeight,
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    scrolls: at.matches(".scroll, .wide") ? at.scrollWidth > at.clientWidth + 1 : null,
    name: at.getAttribute("aria-label") || at.getAttribute("aria-labelledby") || at.textContent,
  };
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_study(tmp_path_factory.mktemp("runs") / "study")
    (run / "training_report.json").write_text(json.dumps(TRAINING))
    return write_report(run)


@pytest.fixture(scope="module", params=(PHONE, DESKTOP))
def looked(request: pytest.FixtureRequest, page: Path) -> Seen:
    return asyncio.run(look_at(page, width=request.param, read=PROBE))


def value(looked: Seen) -> dict[str, Any]:
    (found,) = looked.values
    assert isinstance(found, dict)
    return found


@pytest.mark.browser
@needs_chromium
def test_nothing_is_asked_for_and_nothing_goes_wrong(looked: Seen) -> None:
    assert looked.requests == ()
    assert looked.complaints == ()


@pytest.mark.browser
@needs_chromium
def test_the_page_never_scrolls_sideways(looked: Seen) -> None:
    assert value(looked)["beyond"] <= 0


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("anchor", SECTIONS)
def test_heading_sentence_tables_and_figures_are_inside_the_window(
    anchor: str, looked: Seen
) -> None:
    shown = value(looked)["sections"][anchor]
    sentence, tables, figures = SECTIONS[anchor]
    assert any(sentence in " ".join(text.split()) for text in shown["sentences"])
    assert shown["tables"] == [True] * tables
    assert shown["figures"] == [True] * figures
    # those that a study has besides are held to the same
    for name, other in value(looked)["sections"].items():
        assert other["heading"], name
        assert other["sentences"], name
        assert other["outside"] == [], name
        assert all([*other["tables"], *other["figures"]]), name


@pytest.mark.browser
@needs_chromium
def test_no_text_of_a_figure_is_cut_or_crossed_by_another(looked: Seen) -> None:
    assert value(looked)["cut"] == []
    assert value(looked)["crossed"] == []


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_keyboard_reaches_everything_and_shows_where_it_is(page: Path, width: int) -> None:
    stops = asyncio.run(walk(page, width=width, read=FOCUS)).values
    assert [stop["tag"] for stop in stops[: len(SECTIONS)]] == ["A"] * len(SECTIONS)
    assert {stop["tag"] for stop in stops} >= {"A", "SUMMARY", "SELECT", "BUTTON"}
    for stop in stops:
        assert stop["shown"], stop
        assert stop["ring"], stop
        assert stop["name"].strip(), stop
        # what does not scroll is no stop
        assert stop["scrolls"] is not False, stop
    figures = [stop for stop in stops if stop["box"].startswith("wide")]
    assert bool(figures) == (width == PHONE)


def test_landmarks_headings_and_names_are_there_for_a_screen_reader(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    read = Page(text)
    for landmark in ("header", "nav", "main"):
        assert read.tags.count(landmark) == 1
    levels = [int(tag[1]) for tag in read.tags if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert levels.count(2) == read.tags.count("section") >= len(SECTIONS)
    # down one step at a time
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    for anchor in SECTIONS:
        assert f'<section id="{anchor}" aria-labelledby="{anchor}-title">' in text
        assert f'<h2 id="{anchor}-title">' in text
    assert '<html lang="en">' in text
    assert text.count("<img ") == text.count('alt="Frame ')
    assert read.tags.count("figcaption") == read.tags.count("figure")
