from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import plotly.graph_objects as go
import pytest

from merit_interp.plots.attribution_controls import (
    attribution_controls,
    draw_attribution_controls,
)
from merit_interp.plots.attribution_overview import (
    attribution_overview,
    draw_attribution_overview,
)
from merit_interp.plots.attribution_shift import attribution_shift, draw_attribution_shift
from merit_interp.plots.attribution_strip import (
    AttributionStrip,
    attribution_strip,
    draw_attribution_strip,
)
from merit_interp.plots.files import write_pictures
from merit_interp.plots.signed_colours import SIGNED, minus_signs, signed_scale
from merit_interp.tables.attribution_tables import AttributionFindings, attribution_findings
from tests.chromium import needs_chromium
from tests.synthetic_attribution import UNITS, write_attribution


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> AttributionFindings:
    directory: Path = write_attribution(tmp_path_factory.mktemp("made-up") / "attribute")
    return attribution_findings(directory)


@pytest.fixture(scope="module")
def strip(findings: AttributionFindings) -> AttributionStrip:
    return attribution_strip(findings.run, "validation", "v00-0")


def darkness(colour: str) -> float:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return 1 - (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def test_the_scale_is_symmetric_and_reads_in_grey() -> None:
    scale = signed_scale(2.0)
    assert (scale["zmin"], scale["zmid"], scale["zmax"]) == (-2.0, 0.0, 2.0)
    places = [place for place, _ in SIGNED]
    assert places == sorted(1 - place for place in places)
    tones = [darkness(colour) for _, colour in SIGNED]
    assert tones[2] < 0.01
    assert tones[0] > tones[1] > tones[2] < tones[3] < tones[4]
    assert abs(tones[0] - tones[4]) > 0.1  # the two ends differ without colour
    assert signed_scale(0.0)["zmax"] > 0


def test_minus_signs_mark_what_is_below_zero() -> None:
    assert minus_signs([[0.4, -0.4, None, -0.001]], 0.5) == [["", "−", "", ""]]


def test_a_strip_has_the_frames_and_a_row_for_each_model(strip: AttributionStrip) -> None:
    assert [row.label for row in strip.rows] == [
        "VLM", "Merged", "Random layers", "Recipe's layers masked",
    ]  # fmt: skip
    assert len(strip.thumbnails) == len(strip.starts_s) == UNITS
    assert strip.rows[0].chosen == "the square"
    assert not strip.rows[0].correct
    assert strip.rows[1].correct
    assert strip.limit == max(abs(s) for row in strip.rows for s in row.scores)


OPTIONS = ("\u0642\u0644\u0628", "\u202ereversed", "\u0642\u0645\u0631", "b\x07d")


def odd(strip: AttributionStrip, findings: AttributionFindings, **changes: object) -> go.Figure:
    """The figure of an item with other texts."""
    picture, *others = findings.run.items
    assert picture.item == strip.item
    changed = dataclasses.replace(picture, **changes)  # type: ignore[arg-type]
    run = dataclasses.replace(findings.run, items=(changed, *others))
    return draw_attribution_strip(attribution_strip(run, "validation", picture.item))


def test_marks_stay_beside_their_option_whatever_way_it_reads(
    strip: AttributionStrip, findings: AttributionFindings
) -> None:
    figure = odd(strip, findings, options=OPTIONS, answer=2, question=f"{OPTIONS[0]} (1)?")
    text = figure.layout.annotations[0].text
    assert text.startswith(
        "Options: \u2068\u0642\u0644\u0628\u2069 / reversed / "
        "\u2068\u0642\u0645\u0631\u2069 (right) / b\ufffdd<br>"
    )
    assert "VLM: \u2068\u0642\u0644\u0628\u2069 ✗, Merged: reversed ✗" in text
    assert figure.layout.title.text == f"\u2068{OPTIONS[0]} (1)?\u2069"


def test_options_that_look_alike_are_not_both_right(
    strip: AttributionStrip, findings: AttributionFindings
) -> None:
    figure = odd(strip, findings, options=("heart", "\u202dheart"), answer=1)
    assert figure.layout.annotations[0].text.startswith("Options: heart / heart (right)<br>")


def test_a_question_without_spaces_is_cut_and_not_left_out(
    strip: AttributionStrip, findings: AttributionFindings
) -> None:
    question = "\u8d64\u3044\u4e38\u306e\u3042\u3068" * 30
    assert odd(strip, findings, question=question).layout.title.text == f"{question[:47]} …"


@pytest.mark.browser
@needs_chromium
def test_no_text_ends_a_picture(strip: AttributionStrip, tmp_path: Path) -> None:
    figure = draw_attribution_strip(strip)
    # as a name would that comes into a figure on some other way
    figure.update_layout(title_text="a\x00b\x07c\ufffe")
    figure.update_xaxes(ticktext=["\x1b[31m"] * UNITS)
    write_pictures({tmp_path / "a.png": figure, tmp_path / "a.svg": figure})
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "a\ufffdb\ufffdc" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert figure.layout.title.text == "a\x00b\x07c\ufffe"


def test_a_strip_draws_every_frame_on_one_scale(strip: AttributionStrip) -> None:
    figure = draw_attribution_strip(strip)
    (heatmap,) = figure.data
    assert (heatmap.zmin, heatmap.zmax) == (-strip.limit, strip.limit)
    assert len(figure.layout.images) == UNITS
    assert all(image.source.startswith("data:image/") for image in figure.layout.images)
    frames = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0 + 0.49, shape.x1 - 0.49) for shape in frames] == [(0.0, 0.0)]
    # a user's text is shown, not obeyed
    assert "&lt;b&gt;" in figure.layout.title.text
    texts = " ".join(str(a.text) for a in figure.layout.annotations)
    assert "the star (right)" in texts
    assert "VLM: the square ✗, Merged: the star ✓" in texts
    assert "−" in texts
    json.loads(figure.to_json())


