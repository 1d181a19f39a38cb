"""Each script of figures/ draws its figures of a run in one command; README shows the gallery."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.chromium import needs_chromium
from tests.synthetic_study import write_study

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "figures"
GALLERY = {"skills", "recipe", "mask-layers", "frames-item", "frames-shift", "video-controls"}
DRAWN = {
    "attribution_heatmap": {"attribution-overview", "attribution-item-v03-0"},
    "chosen_against_random": {"mask-sets"},
    "depth_map": {"mask-depth"},
    "evidence_shift": {"attribution-shift"},
    "head_map": {
        "lens-attention-heads",
        "lens-head-changes",
        "lens-head-costs",
        "lens-direct-heads",
    },
    "layer_importance": {"mask-layers"},
    "recipe_strip": {"recipe"},
    "search": {"search-landscape", "search-history", "pareto"},
    "skills": {"skills", "skills-table"},
    "video_controls": {"video-controls-0", "video-controls-1"},
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
    more = ("--item", "v03-0") if name == "attribution_heatmap" else ()
    script(name, study, "--out", out, *more, monkeypatch=monkeypatch)
    assert {path.stem for path in out.glob("*.html")} == DRAWN[name]
    told = capsys.readouterr()
    assert told.err.startswith("HTML alone: pictures need Chrome or Chromium")
    assert set(told.out.split()) == {str(path) for path in out.glob("*.html")}


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
