from __future__ import annotations

from typing import Any

import pandas as pd

from merit_interp.tables.pair_distances import COLUMNS, pair_distances


def tensor(layer: int, name: str, shape: list[int] | None, **values: float) -> dict[str, Any]:
    measures = {"relative_norm": None, "cosine": None, "effective_rank": None}
    return {
        "layer": layer, "tensor": name, "vlm_shape": shape, "backbone_shape": [4, 8],
        **measures, **values,
    }  # fmt: skip


def test_a_row_a_tensor_with_what_it_could_have_at_most() -> None:
    frame = pair_distances(
        {
            "tensors": [
                tensor(0, "q.weight", [4, 8], relative_norm=0.5, cosine=0.9, effective_rank=3.0),
                tensor(0, "q.bias", [8], relative_norm=0.1, cosine=0.8),
                tensor(0, "k.bias", None),
            ]
        }
    )
    assert list(frame.columns) == list(COLUMNS)
    weight, bias = frame.to_dict("records")
    assert (weight["projection"], weight["shape"], weight["n_values"]) == ("q", "4x8", 32)
    assert (weight["effective_rank"], weight["full_rank"]) == (3.0, 4.0)
    assert (bias["tensor"], bias["shape"], bias["relative_norm"]) == ("q.bias", "8", 0.1)
    assert pd.isna(bias["effective_rank"])
    assert pd.isna(bias["full_rank"])


def test_no_tensor_is_an_empty_table_of_the_same_columns() -> None:
    frame = pair_distances({"tensors": []})
    assert list(frame.columns) == list(COLUMNS)
    assert frame.empty
