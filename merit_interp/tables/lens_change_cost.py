"""Do heads that merging changed more cost more when masked, with their depth held fixed?

    found = change_against_cost(heads, "reasoning", model="merged")
    found.estimate, found.by_layers, found.p_value

Merging changes some layers more than others, and some layers matter more than others in every
model; so a correlation over heads of several layers is partly one over layers, and the p-value
exchanges heads within their layer alone. This file must not know how a head was masked.
"""

from __future__ import annotations

import pandas as pd

from merit_interp.statistics.intervals import RESAMPLES
from merit_interp.statistics.layered_correlation import LayeredCorrelation, layered_correlation


def change_against_cost(
    frame: pd.DataFrame,
    skill: str,
    *,
    model: str,
    change: str = "share_all",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LayeredCorrelation:
    """Whether heads that changed more cost more when masked in a model, by rank.

    Args:
        frame: As `head_frame` returns it.
        skill: Of which items.
        model: In which model heads were masked: `vlm` or `merged`.
        change: `share_all` or `output_change`.
        resamples: Random exchanges, where not all are tried.
        seed: Of the random exchanges.
    """
    cost = f"cost_{model}"
    rows = frame[(frame["skill"] == skill) & frame[change].notna() & frame[cost].notna()]
    return layered_correlation(
        rows[change].tolist(), rows[cost].tolist(), rows["layer"].tolist(),
        resamples=resamples, seed=seed,
    )  # fmt: skip
