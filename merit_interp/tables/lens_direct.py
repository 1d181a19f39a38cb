"""Direct logit attribution in numbers: what each head, MLP and the embedding say to the margin.

    frame = direct_frame(run)
    groups = direct_groups(run)

A part is positive where it speaks for the right option against the strongest wrong one of the same
model. Parts of one model add up to its margin. Intervals are over videos. This file must not know
how a part was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import linear_means
from merit_interp.tables.lens_frames import SKILLS, DirectArrays, LensRun
from merit_interp.tables.lens_layers import CHANGE, paired

PartsOf = Callable[[DirectArrays], FloatArray]
"""(items, parts) of a model's direct parts."""

NONE = -1
"""Stands for no layer and no head."""
GROUPS = {
    "chosen_heads": "heads of the compared layers",
    "other_heads": "heads of other layers",
    "mlps": "MLPs",
    "embedding": "embedding and output biases",
    "margin": "all together",
}

DIRECT_COLUMNS = {
    "model": "str",
    "skill": "str",
    "part": "str",
    "layer": "int64",
    "head": "int64",
    "nats": "float64",
    "low": "float64",
    "high": "float64",
    "n_items": "int64",
    "n_videos": "int64",
}
"""`part` is `embedding`, `head`, `bias` or `mlp`, or one of `GROUPS` in the table of groups;
`layer` and `head` are -1 where a part has none."""


def direct_frame(run: LensRun) -> pd.DataFrame:
    """One row for each model (and their difference), skill and part."""
    layers, heads = range(run.plan.n_layers), range(run.plan.n_heads)
    names = [
        ("embedding", NONE, NONE),
        *(("head", layer, head) for layer in layers for head in heads),
        *(("bias", layer, NONE) for layer in layers),
        *(("mlp", layer, NONE) for layer in layers),
    ]
    return _frame(run, names, _parts)


def direct_groups(run: LensRun) -> pd.DataFrame:
    """The same with parts put together as in `GROUPS`."""
    chosen = list(run.plan.layers)

    def grouped(direct: DirectArrays) -> FloatArray:
        by_layer = direct.heads.sum(axis=2)
        own = by_layer[:, chosen].sum(axis=1)
        rest = direct.embedding + direct.biases.sum(axis=1)
        columns = [own, by_layer.sum(axis=1) - own, direct.mlps.sum(axis=1), rest, direct.margin]
        return np.stack(columns, axis=1)

    return _frame(run, [(name, NONE, NONE) for name in GROUPS], grouped)


def _parts(direct: DirectArrays) -> FloatArray:
    n_items = len(direct.margin)
    heads = direct.heads.reshape(n_items, -1)
    parts = [direct.embedding[:, None], heads, direct.biases, direct.mlps]
    return np.concatenate(parts, axis=1)


def _frame(run: LensRun, names: Sequence[tuple[str, int, int]], parts_of: PartsOf) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for skill in SKILLS:
        for model, values, groups in _cells(run, skill, parts_of):
            means = linear_means(values.T, groups)
            rows += [
                {
                    "model": model,
                    "skill": skill,
                    "part": part,
                    "layer": layer,
                    "head": head,
                    "nats": means.estimate[place],
                    "low": means.low[place],
                    "high": means.high[place],
                    "n_items": means.n_items,
                    "n_videos": means.n_clusters,
                }
                for place, (part, layer, head) in enumerate(names)
            ]
    return pd.DataFrame(rows, columns=list(DIRECT_COLUMNS)).astype(DIRECT_COLUMNS)


def _cells(run: LensRun, skill: str, parts_of: PartsOf) -> list[tuple[str, FloatArray, list[str]]]:
    """Models that have such parts, then the change on the items that both have."""
    cells: list[tuple[str, FloatArray, list[str]]] = []
    for name, own in run.models.items():
        if own.direct is None:
            continue
        chosen = own.of_skill(skill)[own.direct.places]
        if chosen.any():
            groups = own.groups(own.direct.places[chosen])
            cells.append((name, parts_of(own.direct)[chosen], groups))
    pair = paired(run)
    if pair is not None and pair[0].direct is not None and pair[1].direct is not None:
        vlm, merged = pair[0].direct, pair[1].direct
        # whether options are single tokens does not depend on the weights
        assert vlm.places.tolist() == merged.places.tolist()
        chosen = pair[0].of_skill(skill)[vlm.places]
        if chosen.any():
            change = (parts_of(merged) - parts_of(vlm))[chosen]
            cells.append((CHANGE, change, pair[0].groups(vlm.places[chosen])))
    return cells
