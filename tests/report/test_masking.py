from __future__ import annotations

import math
from pathlib import Path

import pytest

from merit_interp.report.masking import masking_part, sweep_directory, write_masking_figures
from merit_interp.report.run_report import write_report
from tests.synthetic_masking import write_sweep


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep below another run."""
    directory = tmp_path_factory.mktemp("study")
    write_sweep(
        directory / "mask", reasoning=(0, 3, 0.5, 2, 0, 0), perception=(1, 0, 0, 0, 0, 0.2),
        chosen=(1, 2, 3), noise=0.1,
    )  # fmt: skip
    return directory


def test_the_section_holds_verdict_figures_and_numbers(study: Path) -> None:
    page = write_report(study / "mask").read_text()
    part = masking_part(study / "mask")
    assert part is not None
    for line in part.findings.verdict.lines:
        assert line.replace("'", "&#39;") in page
    assert [figure.name for figure in part.figures] == [
        "mask-layers", "mask-sets", "mask-depth", "mask-categories",
    ]  # fmt: skip
    for figure in part.figures:
        assert f"figure-{figure.name}" in page
    assert "Participation ratio (layers)" in page
    assert "does not say what those" in " ".join(page.split())
    assert "by nothing, at every token, in every model on the same 96 questions" in " ".join(
        page.split()
    )


def test_comparisons_have_units_and_plain_names(study: Path) -> None:
    part = masking_part(study / "mask")
    assert part is not None
    rows = part.comparison_rows
    assert len(rows) == len(part.findings.comparisons)
    for row, test in zip(rows, part.findings.comparisons, strict=True):
        # a share is shown in the points that its column says
        scale = 100 if test.outcome == "accuracy" and test.test != "correlation" else 1
        assert ("(points)" in row.outcome) == (test.outcome == "accuracy")
        shown = float(row.more.replace("−", "-")) if row.more != "–" else math.nan
        assert shown == pytest.approx(scale * test.estimate, abs=0.06, nan_ok=True)
        assert "-" not in row.more + row.ends
        assert (row.p_holm == "–") == math.isnan(test.p_holm)
    assert {row.masked for row in rows} == {"all at once", "one by one"}
    assert "_" not in "".join(row.outcome + row.cost_to for row in rows)


def test_a_sweep_is_found_in_a_run_or_below_it(study: Path, tmp_path: Path) -> None:
    assert sweep_directory(study) == sweep_directory(study / "mask") == study / "mask"
    assert masking_part(tmp_path) is None
    write_sweep(tmp_path, reasoning=(1, 0), perception=(0, 1), chosen=(1,))
    (tmp_path / "finished.json").unlink()
    assert masking_part(tmp_path) is None


@pytest.mark.browser
def test_pictures(study: Path) -> None:
    paths = write_masking_figures(masking_part(study).findings)  # type: ignore[union-attr]
    names = ("mask-categories", "mask-depth", "mask-layers", "mask-sets")
    assert [path.name for path in paths] == [
        f"{name}.{kind}" for kind in ("html", "png") for name in names
    ]
    assert all(path.stat().st_size > 10_000 for path in paths if path.suffix == ".png")
