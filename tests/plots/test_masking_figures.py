from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merit_interp.plots.masking_categories import draw_layer_categories, layer_categories
from merit_interp.plots.masking_depth import depth_profiles, draw_depth
from merit_interp.plots.masking_heads import draw_head_costs, head_costs
from merit_interp.plots.masking_layers import draw_layer_importance, layer_importance
from merit_interp.plots.masking_sets import draw_set_distributions, histogram, set_distributions
from merit_interp.plots.style import GREY, INK
from merit_interp.tables.masking_tables import MaskingFindings, masking_findings
from tests.synthetic_masking import write_sweep

REASONING = (0.0, 3.0, 0.5, 2.0, 0.1, 0.0)
PERCEPTION = (1.0, 0.2, 0.0, -0.5, 0.0, 0.3)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> MaskingFindings:
    directory: Path = tmp_path_factory.mktemp("sweep")
    write_sweep(directory, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 3), noise=0.1)
    return masking_findings(directory)


def test_layers(findings: MaskingFindings) -> None:
    data = layer_importance(findings.layers, chosen=(1, 3))
    assert [model for model, _ in data.panels] == ["vlm", "merged"]
    costs = {(c.skill, c.layer): c for c in dict(data.panels)["merged"]}
    for layer, cost in enumerate(REASONING):
        found = costs["reasoning", layer]
        assert found.cost == pytest.approx(cost, abs=0.1)
        assert found.low < found.cost < found.high
    figure = draw_layer_importance(data)
    drawn = [trace for trace in figure.data if trace.name == "Reasoning (TR)"]
    assert [list(trace.y) for trace in drawn] == [
        [c.cost for c in costs if c.skill == "reasoning"] for _, costs in data.panels
    ]
    # one range over the panels, so that a fall from one to the next is seen
    ends = [end for _, costs in data.panels for c in costs for end in (c.low, c.high)]
    ((low, high),) = {tuple(axis.range) for axis in figure.select_yaxes()}
    assert low < min(ends) < max(ends) < high
    bands = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(band.x0 + band.x1) / 2 for band in bands] == pytest.approx([1, 3, 1, 3])
    assert "Merged: Reasoning (TR) loses most" in data.describe()
    assert "layer 1" in data.describe()


def test_categories(findings: MaskingFindings) -> None:
    data = layer_categories(findings.layers, model="merged", chosen=(1, 3))
    assert data.rows == (
        ("reasoning", "reasoning 0"), ("reasoning", "reasoning 1"),
        ("perception", "perception 0"), ("perception", "perception 1"),
    )  # fmt: skip
    assert data.n_items == (24,) * 4
    assert [c.cost for c in data.costs[0]] == pytest.approx(REASONING, abs=0.1)
    assert [c.cost for c in data.costs[3]] == pytest.approx(PERCEPTION, abs=0.1)
    figure = draw_layer_categories(data)
    assert [list(row) for row in figure.data[0].z] == [[c.cost for c in r] for r in data.costs]
    # each cell has its number, and a cross where its interval holds zero
    written = {(x, y): text for trace in figure.data[1:]
               for x, y, text in zip(trace.x, trace.y, trace.text, strict=True)}  # fmt: skip
    assert len(written) == 4 * 6
    for place, row in enumerate(data.costs):
        for c in row:
            assert written[c.layer, place].endswith("×") == (c.low <= 0 <= c.high)
    assert written[3, 3] == "−0.5"
    assert {text.endswith("×") for text in written.values()} == {True, False}
    assert "×: interval holds zero" in figure.layout.title.text
    # as far below zero as above it, so that no cost is white
    assert figure.data[0].zmin == -figure.data[0].zmax
    assert "<b>3</b>" in figure.layout.xaxis.ticktext
    empty = layer_categories(findings.layers, model="nobody", chosen=())
    assert "no categories" in empty.describe()


def test_sets(findings: MaskingFindings) -> None:
    data = set_distributions(findings.run, findings.comparisons, model="merged")
    assert [d.test for d in data.distributions] == ["reasoning", "perception", "interaction"]
    reasoning, perception, interaction = data.distributions
    assert reasoning.chosen == pytest.approx(5.0, abs=0.2)
    assert (len(reasoning.others), reasoning.rank, data.exhaustive) == (14, 1, True)
    assert interaction.chosen == pytest.approx(reasoning.chosen - perception.chosen)
    assert max(reasoning.others) == pytest.approx(3.5, abs=0.2)
    counts, edges = histogram(reasoning)
    assert counts.sum() == 14
    assert edges[0] < min(reasoning.others)
    assert edges[-1] > reasoning.chosen
    figure = draw_set_distributions(data)
    marks = [t for t in figure.data if t.type == "scatter"]
    lines = [t.x[0] for t in marks if t.mode == "lines"]
    assert lines == [d.chosen for d in data.distributions]
    bars = [t.error_x for t in marks if t.error_x.array is not None]
    for d, bar in zip(data.distributions, bars, strict=True):
        assert d.low < d.chosen < d.high
        assert (bar.array[0], bar.arrayminus[0]) == (d.high - d.chosen, d.chosen - d.low)
    assert f"({reasoning.low:.2f} to {reasoning.high:.2f}), rank 1 of 15" in data.describe()
    assert {t.name for t in figure.data if t.showlegend is not False} == {
        "Other sets", "The chosen layers, 95% interval by video",
    }  # fmt: skip
    assert "all 14 other sets of 2 layers" in figure.layout.title.text


