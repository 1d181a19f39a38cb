"""How far each self-attention tensor of a VLM lies from its backbone's, as a table.

    frame = pair_distances(report.to_row())

One row a tensor, by layer, then projection. This file must not know checkpoints: it takes the
report of `pair` as JSON values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

COLUMNS = {
    "layer": "int64",
    "tensor": "object",
    "projection": "object",
    "shape": "object",
    "n_values": "int64",
    "relative_norm": "float64",
    "cosine": "float64",
    "effective_rank": "float64",
    "full_rank": "float64",
}


def pair_distances(report: Mapping[str, Any]) -> pd.DataFrame:
    """The tensors that both sides have.

    Args:
        report: As `PairReport.to_row` gives it, or as its JSON is read back.

    Returns:
        Columns `layer`, `tensor` (`q.weight`), `projection` (`q`), `shape` (`3584x3584`),
        `n_values`, `relative_norm` (|backbone - vlm| / |vlm|), `cosine`, `effective_rank` of the
        difference and `full_rank`, the largest that it could be; NaN where undefined or not asked
        for, as for biases.
    """
    rows = [_row(tensor) for tensor in report["tensors"] if _is_shared(tensor)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _is_shared(tensor: Mapping[str, Any]) -> bool:
    return tensor["vlm_shape"] is not None and tensor["backbone_shape"] is not None


def _row(tensor: Mapping[str, Any]) -> dict[str, Any]:
    shape = list(tensor["vlm_shape"])
    n_values = 1
    for side in shape:
        n_values *= side
    return {
        "layer": tensor["layer"],
        "tensor": tensor["tensor"],
        "projection": tensor["tensor"].partition(".")[0],
        "shape": "x".join(map(str, shape)),
        "n_values": n_values,
        "relative_norm": tensor["relative_norm"],
        "cosine": tensor["cosine"],
        "effective_rank": tensor["effective_rank"],
        "full_rank": min(shape) if len(shape) == 2 else None,
    }
