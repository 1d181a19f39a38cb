from __future__ import annotations

from pathlib import Path

from merit_interp.report.attribution import attribution_part
from merit_interp.report.sections import render
from tests.synthetic_attribution import write_attribution


def test_the_section_has_lines_figures_and_typical_items(tmp_path: Path) -> None:
    write_attribution(tmp_path / "attribute")
    part = attribution_part(tmp_path)
    assert part is not None
    assert [figure.name for figure in part.figures] == [
        "attribution-shift", "attribution-controls", "attribution-measures",
        "attribution-overview",
    ]  # fmt: skip
    assert part.examples[0].kind == "turned from wrong to right"
    html = str(render("attribution.html.jinja", part=part))
    assert "the video&#39;s mean frame" in html
    assert "not by hand" in html
    assert html.count("<details") == len(part.examples) == 6
    assert "<b>circle</b>" not in html
    assert "data:image" in html


def test_a_run_without_a_finished_attribution_has_no_section(tmp_path: Path) -> None:
    assert attribution_part(tmp_path) is None
    run = write_attribution(tmp_path / "attribute")
    (run / "finished.json").unlink()
    assert attribution_part(tmp_path) is None
