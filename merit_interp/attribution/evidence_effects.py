"""What showing or taking away the evidence does to an answer, against as many other frames.

    effects = evidence_effects(vlm, batch, draws=4, seed=0, rows=64)
    effects[0].deletion_evidence_nats

No attribution is in it: it asks the model itself whether the evidence decides. This file must not
know methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FrameBatch
from merit_interp.benchmarks.video_controls import item_seed
from merit_interp.models.loading import LoadedModel

EVIDENCE_DRAWS = 4
"""Sets of other units that the evidence is held against."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class EvidenceEffect:
    """Changes of the right option's log-probability among the options, in nats."""

    deletion_evidence_nats: float
    deletion_others_nats: float
    insertion_evidence_nats: float
    insertion_others_nats: float


def evidence_effects(
    vlm: LoadedModel, batch: FrameBatch, *, draws: int, seed: int, rows: int
) -> list[EvidenceEffect | None]:
    """The effect on each item of a batch; None where there is no evidence, or too little else.

    Args:
        vlm: The model as it is now.
        batch: The items.
        draws: Sets of as many other units as hold evidence.
        seed: Of the draws; an item's are the same for every model.
        rows: Most prompt rows in one forward.
    """
    value = AnswerValue(vlm, batch, "log_prob")
    plans = [
        _shown_units(item.in_evidence, draws, item_seed(seed, item.encoded.item.id))
        for item in batch.items
    ]
    if not any(plan is not None for plan in plans):
        return [None] * batch.n_items
    everything = np.ones((2 + 2 * draws, batch.n_units), dtype=bool)
    shown = np.stack([everything if plan is None else plan for plan in plans], axis=1)
    switches = torch.from_numpy(shown).to(batch.shown.device, torch.float32)
    copies = max(1, rows // batch.n_rows)
    with torch.no_grad():
        values = torch.cat(
            [value.of_switches(part.flatten(0, 1)) for part in torch.split(switches, copies)]
        )
    by_plan = values.double().reshape(len(shown), batch.n_items).T.tolist()
    return [
        None if plan is None else _effect(found, whole, none)
        for plan, found, whole, none in zip(
            plans, by_plan, value.of_all.tolist(), value.of_none.tolist(), strict=True
        )
    ]


def _shown_units(in_evidence: Sequence[bool], draws: int, seed: int) -> BoolArray | None:
    """(2 + 2 * draws, units): without the evidence, the evidence alone, and each draw likewise."""
    evidence = np.array(in_evidence, dtype=bool)
    others = np.flatnonzero(~evidence)
    count = int(evidence.sum())
    if not 0 < count <= len(others):
        return None
    generator = np.random.default_rng(seed)
    plan = [~evidence, evidence]
    for _ in range(draws):
        drawn = np.zeros_like(evidence)
        drawn[generator.choice(others, size=count, replace=False)] = True
        plan += [~drawn, drawn]
    return np.stack(plan)


def _effect(values: Sequence[float], whole: float, none: float) -> EvidenceEffect:
    without, alone = np.array(values[0::2]), np.array(values[1::2])
    return EvidenceEffect(
        deletion_evidence_nats=float(whole - without[0]),
        deletion_others_nats=float(whole - without[1:].mean()),
        insertion_evidence_nats=float(alone[0] - none),
        insertion_others_nats=float(alone[1:].mean() - none),
    )
