from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from merit_interp.plots.attribution_controls import (
    attribution_controls,
    draw_attribution_controls,
)
from merit_interp.plots.attribution_measures import (
    AttributionMeasures,
    attribution_measures,
    draw_attribution_measures,
)
from merit_interp.plots.style import readable_pixels
from merit_interp.tables.attribution_tables import AttributionFindings, attribution_findings
from tests.synthetic_attribution import write_attribution


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> AttributionFindings:
    directory: Path = write_attribution(tmp_path_factory.mktemp("made-up") / "attribute")
    return attribution_findings(directory)


@pytest.fixture(scope="module")
def measures(findings: AttributionFindings) -> AttributionMeasures:
    return attribution_measures(findings.shift, "validation", method="ig")


def test_every_measure_and_method_is_a_row(measures: AttributionMeasures) -> None:
    shares, nats = measures.rows(in_nats=False), measures.rows(in_nats=True)
    assert shares[:3] == (
        "Mass by integrated gradients (the main one)", "Mass by Shapley values",
        "Positive mass by integrated gradients",
    )  # fmt: skip
    assert len(shares) == 8
    assert nats == ("Deletion of the evidence", "Insertion of the evidence")
    assert [skill for skill, _ in measures.by_skill] == ["reasoning", "perception"]
    assert "Reasoning (TR): shown for " in measures.describe()
    assert " of 10: mass by integrated gradients +" in measures.describe()


def test_marks_have_intervals_and_are_filled_where_shown(measures: AttributionMeasures) -> None:
    skill, shifts = measures.by_skill[0]
    unclear = tuple(dataclasses.replace(s, p_holm=1.0) for s in shifts[1:])
    figure = draw_attribution_measures(
        AttributionMeasures("validation", ((skill, (shifts[0], *unclear)),))
    )
    shares, nats = (trace for trace in figure.data if not trace.showlegend and trace.error_x.array)
    assert list(shares.marker.color) == ["#004f80"] + 7 * ["white"]
    assert list(nats.marker.color) == ["white", "white"]
    first = shifts[0]
    assert shares.x[0] == pytest.approx(100 * first.difference)
    assert shares.error_x.array[0] == pytest.approx(100 * (first.high - first.difference))
    assert shares.error_x.arrayminus[0] == pytest.approx(100 * (first.difference - first.low))
    assert nats.x[0] == pytest.approx(shifts[-2].difference)
    texts = [a.text for a in figure.layout.annotations]
    assert texts == [*measures.rows(in_nats=False), *measures.rows(in_nats=True)]
    assert [t.name for t in figure.data if t.name] == ["Reasoning (TR)", "hollow: not shown"]


def test_shares_alone_and_nothing_at_all_can_be_drawn(measures: AttributionMeasures) -> None:
    skill, shifts = measures.by_skill[1]
    alone = AttributionMeasures("validation", ((skill, tuple(s for s in shifts if not s.in_nats)),))
    assert len(list(draw_attribution_measures(alone).select_xaxes())) == 1
    empty = AttributionMeasures("validation", ())
    assert draw_attribution_measures(empty).layout.height > 0


def test_a_phone_needs_no_sideways_scrolling(
    findings: AttributionFindings, measures: AttributionMeasures
) -> None:
    controls = attribution_controls(findings.shift, "validation", method="ig")
    for figure in (draw_attribution_measures(measures), draw_attribution_controls(controls)):
        assert readable_pixels(figure) == 0
        assert not any(axis.showticklabels for axis in figure.select_yaxes())


def test_a_control_that_masks_fewer_layers_is_called_so(findings: AttributionFindings) -> None:
    labels = {"masked_others": "The other 3 layers masked"}
    data = attribution_controls(findings.shift, "validation", method="ig", labels=labels)
    assert "The other 3 layers masked" in data.rows
    assert "Other layers masked" not in data.rows
    assert "-" not in data.describe().replace("x-", "")
    assert "+0.0" not in data.describe()
