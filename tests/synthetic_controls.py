"""Made-up scores under video controls, beside those of `synthetic_run`: odds that a test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from merit_interp.records import ControlScore, ItemScore
from tests.synthetic_run import made_up_score

ODDS = {
    "black": {"vlm": {"reasoning": 0.4, "perception": 0.3}, "merged": {"reasoning": 0.4}},
    "shuffled": {"vlm": {"reasoning": 0.4, "perception": 0.9}, "merged": {"reasoning": 0.5}},
    "evidence_removed": {"vlm": {"reasoning": 0.35, "perception": 0.5}, "merged": {}},
}
"""Share of right answers by control, model and skill; what is not named is as the VLM's."""


def made_up_control_scores(
    scores: Sequence[ItemScore],
    odds: Mapping[str, Mapping[str, Mapping[str, float]]] = ODDS,
    *,
    seed: int = 0,
) -> list[ControlScore]:
    """One score for each of the VLM's and merged model's items and each control.

    Under `evidence_removed` every third item names no evidence.
    """
    generator = np.random.default_rng(seed)
    made = []
    for control, models in odds.items():
        for score in scores:
            if score.model not in ("vlm", "merged"):
                continue
            levels = {**models["vlm"], **models.get(score.model, {})}
            right = generator.random() < levels.get(score.skill, 0.5)
            under = made_up_score(
                score.item_set, score.model, score.skill, score.category, score.group,
                2.0 if right else -2.0,
            )  # fmt: skip
            if control.startswith("evidence") and sum(map(ord, score.item)) % 3 == 0:
                under = ItemScore(
                    **{**vars(under), "log_probs": (), "status": "not_applicable",
                       "reason": "the item names no evidence"}
                )  # fmt: skip
            made.append(ControlScore.of(under, control))
    return made
