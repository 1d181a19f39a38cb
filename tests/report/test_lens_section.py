from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.report.lens import lens_directory, lens_part, write_lens_figures
from merit_interp.report.run_report import write_report
from tests.chromium import measured_at_widths, needs_chromium
from tests.synthetic_lens import write_lens

NAMES = (
    "lens-layers", "lens-attention", "lens-attention-heads", "lens-head-changes",
    "lens-head-costs", "lens-direct-heads", "lens-costs", "lens-direct",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lens run below another run."""
    directory = tmp_path_factory.mktemp("study")
    write_lens(directory / "lens")
    return directory


def test_the_section_holds_verdict_figures_and_checks(study: Path) -> None:
    page = write_report(study / "lens").read_text()
    part = lens_part(study / "lens")
    assert part is not None
    for line in part.findings.verdict.lines:
        assert line.replace("'", "&#39;") in page
    assert tuple(figure.name for figure in part.figures) == NAMES
    for figure in part.figures:
        assert f"figure-{figure.name}" in page
    words = " ".join(page.split())
    assert "answered the same 24 questions" in words
    assert "a head that others stand in for costs nothing alone" in words
    assert part.check_rows[0] == ("VLM", "TransformerLens", "3e-07", "0", "1e-06")


def test_a_run_is_found_in_a_run_or_below_it(study: Path, tmp_path: Path) -> None:
    assert lens_directory(study) == lens_directory(study / "lens") == study / "lens"
    assert lens_part(tmp_path) is None
    write_lens(tmp_path)
    (tmp_path / "finished.json").unlink()
    assert lens_part(tmp_path) is None


def test_what_was_not_measured_has_no_figure(tmp_path: Path) -> None:
    write_lens(tmp_path, merges=False, direct="its final norm is no multiplication")
    part = lens_part(tmp_path)
    assert part is not None
    assert tuple(figure.name for figure in part.figures) == (
        "lens-layers", "lens-attention", "lens-head-costs", "lens-costs",
    )  # fmt: skip
    assert part.check_rows[0][-1] == "its final norm is no multiplication"


@pytest.mark.browser
def test_pictures(study: Path) -> None:
    part = lens_part(study)
    assert part is not None
    paths = write_lens_figures(part.findings)
    assert {path.name for path in paths} == {
        f"{n}.{kind}" for n in NAMES for kind in ("html", "png")
    }
    assert all(path.stat().st_size > 10_000 for path in paths if path.suffix == ".png")


@pytest.mark.browser
@needs_chromium
def test_the_page_fits_phone_and_desktop(study: Path, tmp_path: Path) -> None:
    page = write_report(study / "lens")
    for shown in measured_at_widths(page, (390, 1200), tmp_path):
        assert shown["scroll_width"] <= shown["client_width"]
        assert shown["drawn"] == shown["figures"] > 0
        assert not shown["wide"]
