"""Heads of the compared layers: how much merging changed each, and what masking it costs.

    frame = head_frame(run)

Costs are drops of the right option's margin, in nats, so that they are positive where the head
helps. P-values flip signs of whole videos; Holm's correction runs over all heads of a skill. This
file must not know how a head was masked.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import LinearMeans, linear_means
from merit_interp.statistics.multiplicity import holm
from merit_interp.statistics.paired import paired_difference
from merit_interp.tables.agreement import side_shown
from merit_interp.tables.lens_frames import SKILLS, LensRun
from merit_interp.tables.masking_effects import PRIMARY, ModelEffects
from merit_interp.tables.model_names import MERGED, VLM

WEIGHTS = ("q", "k", "v", "o", "all")
_NUMBERS = ("cost_vlm", "cost_merged", "cost_change", "output_change")

HEAD_COLUMNS = {
    "layer": "int64",
    "head": "int64",
    "skill": "str",
    "key_head": "int64",
    "sharing": "int64",
    **{f"share_{name}": "float64" for name in WEIGHTS},
    **{f"{name}{end}": "float64" for name in _NUMBERS for end in ("", "_low", "_high")},
    "p_vlm": "float64",
    "p_vlm_holm": "float64",
    "p_merged": "float64",
    "p_merged_holm": "float64",
    "n_items": "int64",
    "n_videos": "int64",
}
"""`share_q` to `share_o` and `share_all`: norm of the change of the head's slice as a share of its
norm in the VLM. `output_change`: the same of what the head adds to the state where the answer
begins, mean over items. `cost_vlm` and `cost_merged`: drop of the margin when the head is masked in
that model; `cost_change`: the second less the first. NaN: not measured."""


def head_frame(run: LensRun, *, seed: int = 0) -> pd.DataFrame:
    """One row for each compared head and skill, with `HEAD_COLUMNS`.

    Args:
        run: The finished run.
        seed: Seed of the sign flips.
    """
    heads = [(layer, head) for layer in run.plan.layers for head in range(run.plan.n_heads)]
    changes = {(change.layer, change.head): change for change in run.changes}
    parts = []
    for skill in SKILLS:
        part = pd.DataFrame({"layer": [h[0] for h in heads], "head": [h[1] for h in heads]})
        part["skill"] = skill
        part["key_head"] = [changes[h].key_head if h in changes else -1 for h in heads]
        part["sharing"] = [changes[h].sharing if h in changes else 0 for h in heads]
        for name in WEIGHTS:
            part[f"share_{name}"] = [
                changes[h].share.get(name, math.nan) if h in changes else math.nan for h in heads
            ]
        readings = run.models[VLM]
        chosen = readings.of_skill(skill)
        part["n_items"] = int(chosen.sum())
        part["n_videos"] = len(set(readings.groups(chosen)))
        for name, means in _means(run, skill).items():
            for end, values in (("", means.estimate), ("_low", means.low), ("_high", means.high)):
                part[f"{name}{end}"] = values
        for model in (VLM, MERGED):
            p_values = _p_values(run.masked.get(model), skill, seed)
            if p_values:
                part[f"p_{model}"] = p_values
                part[f"p_{model}_holm"] = holm(p_values)
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    return frame.reindex(columns=list(HEAD_COLUMNS)).astype(HEAD_COLUMNS)


def heads_shown(frame: pd.DataFrame, model: str) -> pd.Series[bool]:
    """Which heads are shown to matter: by the corrected p-value and the interval of their cost.

    Args:
        frame: As `head_frame` returns it, or rows of it.
        model: In which model they were masked: `vlm` or `merged`.

    Returns:
        A value a row.
    """
    columns = [f"cost_{model}_low", f"cost_{model}_high", f"p_{model}_holm"]
    shown = [side_shown(*row) is not None for row in frame[columns].to_numpy(dtype=float).tolist()]
    return pd.Series(shown, index=frame.index, dtype=bool)


def _means(run: LensRun, skill: str) -> dict[str, LinearMeans]:
    """Mean over a skill's items of each number that was measured, a row a head."""
    found = {}
    for model, name in ((VLM, "cost_vlm"), (MERGED, "cost_merged")):
        effects = run.masked.get(model)
        if effects is not None and effects.of_skill(skill).any():
            chosen = effects.of_skill(skill)
            found[name] = linear_means(effects.costs[PRIMARY][:, chosen], effects.groups(chosen))
    if len(found) == 2:
        vlm, merged = run.masked[VLM], run.masked[MERGED]
        chosen = vlm.of_skill(skill)
        change: FloatArray = merged.costs[PRIMARY] - vlm.costs[PRIMARY]
        found["cost_change"] = linear_means(change[:, chosen], vlm.groups(chosen))
    readings = run.models.get(MERGED)
    if readings is not None and readings.output_change.size:
        chosen = readings.of_skill(skill)
        if chosen.any():
            values = readings.output_change[chosen].reshape(int(chosen.sum()), -1)
            found["output_change"] = linear_means(values.T, readings.groups(chosen))
    return found


def _p_values(effects: ModelEffects | None, skill: str, seed: int) -> list[float]:
    if effects is None or not effects.of_skill(skill).any():
        return []
    chosen = effects.of_skill(skill)
    groups = effects.groups(chosen)
    return [
        paired_difference(costs, np.zeros_like(costs), groups, seed=seed).p_value
        for costs in effects.costs[PRIMARY][:, chosen]
    ]
