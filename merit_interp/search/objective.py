"""What a search maximises: reasoning gained, less a penalty for perception lost.

    objective = Objective(kind="margin", penalty=1.0)
    effect = objective.effect(vlm_scores, merged_scores)
    effect.objective    # delta_tr - penalty * max(0, -delta_tp)

Both models are scored on the same items, and every difference is taken item by item. This file
must not know how scores are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from merit_interp.errors import SettingError
from merit_interp.records import ItemScore, Skill, Trial

KINDS = ("margin", "accuracy")
"""What an objective may be measured in."""

SKILLS: tuple[Skill, ...] = ("reasoning", "perception")
"""What an objective sees; items of other skills count nowhere."""

MARGIN_CLIP_NATS = 3.0
"""Default bound of an item's margin: odds of 20 to 1 for or against the right option (95%).

Beyond it an item is decided: more confidence changes no answer, yet unclipped it would weigh in
the mean like several items on the brink. Much lower, and the margin becomes accuracy again, with
its variance."""


@dataclass(frozen=True)
class Effect:
    """Change of the merged model against the unmerged VLM on the same items."""

    objective: float
    """J = delta_tr - penalty * max(0, -delta_tp), in the objective's unit."""
    delta_tr_margin_nats: float
    """Mean change of the clipped margin on reasoning items, in nats."""
    delta_tp_margin_nats: float
    """Mean change of the clipped margin on perception items, in nats."""
    delta_tr_accuracy: float
    """Change of reasoning accuracy, a share in [-1, 1]."""
    delta_tp_accuracy: float
    """Change of perception accuracy, a share in [-1, 1]."""


@dataclass(frozen=True)
class PairedValues:
    """Items of one skill under both models, in one order."""

    vlm: tuple[float, ...]
    """Value of each item under the unmerged VLM, in the objective's unit."""
    merged: tuple[float, ...]
    """Value of each item under the merged model, in the objective's unit."""
    groups: tuple[str, ...]
    """The video of each item: the cluster of every interval."""

    @property
    def mean_difference(self) -> float:
        """Merged less VLM, averaged over items; 0 where there are none."""
        if not self.vlm:
            return 0.0
        return math.fsum(m - v for m, v in zip(self.merged, self.vlm, strict=True)) / len(self.vlm)


@dataclass(frozen=True)
class Objective:
    """J = dTR - penalty * max(0, -dTP), on the mean clipped margin or on accuracy.

    Source: the objective of MERIT (arXiv 2604.11399) with this project's own penalty and clip.

    Raises:
        SettingError: The kind is unknown, or penalty or clip is not a number that it can be.
    """

    kind: str = "margin"
    """Unit of J: the margin of the right option in nats, or the share of right answers."""
    penalty: float = 1.0
    """Weight of perception lost against reasoning gained; gains in perception earn nothing."""
    margin_clip_nats: float = MARGIN_CLIP_NATS
    """An item's margin counts as if it lay within plus or minus this."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingError(f"objective {self.kind!r}", valid=" or ".join(KINDS))
        if not 0.0 <= self.penalty < math.inf:
            raise SettingError(f"penalty {self.penalty}", valid="a number of at least 0")
        if not 0.0 < self.margin_clip_nats <= math.inf:
            raise SettingError(f"margin clip {self.margin_clip_nats}", valid="a number above 0")

    def effect(self, vlm: Sequence[ItemScore], merged: Sequence[ItemScore]) -> Effect:
        """The merged model's effect, by scores of both models on the same items in one order."""
        margin_tr, margin_tp, accuracy_tr, accuracy_tp = (
            self.paired(vlm, merged, skill, kind).mean_difference
            for kind in KINDS
            for skill in SKILLS
        )
        tr, tp = (margin_tr, margin_tp) if self.kind == "margin" else (accuracy_tr, accuracy_tp)
        return Effect(
            objective=tr - self.penalty * max(0.0, -tp),
            delta_tr_margin_nats=margin_tr,
            delta_tp_margin_nats=margin_tp,
            delta_tr_accuracy=accuracy_tr,
            delta_tp_accuracy=accuracy_tp,
        )

    def paired(
        self,
        vlm: Sequence[ItemScore],
        merged: Sequence[ItemScore],
        skill: Skill,
        kind: str | None = None,
    ) -> PairedValues:
        """Both models' values on the items of one skill that have a score.

        Raises:
            ValueError: The scores are not of the same items.
        """
        pairs = [
            (before, after)
            for before, after in zip(vlm, merged, strict=True)
            if before.skill == skill and before.status == "ok"
        ]
        if any(before.item != after.item or after.status != "ok" for before, after in pairs):
            raise ValueError("the two models were scored on different items")
        return PairedValues(
            vlm=tuple(self._value(before, kind or self.kind) for before, _ in pairs),
            merged=tuple(self._value(after, kind or self.kind) for _, after in pairs),
            groups=tuple(before.group for before, _ in pairs),
        )

    def _value(self, score: ItemScore, kind: str) -> float:
        margin = score.margin_nats
        if math.isnan(margin):
            # a model that gives every option probability 0 is as wrong as a model can be
            margin = -math.inf
        if kind == "accuracy":
            return float(score.correct and margin > -math.inf)
        return min(max(margin, -self.margin_clip_nats), self.margin_clip_nats)


def pareto_front(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that no other trial equals or beats in both delta_tr and delta_tp.

    Of trials with equal deltas the earliest stays. Ordered by falling delta_tr.
    """
    front: list[Trial] = []
    best_tp = -math.inf
    for trial in sorted(trials, key=lambda t: (-t.delta_tr, -t.delta_tp, t.number)):
        if trial.delta_tp > best_tp:
            front.append(trial)
            best_tp = trial.delta_tp
    return front
