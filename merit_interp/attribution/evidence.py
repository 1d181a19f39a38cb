"""Does a frame attribution fall on the frames that hold the evidence? Pure functions of numbers.

    evidence_metrics([0.1, 0.9, -0.2], [False, True, False]).excess_mass

Which frames those are is `benchmarks.video_controls.frames_in_evidence`' to say.

A metric that the data do not define is NaN, never zero: where no unit shows the evidence, where all
of them do, or where the attribution is zero everywhere. This file must not know models, methods or
records, and loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EvidenceMetrics:
    """How one item's attribution lies on its evidence; NaN where undefined."""

    share: float
    """Units that show evidence, as a share of all units: what each mass is by chance."""
    mass: float
    """Share of the absolute attribution that lies on the evidence, in [0, 1].

    The headline: a frame that speaks against the answer decides too, and the sum of absolute
    values is zero only where nothing decides."""
    positive_mass: float
    """Share of the positive attribution alone: of what speaks for the target. Undefined where
    nothing does, and unsteady where little does; so it stands beside `mass`, not for it."""
    pointing: float
    """1 where the unit with the highest score shows evidence, else 0; by chance `share`."""
    average_precision: float
    """Of the units ranked by their score, highest first, in (0, 1]."""
    chance_precision: float
    """Average precision of a random ranking."""

    @property
    def excess_mass(self) -> float:
        """Mass in evidence beyond chance: `mass - share`, in (-1, 1)."""
        return self.mass - self.share

    @property
    def excess_positive_mass(self) -> float:
        """Positive mass in evidence beyond chance."""
        return self.positive_mass - self.share

    @property
    def excess_pointing(self) -> float:
        """Pointing game beyond chance."""
        return self.pointing - self.share

    @property
    def excess_precision(self) -> float:
        """Average precision beyond chance."""
        return self.average_precision - self.chance_precision


def evidence_metrics(scores: Sequence[float], in_evidence: Sequence[bool]) -> EvidenceMetrics:
    """The metrics of one item.

    Args:
        scores: Signed attribution of each unit.
        in_evidence: Whether each unit shows evidence.

    Raises:
        ValueError: The lengths differ.
    """
    if len(scores) != len(in_evidence):
        raise ValueError(f"{len(scores)} scores cannot go with {len(in_evidence)} units")
    values = np.asarray(scores, dtype=np.float64)
    flags = np.asarray(in_evidence, dtype=bool)
    hits, units = int(flags.sum()), len(flags)
    share = hits / units if units else math.nan
    total = float(np.abs(values).sum())
    if not 0 < hits < units or not math.isfinite(total) or total == 0.0:
        nan = math.nan
        return EvidenceMetrics(share, nan, nan, nan, nan, nan)
    positive = np.clip(values, 0.0, None)
    support = float(positive.sum())
    highest = values == values.max()
    return EvidenceMetrics(
        share=share,
        mass=float(np.abs(values)[flags].sum()) / total,
        positive_mass=float(positive[flags].sum()) / support if support > 0 else math.nan,
        pointing=float(flags[highest].mean()),
        average_precision=average_precision(values, flags),
        chance_precision=expected_precision(hits, units),
    )


def average_precision(values: NDArray[np.float64], flags: NDArray[np.bool_]) -> float:
    """Average precision of a ranking by value; ties take the mean of their best and worst order."""
    best = np.lexsort((~flags, -values))
    worst = np.lexsort((flags, -values))
    return (_ranked_precision(flags[best]) + _ranked_precision(flags[worst])) / 2


def _ranked_precision(flags: NDArray[np.bool_]) -> float:
    ranks = np.flatnonzero(flags) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def expected_precision(hits: int, units: int) -> float:
    """Mean average precision over all orders of `units` units of which `hits` count."""
    if units == 1:
        return 1.0
    ranks = np.arange(1, units + 1)
    return float(((1 + (ranks - 1) * (hits - 1) / (units - 1)) / ranks).mean())
