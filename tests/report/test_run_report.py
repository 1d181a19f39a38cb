"""The report says what a run found, also when that is nothing, and needs nothing beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from merit_interp.cli.main import app
from merit_interp.errors import RunError
from merit_interp.report.figures import write_figures
from merit_interp.report.findings import gather
from merit_interp.report.run_report import write_report
from merit_interp.report.sections import TEMPLATES, sections
from merit_interp.report.wording import direction
from merit_interp.tables.run_records import read_run
from tests.chromium import measured_at_widths, needs_chromium
from tests.synthetic_run import LEVELS, Plan, made_up_recipe, write_run

SMALL = Plan(("validation", "longer_clips"), videos=8, draws=2, trials=12)
TRAINING = {
    "stages": {
        "backbone": {"on": "transcripts", "steps": 1800, "TR": 0.981, "TP": 0.99},
        "adaptation": {"on": "clips", "steps": 900, "TR": 0.4, "TP": 1.0},
    }
}


class Page(HTMLParser):
    """What a page shows, and what it would ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = ""
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._silent = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._silent += tag in ("script", "style")
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data") and v]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words += " " + " ".join(data.split())


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("runs") / "demo", SMALL)
    (run / "training_report.json").write_text(json.dumps(TRAINING))
    return run


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return page_of(run)


def test_every_section_is_there_in_reading_order(run: Path) -> None:
    made = sections(gather(read_run(run)))
    assert [section.anchor for section in made] == [
        "verdict", "recipe", "skills", "search", "training", "provenance",
    ]  # fmt: skip


def test_the_verdict_comes_first_and_in_plain_words(page: Page) -> None:
    words = page.words
    assert re.search(r"Merging raised reasoning: \+\d+\.\d points on validation", words)
    places = [words.index(text) for text in (
        "Merging raised reasoning", "Reasoning rose.", "Better than random layers.",
        "Merged text layers: 3 of 8", "Accuracy before (VLM)", "12 recipes were tried", "98.1",
        "merit-interp search --vlm models/vlm",
    )]  # fmt: skip
    assert places == sorted(places)
    assert re.search(r"Reasoning rose\. .*? Held-out sets: holds on 1 of 1\.", words)
    assert "Held-out sets: reasoning rose on 1 of 1; perception" in words


def test_what_is_open_is_not_shown_and_what_was_not_scored_is_not_known(tmp_path: Path) -> None:
    levels = {name: LEVELS[name] for name in ("vlm", "merged")}
    plan = replace(SMALL, levels=levels, draws=0, videos=5)
    run = write_run(tmp_path / "run", plan)
    words = page_of(run).words
    assert "Reasoning rose: not shown." in words
    assert "Perception was kept: not shown." in words
    assert "Better than the first layers: not known." in words
    text = (run / "report.html").read_text(encoding="utf-8")
    assert text.count('aria-label="Not shown"') == 2
    assert text.count('aria-label="Not known"') == 5
    assert "perception held" not in text


def test_an_arrow_needs_interval_and_test() -> None:
    assert direction(0.01, 0.03, 0.01) == "▲"
    assert direction(-0.037, -0.005, 0.01) == "▼"
    assert direction(-0.037, -0.005, 0.12) == ""
    assert direction(-0.01, 0.03, 0.01) == ""


def test_few_recipes_are_no_rank_correlation(tmp_path: Path) -> None:
    few, some = (
        page_of(write_run(tmp_path / str(n), replace(SMALL, trials=n, videos=2))).words
        for n in (3, 12)
    )
    assert "A rank correlation over 3 recipes is no evidence" in few
    assert "is no evidence" not in some


def test_the_page_asks_for_nothing(page: Page, run: Path) -> None:
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    own = text.replace(text[text.index("<script>") : text.index("</script>")], "", 1)
    assert "http" not in own.replace("http-equiv", "")
    assert "@import" not in (TEMPLATES / "style.css").read_text()
    assert text.count("plotly.js v") == 1


def test_figures_have_words_and_tables_scroll_in_their_own_box(run: Path, page: Page) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    figures = page.tags.count("figure")
    assert figures == 1 + 2 + 3
    assert len(re.findall(r'class="plot" role="img" aria-label="[^"]{20,}"[ >]', text)) == figures
    assert page.tags.count("noscript") == figures
    ids = re.findall(r'\bid="([^"]+)"', text[text.index("<body>") :])
    assert len(ids) == len(set(ids))
    assert page.tags.count("table") == text.count('<div class="scroll"')


def test_equal_records_give_equal_bytes(run: Path, page: Page) -> None:
    first = (run / "report.html").read_bytes()
    assert write_report(run).read_bytes() == first