def test_a_temporal_patch_is_shown_over_both_of_its_frames(strip: AttributionStrip) -> None:
    halves = tuple(row for row in strip.rows)
    patched = dataclasses.replace(
        strip,
        units=tuple(frame // 2 for frame in range(UNITS)),
        rows=tuple(dataclasses.replace(row, scores=row.scores[: UNITS // 2]) for row in halves),
    )
    figure = draw_attribution_strip(patched)
    row = figure.data[0].z[0]
    assert row[0] == row[1] != row[2]
    assert any("temporal patch" in str(a.text) for a in figure.layout.annotations)


def test_evidence_in_two_places_has_two_frames(strip: AttributionStrip) -> None:
    flags = (True, True, False, False, True, False, False, False)
    figure = draw_attribution_strip(dataclasses.replace(strip, in_evidence=flags))
    frames = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(s.x0 + 0.49, s.x1 - 0.49) for s in frames] == [(0.0, 1.0), (4.0, 4.0)]


def test_an_overview_aligns_every_item_on_its_evidence(findings: AttributionFindings) -> None:
    data = attribution_overview(findings.run, "validation")
    assert [panel.label for panel in data.panels] == ["VLM", "Merged"]
    assert [row.item for row in data.panels[0].rows] == [row.item for row in data.panels[1].rows]
    for row in data.panels[0].rows:
        assert row.in_evidence[row.offsets.index(0)]
        assert sum(abs(share) for share in row.shares) == pytest.approx(1)
    skills = [row.skill for row in data.panels[0].rows]
    assert skills == ["reasoning"] * 20 + ["perception"] * 20
    figure = draw_attribution_overview(data)
    heatmaps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert {(trace.zmin, trace.zmax) for trace in heatmaps} == {(-0.5, 0.5)}
    # a share beyond the end of the scale has its colour, which the scale says
    assert max(abs(s) for p in data.panels for row in p.rows for s in row.shares) > 0.5
    assert list(heatmaps[0].colorbar.ticktext) == ["≤ −50%", "0", "≥ +50%"]


def test_before_and_after_have_the_same_items(findings: AttributionFindings) -> None:
    data = attribution_shift(findings.frame, findings.shift, "validation", method="ig")
    assert [panel.skill for panel in data.panels] == ["reasoning", "perception"]
    first = data.panels[0]
    assert [column.label for column in first.columns] == ["Random layers", "VLM", "Merged"]
    assert {len(column.excess) for column in first.columns} == {20}
    assert first.difference == pytest.approx(0.3, abs=0.05)
    assert "points" in data.describe()
    nothing = dataclasses.replace(first, difference=-0.0001, low=-0.02, high=0.0004)
    assert nothing.text.startswith("0.0 points (95% −2.0 to 0.0)")
    drawn = draw_attribution_shift(data).data
    assert len(drawn) == 2 * (1 + 2 * 3) + 2
    keys = [trace.name for trace in drawn if trace.showlegend is not False]
    assert keys == ["One item", "Mean, 95% interval by video"]


def test_every_series_is_one_row(findings: AttributionFindings) -> None:
    data = attribution_controls(findings.shift, "validation", method="ig")
    assert data.rows[:3] == ("VLM", "Merged", "Random layers")
    assert "Merged, frames shuffled" in data.rows
    assert "VLM, Shapley values" in data.rows
    assert len(data.points) == 2 * len(data.rows)
    assert len(draw_attribution_controls(data).data) == 2
