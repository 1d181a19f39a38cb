from __future__ import annotations

import math
from pathlib import Path

import pytest

from merit_interp.plots.lens_attention import attention_depth, draw_attention_depth
from merit_interp.plots.lens_intervals import cost_rows, direct_rows, draw_rows
from merit_interp.plots.lens_layers import draw_lens, lens_lines
from merit_interp.plots.lens_maps import (
    HeadMap,
    HeadMaps,
    attention_maps,
    change_maps,
    cost_maps,
    direct_maps,
    draw_head_maps,
)
from merit_interp.plots.style import FAINT, GREY, INK
from merit_interp.tables.lens_tables import LensFindings, lens_findings
from tests.synthetic_lens import write_lens


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> LensFindings:
    directory: Path = tmp_path_factory.mktemp("lens")
    return lens_findings(write_lens(directory))


def test_margins_by_layer(findings: LensFindings) -> None:
    data = lens_lines(findings.layers, chosen=(1,))
    assert [(line.skill, line.model) for line in data.lines] == [
        (skill, model)
        for skill in ("reasoning", "perception")
        for model in ("vlm", "merged", "merged minus vlm")
    ]
    change = data.lines[2]
    assert [point.layer for point in change.points] == [-1, 0, 1, 2]
    assert change.last.cost == pytest.approx(1.0, abs=0.15)
    figure = draw_lens(data)
    # what merging changes stands in the right column
    assert [list(t.y) for t in figure.data if t.xaxis == "x2"] == [[p.cost for p in change.points]]
    assert all(trace.error_y.array is not None for trace in figure.data if trace.y[0] is not None)
    bands = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert {(band.x0 + band.x1) / 2 for band in bands} == {1}
    assert "Reasoning (TR), Merged minus VLM: the margin ends at" in data.describe()


def test_attention_by_layer(findings: LensFindings) -> None:
    data = attention_depth(findings.attention, chosen=(1,))
    assert {line.kind for line in data.lines} == {"visual", "question"}
    merged = next(line for line in data.lines if (line.model, line.kind) == ("merged", "visual"))
    assert [point.cost for point in merged.points] == pytest.approx([40, 50, 40])
    figure = draw_attention_depth(data)
    drawn = [trace for trace in figure.data if trace.x[0] is not None]
    assert len(drawn) == 8
    # plotly drops all traces where it finds a shared range itself
    assert all(axis.range is not None for axis in figure.select_yaxes())
    assert "most attention to the video in layer 1, 50%" in data.describe()


def test_maps_mark_what_is_not_shown(findings: LensFindings) -> None:
    attention = attention_maps(findings.attention)
    panel = attention.panels[0]
    assert panel.values[1] == pytest.approx((20.0, 0.0))
    assert panel.shown[1] == (True, False)
    costs = cost_maps(findings.heads, model="merged")
    assert costs.panels[0].rows == (1,)
    assert costs.panels[0].values[0] == pytest.approx((2.0, 0.0), abs=0.15)
    assert costs.panels[0].shown[0] == (True, False)
    direct = direct_maps(findings.direct)
    assert direct.panels[0].columns == ("0", "1", "MLP")
    assert direct.panels[0].values[1] == pytest.approx((0.4, 0.0, 0.0))
    changes = change_maps(findings.heads)
    assert [p.title for p in changes.panels] == [
        "Weights of q, k, v and o", "Output, Reasoning (TR)", "Output, Perception (TP)",
    ]  # fmt: skip
    assert changes.panels[0].values == ((pytest.approx(10.0), pytest.approx(20.0)),)
    figure = draw_head_maps(costs)
    assert "×: not shown, Holm" in figure.layout.title.text
    assert "×: interval holds zero" in draw_head_maps(attention).layout.title.text
    heat = next(trace for trace in figure.data if trace.type == "heatmap")
    assert heat.zmin == -heat.zmax
    texts = [text for t in figure.data if t.type == "scatter" for text in t.text or ()]
    unclear = [not shown for p in costs.panels for row in p.shown for shown in row]
    assert sum(text.endswith("×") for text in texts) == sum(unclear) >= 1
    assert "most at layer 1, head 0, +2.0 nats" in costs.describe()


def test_costs_are_crossed_as_the_verdict_counts_them(findings: LensFindings) -> None:
    # intervals leave zero out, and corrected for the number of heads no head is shown
    heads = findings.heads.assign(
        cost_merged=[1.0, 3.0, 1.0, 3.0], cost_merged_low=0.5, cost_merged_high=4.0,
        p_merged=0.04, p_merged_holm=[0.04, 0.08, 0.08, 0.08],
    )  # fmt: skip
    costs = cost_maps(heads, model="merged")
    assert [panel.shown for panel in costs.panels] == [((True, False),), ((False, False),)]
    wide = cost_maps(heads.assign(cost_merged_low=-0.1), model="merged")
    assert not any(shown for panel in wide.panels for row in panel.shown for shown in row)
    words = costs.describe()
    assert "Reasoning (TR): most at layer 1, head 0, +1.0 nats." in words
    assert "Perception (TP): most at layer 1, head 1, +3.0 nats, none is shown." in words


def test_many_heads_have_signs_in_place_of_numbers() -> None:
    columns = tuple(str(head) for head in range(32))
    values = ((-2.0, 1.0, math.nan) + (0.5,) * 29,)
    shown = ((True, False, True) + (True,) * 29,)
    figure = draw_head_maps(
        HeadMaps("Title", "nats", (HeadMap("Panel", columns, (7,), values, shown),))
    )
    drawn = [trace for trace in figure.data if trace.type == "scatter"]
    texts = {cell for trace in drawn for cell in zip(trace.x, trace.text, strict=True)}
    assert texts == {("0", "−"), ("1", "×")}


def test_a_legend_has_no_colour_of_one_panel(findings: LensFindings) -> None:
    models = ["VLM", "Merged"]
    for figure, names in (
        (draw_lens(lens_lines(findings.layers, chosen=(1,))), [*models, "Chosen layers"]),
        (
            draw_attention_depth(attention_depth(findings.attention, chosen=(1,))),
            [*models, "Chosen layers"],
        ),
        (draw_rows(direct_rows(findings.direct_groups)), [*models, "Merged minus VLM"]),
    ):
        keys = [trace for trace in figure.data if trace.showlegend is not False]
        assert [key.name for key in keys] == names
        assert {key.marker.color for key in keys} <= {GREY, INK, FAINT}


def test_rows_with_intervals(findings: LensFindings) -> None:
    direct = direct_rows(findings.direct_groups)
    assert len(direct.rows) == 5
    assert len(direct.values) == 2 * 3 * 5
    figure = draw_rows(direct)
    drawn = [trace for trace in figure.data if trace.x[0] is not None]
    assert [trace.name for trace in drawn] == ["VLM", "Merged", "Merged minus VLM"] * 2
    costs = cost_rows(findings.heads)
    assert costs.rows == ("1.0", "1.1")
    assert {value.series for value in costs.values} == {"vlm", "merged"}
    assert all(value.low < value.value < value.high for value in costs.values)
    assert "Merged, 1.0: +2" in costs.describe() or "Merged, 1.0: +1.9" in costs.describe()
