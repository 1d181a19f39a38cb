"""What change in TR and TP an items file can show, whole and in each part of its split.

    rows = power_rows(file.items, SplitSettings(), {"reasoning": Assumed(0.2, 0.1)})

What is assumed of a skill stands in its row; `assumed_from` takes it from a finished run. This file
must not know models.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.splits import Split, SplitSettings, parts_of
from merit_interp.errors import ItemError, RunError, SettingError
from merit_interp.statistics.clusters import Names, Numbers
from merit_interp.statistics.power import (
    cluster_correlation,
    design_effect,
    detectable_difference,
)
from merit_interp.tables.model_names import MERGED, VLM

POWER_SKILLS = ("reasoning", "perception")
DISCORDANCE = 0.2
"""Share of items on which VLM and merged model differ, where nobody has measured it."""
CORRELATION = 0.1
"""Intra-video correlation of these differences, where nobody has measured it."""
FEWEST_DISCORDANT = 10
"""Fewer items that differ estimate neither how many do nor how alike those of a video are."""
COARSE = 0.1
"""A set that shows no less than this is too small for what merging does."""


@dataclass(frozen=True)
class Assumed:
    """What the power of one skill depends on, beside the items.

    Raises:
        SettingError: A number is out of range.
    """

    discordance: float = DISCORDANCE
    """Share of items that one model has right and the other not."""
    correlation: float = CORRELATION
    """Correlation of the paired differences of two items on one video."""
    source: str = "assumed"
    """Where the two numbers are from."""

    def __post_init__(self) -> None:
        # written so that NaN fails too
        if not 0.0 < self.discordance <= 1.0:
            raise SettingError(f"discordance {self.discordance}", valid="above 0 and at most 1")
        if not 0.0 <= self.correlation <= 1.0:
            raise SettingError(f"correlation {self.correlation}", valid="from 0 to 1")


@dataclass(frozen=True)
class PowerRow:
    """The least change of one skill that one part of an items file shows at 80% power."""

    part: Split
    skill: str
    n_items: int
    n_videos: int
    design_effect: float
    """By how much questions that share a video widen the variance."""
    discordance: float
    correlation: float
    source: str
    detectable: float | None
    """Difference in accuracy, a share; None: not even a change on every item would be seen."""

    @property
    def warning(self) -> str | None:
        """What is wrong with so small a set, in words; None where nothing is."""
        if self.n_items == 0:
            return "no items"
        if self.n_videos < 2:
            return "too small: one video has no interval"
        if self.detectable is None:
            return "too small: not even a change on every item would be seen"
        if self.detectable > COARSE:
            return f"too small: a change below {100 * self.detectable:.0f} points is noise here"
        return None

    def to_row(self) -> dict[str, Any]:
        """The row as JSON values."""
        return {**dataclasses.asdict(self), "warning": self.warning}


def power_rows(
    items: Sequence[Item], settings: SplitSettings, assumed: Mapping[str, Assumed]
) -> list[PowerRow]:
    """One row for each skill of the whole set and of each part.

    Args:
        items: The whole items file.
        settings: How it would be split.
        assumed: By skill; a skill that is not in it has the defaults.
    """
    parts: dict[Split, Sequence[Item]] = {"all": items}
    # too few videos to split: that the whole is too small is said already
    with contextlib.suppress(ItemError):
        parts.update((name, part) for name, part in parts_of(items, settings).items())
    return [
        _row(name, skill, part, assumed.get(skill, Assumed()))
        for name, part in parts.items()
        for skill in POWER_SKILLS
    ]


def _row(part: Split, skill: str, items: Sequence[Item], assumed: Assumed) -> PowerRow:
    sizes = list(Counter(item.group for item in items if item.skill == skill).values())
    effect = design_effect(sizes, assumed.correlation)
    detectable = detectable_difference(
        n_items=sum(sizes),
        n_clusters=len(sizes),
        discordance=assumed.discordance,
        effect=effect,
    )
    return PowerRow(
        part=part,
        skill=skill,
        n_items=sum(sizes),
        n_videos=len(sizes),
        design_effect=effect,
        discordance=assumed.discordance,
        correlation=assumed.correlation,
        source=assumed.source,
        detectable=detectable,
    )


def assumed_from(frame: pd.DataFrame, name: str) -> dict[str, Assumed]:
    """Discordance and correlation of each skill, from VLM and merged model of a finished run.

    Args:
        frame: The run's scores, as `item_frames.item_scores` returns them; all item sets.
        name: What to call the run.

    Raises:
        RunError: The run has no item that VLM and merged model both scored.
    """
    keys = ["item_set", "skill", "group", "item"]
    columns = [
        frame.loc[frame["model"] == model].set_index(keys)["correct"].rename(model)
        for model in (VLM, MERGED)
    ]
    pairs = pd.concat(columns, axis=1, join="inner").dropna().reset_index()
    if pairs.empty:
        raise RunError(
            f"{name} has no item that VLM and merged model both scored",
            valid="a run of `merit-interp evaluate` or `merit-interp demo`",
        )
    found: dict[str, Assumed] = {}
    for skill in POWER_SKILLS:
        rows = pairs[pairs["skill"] == skill]
        found[skill] = _estimated(
            (rows[MERGED] - rows[VLM]).to_numpy(dtype=np.float64),
            (rows["item_set"] + "/" + rows["group"]).to_numpy(dtype=str),
            name,
        )
    return found


def _estimated(differences: Numbers, groups: Names, name: str) -> Assumed:
    n_discordant = int(np.count_nonzero(differences))
    if n_discordant < FEWEST_DISCORDANT:
        return Assumed(source=f"assumed: only {n_discordant} items differ in {name}")
    correlation = cluster_correlation(differences, groups)
    several = not math.isnan(correlation)
    return Assumed(
        discordance=n_discordant / len(differences),
        correlation=min(max(correlation, 0.0), 1.0) if several else CORRELATION,
        source=f"{len(differences)} items of {name}"
        + ("" if several else ", whose videos have one item each: correlation assumed"),
    )