def test_sets_that_all_cost_the_same() -> None:
    from merit_interp.plots.masking_sets import SetDistribution

    counts, edges = histogram(SetDistribution("reasoning", 1.0, (1.0,) * 5, 6, 1.0))
    assert counts.sum() == 5
    assert np.all(np.diff(edges) > 0)


def test_depth(findings: MaskingFindings) -> None:
    data = depth_profiles(findings.layers, findings.depth, chosen=(1, 3))
    assert [(p.model, p.skill) for p in data.profiles] == [
        ("vlm", "reasoning"), ("vlm", "perception"),
        ("merged", "reasoning"), ("merged", "perception"),
    ]  # fmt: skip
    merged = data.profiles[2]
    assert merged.centre is not None
    wanted = sum(i * c for i, c in enumerate(REASONING)) / sum(REASONING)
    assert merged.centre.estimate == pytest.approx(wanted, abs=0.15)
    assert [c.skill for c in data.correlations] == ["reasoning", "perception"]
    figure = draw_depth(data)
    drawn = [t for t in figure.data if t.x[0] is not None]
    triangles = [t for t in drawn if t.marker.symbol == "triangle-down"]
    assert sorted(t.x[0] for t in triangles) == sorted(
        p.centre.estimate for p in data.profiles if p.centre is not None
    )
    assert "centre of mass" in data.describe()
    # the legend explains every mark, in grey and ink: the panels have the skills' colours
    keys = [t for t in figure.data if t.showlegend is not False]
    assert [t.name for t in keys] == [
        "Before (VLM)", "After (merged)", "Centre of mass, 95% interval", "Chosen layers",
    ]  # fmt: skip
    assert {t.line.color for t in keys if t.line.color} == {GREY, INK}
    assert len({tuple(axis.range) for axis in figure.select_yaxes()}) == 1


def test_heads() -> None:
    layers = pd.DataFrame(
        [
            {"roles": role, "model": "merged", "category": "all", "outcome": "margin_nats",
             "layers": str(layer), "heads": str(head), "skill": skill,
             "cost": 10.0 * layer + head - 5 * (skill == "perception"),
             "low": 10.0 * layer + head - 5.5, "high": 40.0}
            for role in ("head", "single")
            for layer in range(3) for head in range(2) for skill in ("perception", "reasoning")
        ]
    )  # fmt: skip
    data = head_costs(layers, model="merged")
    assert data.skills == ("reasoning", "perception")
    costs = [[[c.cost for c in row] for row in rows] for rows in data.costs]
    assert costs[0] == [[0, 1], [10, 11], [20, 21]]
    assert costs[1][0] == [-5, -4]
    assert "21.00 nats of margin, by masking head 1 of layer 2" in data.describe()
    figure = draw_head_costs(data)
    heat = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [[list(row) for row in trace.z] for trace in heat] == costs
    texts = [text for trace in figure.data for text in trace.text or () if trace.xaxis == "x2"]
    assert sorted(texts) == ["15.0", "16.0", "5.0", "6.0", "−4.0 ×", "−5.0 ×"]
    assert head_costs(layers, model="vlm").skills == ()
    # where numbers have no room, a minus and the cross stay
    wide = pd.concat(layers.assign(heads=layers["heads"].astype(int) + 2 * n) for n in range(6))
    figure = draw_head_costs(head_costs(wide.assign(heads=wide["heads"].map(str)), model="merged"))
    assert {text for trace in figure.data for text in trace.text or ()} == {"×"}


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(1, 2), perception=(1, 2), chosen=(1,), skills=("reasoning",))
    found = masking_findings(tmp_path)
    layers = found.layers.replace({"category": {"reasoning 0": "<i>x</i>"}})
    figure = draw_layer_categories(layer_categories(layers, model="merged", chosen=(1,)))
    assert any("&lt;i&gt;" in label for label in figure.layout.yaxis.ticktext)
