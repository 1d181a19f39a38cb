from __future__ import annotations

import pandas as pd
import pytest

from merit_interp.plots.pair_distances import draw_distances, layer_distances
from merit_interp.tables.pair_distances import pair_distances


def table(n_layers: int, *, with_ranks: bool = True) -> pd.DataFrame:
    shapes = {"q": [8, 8], "k": [4, 8], "v": [4, 8], "o": [8, 8]}
    return pair_distances(
        {
            "tensors": [
                {
                    "layer": layer, "tensor": f"{name}.{kind}",
                    "vlm_shape": shape, "backbone_shape": shape,
                    "relative_norm": 0.1 * (layer + 1), "cosine": 1 - 0.01 * layer,
                    "effective_rank": 2.0 if with_ranks else None,
                }
                for layer in range(n_layers)
                for name, shape in shapes.items()
                for kind in ("weight", "bias")
            ]
        }
    )  # fmt: skip


def test_a_line_a_projection_in_each_panel() -> None:
    data = layer_distances(table(3))
    assert data.measures == ("relative_norm", "cosine", "rank_percent")
    assert [line.projection for line in data.of("cosine")] == ["q", "k", "v", "o"]
    (q, k, _, _) = data.of("rank_percent")
    assert q.values == pytest.approx([25.0] * 3)
    assert k.values == pytest.approx([50.0] * 3)
    figure = draw_distances(data)
    assert len(figure.data) == 12
    # told apart without colour
    first = figure.data[:4]
    assert len({trace.marker.symbol for trace in first}) == 4
    assert len({trace.line.dash for trace in first}) == 4
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        "q (8 × 8)", "k (4 × 8)", "v (4 × 8)", "o (8 × 8)",
    ]  # fmt: skip
    assert "q moved most in layer 2 (relative norm 0.300; least 0.100)." in data.describe()
    assert "The difference of k has 50% of full rank." in data.describe()


def test_without_ranks_there_is_no_panel_of_them() -> None:
    data = layer_distances(table(2, with_ranks=False))
    assert data.measures == ("relative_norm", "cosine")
    assert len(draw_distances(data).data) == 8


def test_deep_models_label_every_fourth_layer() -> None:
    figure = draw_distances(layer_distances(table(28)))
    assert figure.layout.xaxis.dtick == 4
    assert tuple(figure.layout.xaxis.range) == (-0.6, 27.6)


def test_nothing_in_common_is_said() -> None:
    data = layer_distances(table(0))
    assert "No weight" in data.describe()
    draw_distances(data)
