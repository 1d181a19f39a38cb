"""Where heads look: shares of attention on each kind of token, with intervals.

    frame = attention_frame(run)

Shares are means over items of one skill; over a layer's heads too, where `head` is -1, and over
layers, where `layer` is. Intervals are over videos. This file must not know how attention was read.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from merit_interp.lens_records import TOKEN_KINDS
from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import linear_means
from merit_interp.tables.lens_frames import SKILLS, LensRun
from merit_interp.tables.lens_layers import CHANGE, paired

ALL = -1
"""Stands for all heads of a layer, or all layers."""
POSITIONS = {
    "answer": "from the prompt's last token, which predicts the answer",
    "question": "mean over the question's tokens",
}

ATTENTION_COLUMNS = {
    "model": "str",
    "skill": "str",
    "position": "str",
    "kind": "str",
    "layer": "int64",
    "head": "int64",
    "share": "float64",
    "low": "float64",
    "high": "float64",
    "n_items": "int64",
    "n_videos": "int64",
}
"""`position` is one of `POSITIONS`, `kind` of `records.TOKEN_KINDS`; for the difference of two
models `share` is that of shares, in [-1, 1]."""


def attention_frame(run: LensRun) -> pd.DataFrame:
    """One row for each model (and their difference), skill, position, kind, layer and head."""
    parts = []
    pair = paired(run)
    for skill in SKILLS:
        for position in POSITIONS:
            cells = [
                (name, own, own.shares[position], own.n_tokens.sum(axis=0) > 0)
                for name, own in run.models.items()
            ]
            if pair is not None:
                change = pair[1].shares[position] - pair[0].shares[position]
                cells.append((CHANGE, pair[0], change, pair[0].n_tokens.sum(axis=0) > 0))
            for name, own, shares, present in cells:
                chosen = own.of_skill(skill)
                if chosen.any():
                    part = _rows(shares[chosen][..., present], own.groups(chosen))
                    kinds = np.array(TOKEN_KINDS)[present]
                    part = part.assign(
                        model=name, skill=skill, position=position, kind=kinds[part["kind"]]
                    )
                    parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    return frame[list(ATTENTION_COLUMNS)].astype(ATTENTION_COLUMNS)


def _rows(shares: FloatArray, groups: list[str]) -> pd.DataFrame:
    """Means of (items, layers, heads, kinds), with those over heads and over layers."""
    by_layer = np.concatenate([shares.mean(axis=2, keepdims=True), shares], axis=2)
    over_all = by_layer[:, :, :1].mean(axis=1)
    _, n_layers, n_heads, n_kinds = by_layer.shape
    values = np.concatenate(
        [over_all.reshape(len(shares), -1), by_layer.reshape(len(shares), -1)], axis=1
    )
    means = linear_means(values.T, groups)
    layer, head, kind = np.indices((n_layers, n_heads, n_kinds)).reshape(3, -1)
    return pd.DataFrame(
        {
            "layer": [*[ALL] * n_kinds, *layer],
            "head": [*[ALL] * n_kinds, *(head - 1)],
            "kind": [*range(n_kinds), *kind],
            "share": means.estimate,
            "low": means.low,
            "high": means.high,
            "n_items": means.n_items,
            "n_videos": means.n_clusters,
        }
    )