def rewritten(run: Path, change: Callable[[str], str], name: str) -> None:
    (run / name).write_text(change((run / name).read_text()))


def test_names_from_records_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>&amp;</script><b>"
    run = write_run(tmp_path / "run", replace(SMALL, item_sets=("validation", evil), videos=4))
    rewritten(run, lambda text: text.replace("colour_at", "<i>colour</i>"), "scores.jsonl")
    rewritten(run, lambda text: text.replace('"cpu"', json.dumps("<u>cpu</u>")), "run.json")
    page = page_of(run)
    assert {"img", "i", "u"}.isdisjoint(page.tags)
    assert "<i>colour</i>" in page.words
    assert "<u>cpu</u>" in page.words
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "<img" not in text[text.index("<body>") :]


def test_nothing_gained_is_said_first(tmp_path: Path) -> None:
    levels = {**LEVELS, "merged": (0.40, 0.92)}
    run = write_run(tmp_path / "run", replace(SMALL, levels=levels, videos=20))
    words = page_of(run).words
    assert "Nothing gained: reasoning changed by" in words
    assert "Reasoning rose: no." in words


def test_the_identity_recipe_is_reported(tmp_path: Path) -> None:
    recipe = made_up_recipe({})
    reason = "no recipe is better than the unmerged VLM beyond its interval: made up"
    recipe = recipe.replaced(search={**recipe.search, "found": False, "reason": reason})
    levels = {"vlm": LEVELS["vlm"], "merged": LEVELS["vlm"]}
    plan = replace(SMALL, levels=levels, draws=0)
    words = page_of(write_run(tmp_path / "run", plan, recipe=recipe)).words
    assert "Nothing gained: the search found no recipe" in words
    assert "No layer is merged: the recipe is the VLM itself." in words
    assert reason in words
    assert "Better than random layers: not known." in words


def test_a_run_that_was_cut_is_reported_as_far_as_it_went(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL, scores=[], finished=False)
    words = page_of(run).words
    assert "This run is not finished" in words
    assert "it is not evaluated yet" in words
    (run / "recipe.json").unlink()
    assert "Nothing was scored yet." in page_of(run).words


def test_an_evaluation_without_a_search_is_reported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", SMALL)
    for name in ("trials.jsonl", "validation.jsonl", "run.json"):
        (run / name).unlink()
    page = page_of(run)
    assert "Merged text layers: 3 (layer 2" in page.words
    assert "recipes were tried" not in page.words
    assert page.tags.count("figure") == 3


def test_failed_items_are_counted_on_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", replace(SMALL, item_sets=("validation",)))
    lines = (run / "scores.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    failed = {**row, "log_probs": [], "status": "failed", "reason": "zero bytes"}
    lines[0] = json.dumps(failed)
    (run / "scores.jsonl").write_text("\n".join(lines) + "\n")
    assert "Up to 1 questions of a set could not be scored" in page_of(run).words


def test_what_cannot_be_written_or_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run at"):
        write_report(tmp_path)
    run = write_run(tmp_path / "run", replace(SMALL, videos=2))
    (run / "report.html").mkdir()
    with pytest.raises(RunError, match="cannot write"):
        write_report(run)
    assert not list(run.glob("*.part"))


def test_the_verb_writes_tables_and_page_and_prints_where(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", Plan(("validation",), videos=2, draws=0, trials=3))
    shown = CliRunner().invoke(app, ["report", str(run)])
    assert shown.exit_code == 0
    assert f"report  {run / 'report.html'}" in shown.output
    assert (run / "tables" / "skill_table.parquet").exists()
    listed = json.loads(CliRunner().invoke(app, ["report", str(run), "--json"]).output)
    assert listed["report"] == str(run / "report.html")
    assert len(listed["tables"]) == 10


@pytest.mark.browser
@needs_chromium
def test_a_browser_draws_every_figure_inside_the_page(run: Path, tmp_path: Path) -> None:
    for seen in measured_at_widths(write_report(run), (390, 1200), tmp_path):
        assert seen["figures"] == seen["drawn"] == 6
        assert seen["wide"] == 0
        assert seen["scroll_width"] <= seen["client_width"]


@pytest.mark.browser
@needs_chromium
def test_figures_of_a_run_become_pictures(run: Path) -> None:
    written = write_figures(run)
    names = ("pareto", "recipe", "search-history", "search-landscape", "skills")
    assert [path.name for path in written] == [
        f"{name}.{kind}" for kind in ("html", "png") for name in names
    ]
    for path in written[5:]:
        with Image.open(path) as picture:
            assert picture.width == 1800
            assert len(picture.convert("L").getcolors() or []) > 10
    assert {path.name for path in (run / "figures").iterdir()} == {
        "plotly.min.js",
        *(path.name for path in written),
    }
