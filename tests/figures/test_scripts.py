"""Each script of figures/ draws its figures of a run in one command; README shows the gallery."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import merit_interp as mi
from tests.chromium import needs_chromium
from tests.synthetic_study import write_study

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "figures"
GALLERY = {"skills", "recipe", "mask-layers", "frames-item", "frames-shift", "video-controls"}
DRAWN = {
    "attribution_controls": {"attribution-controls", "attribution-measures"},
    "attribution_heatmap": {"attribution-overview", "attribution-item-v03-0"},
    "category_costs": {"mask-categories-vlm"},
    "chosen_against_random": {"mask-sets"},
    "depth_map": {"mask-depth"},
    "every_figure": {"pareto", "mask-sets", "lens-direct"},
    "evidence_shift": {"attribution-shift"},
    "head_map": {
        "lens-attention-heads",
        "lens-head-changes",
        "lens-head-costs",
        "lens-direct-heads",
        "lens-costs",
    },
    "layer_importance": {"mask-layers"},
    "lens_layers": {"lens-layers", "lens-attention", "lens-direct"},
    "recipe_strip": {"recipe"},
    "search": {"search-landscape", "search-history", "pareto"},
    "skills": {"skills", "skills-table"},
    "video_controls": {"video-controls-0", "video-controls-1"},
}


OPTIONS = {
    "attribution_heatmap": ("--item", "v03-0"),
    "category_costs": ("--model", "vlm"),
    "every_figure": ("--names", "pareto,mask-sets,lens-direct"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("runs") / "study")


def script(name: str, *arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a script in this process, as `python figures/NAME.py ARGUMENTS` would."""
    path = FIGURES / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    runpy.run_path(str(path), run_name="__main__")


def without_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))


@pytest.mark.parametrize("name", DRAWN)
def test_html_is_written_without_a_browser_and_a_line_says_so(
    name: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_browser(monkeypatch, tmp_path)
    out = tmp_path / "out"
    script(name, study, "--out", out, *OPTIONS.get(name, ()), monkeypatch=monkeypatch)
    assert {path.stem for path in out.glob("*.html")} == DRAWN[name]
    told = capsys.readouterr()
    assert told.err.startswith("HTML alone: pictures need Chrome or Chromium")
    assert set(told.out.split()) == {str(path) for path in out.glob("*.html")}


def test_one_command_draws_every_figure_of_a_run(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_browser(monkeypatch, tmp_path)
    script("every_figure", study, "--out", tmp_path, monkeypatch=monkeypatch)
    figures = set(mi.open_run(study).figures)
    assert {path.stem for path in tmp_path.glob("*.html")} == figures
    assert len(figures) > 20
    # and each has a script that says what it answers, but the accuracies on one item set alone
    own = set().union(*(names for name, names in DRAWN.items() if name != "every_figure"))
    script("category_costs", study, "--out", tmp_path / "one", monkeypatch=monkeypatch)
    own |= {path.stem for path in (tmp_path / "one").glob("*.html")}
    assert {name for name in figures - own if not name.startswith("skills-")} == set()
    assert own <= figures | {"mask-categories-vlm", "attribution-item-v03-0"}


def test_figures_write_their_numbers_in_one_way(study: Path) -> None:
    run = mi.open_run(study)
    for name in run.figures:
        named = run.named_figure(name)
        for text in (named.words, named.caption, *texts_of(json.loads(named.figure.to_json()))):
            assert not ODD_NUMBER.search(text), f"{name}: {text[:200]}"


ODD_NUMBER = re.compile(r"(?<![\w#.:-])-\d|[+−]0(\.0+)?(?![\d.])|\bnan\b|%\{[^}]*:[+]")
"""A minus of ASCII, a zero with a sign, no number, and a sign that plotly would write."""


def texts_of(node: object) -> Iterator[str]:
    """All that a reader can be shown of a figure; no pictures, packed numbers or styles."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in {"source", "bdata", "colorscale", "template", "font"}:
                yield from texts_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts_of(value)
    elif isinstance(node, str):
        yield node


def test_a_name_that_is_no_figure_lists_those_that_are(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for options in (("every_figure", "--names", "mask-set"), ("category_costs", "--model", "x")):
        with pytest.raises(SystemExit) as end:
            script(options[0], study, *options[1:], "--out", tmp_path, monkeypatch=monkeypatch)
        assert end.value.code == 2
        told = capsys.readouterr().err
        assert ("mask-sets" in told) == (options[0] == "every_figure")
        assert ("merged" in told) == (options[0] == "category_costs")


@pytest.mark.browser
@needs_chromium
def test_pictures_are_vectors_too(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script("recipe_strip", study, "--out", tmp_path, monkeypatch=monkeypatch)
    assert (tmp_path / "recipe.svg").read_text().startswith("<svg")
    assert (tmp_path / "recipe.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "recipe.png") as picture:
        assert picture.width == 1800


@pytest.mark.parametrize(
    ("name", "says"),
    [("search", "no run at"), ("head_map", "holds no finished `lens`")],
)
def test_what_is_not_there_is_one_line_and_code_2(
    name: str,
    says: str,
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # a masking sweep is a finished run too, and holds no lens
    run = study / "mask" if name == "head_map" else tmp_path / "nothing"
    with pytest.raises(SystemExit) as end:
        script(name, run, "--out", tmp_path / "out", monkeypatch=monkeypatch)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("merit-interp: ")
    assert says in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_every_script_says_how_it_is_called_and_is_tested() -> None:
    scripts = {path.stem: path.read_text() for path in FIGURES.glob("*.py")}
    assert set(scripts) == {*DRAWN, "gallery"}
    page = (ROOT / "docs" / "figures.md").read_text()
    for name, text in scripts.items():
        assert f"python figures/{name}.py" in text
        # a new user finds each by one command; the gallery is `make figures`
        assert name == "gallery" or f"`python figures/{name}.py runs/demo --out DIR`" in page
        assert text.count("\n") < 60


@pytest.mark.browser
@needs_chromium
def test_the_gallery_is_small_and_has_a_palette(
    study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MERIT_INTERP_RUN", str(study))
    script("gallery", "--out", tmp_path / "gallery", monkeypatch=monkeypatch)
    drawn = {path.stem: path for path in (tmp_path / "gallery").iterdir()}
    assert set(drawn) == GALLERY
    for path in drawn.values():
        with Image.open(path) as picture:
            assert (picture.mode, picture.width) == ("P", 1800)


def test_readme_shows_the_gallery_and_nothing_else() -> None:
    shown = set(
        re.findall(r"!\[[^\]]+\]\(figures/([\w-]+)\.png\)", (ROOT / "README.md").read_text())
    )
    assert shown == GALLERY == {path.stem for path in FIGURES.glob("*.png")}
    for name in GALLERY:
        with Image.open(FIGURES / f"{name}.png") as picture:
            assert (picture.mode, picture.width) == ("P", 1800)
        assert (FIGURES / f"{name}.png").stat().st_size < 200_000
