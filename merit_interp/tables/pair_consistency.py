"""Questions that come in pairs: the share of pairs in which every answer is right.

    table = pair_table(run.scores)
    table.query("model == 'merged' and score == 'group'")

A pair tells an answer that was understood from one that fits whatever is shown: a video and its
reverse, a caption and its counterpart. Where pairs have parts (Vinoground: `text`, one video and
two captions; `video`, one caption and two videos) each part has a score of its own, and `group` is
the whole pair; elsewhere the whole pair is `pair`. Pairs that lack a question, or have one that
failed, are left out and counted. Sources: Winoground, Thrush et al. 2022; Vinoground, Zhang et al.
2024 (`get_score_all.py`). This file must not know what is asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merit_interp.records import ItemScore
from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.intervals import Interval, clustered_mean, clustered_share
from merit_interp.statistics.linked_clusters import linked_clusters
from merit_interp.statistics.paired import paired_difference
from merit_interp.tables.model_names import VLM, in_listing_order
from merit_interp.tables.skills import SKILLS

WHOLE, GROUP = "pair", "group"
MIXED = "mixed"
"""Skill of a pair whose questions ask for several."""
LEAST = 2
"""Questions without which there is no pair."""

PAIR_COLUMNS = {
    "item_set": "str",
    "model": "str",
    "skill": "str",
    "score": "str",
    "n_pairs": "int64",
    "n_clusters": "int64",
    "n_incomplete": "int64",
    "n_failed": "int64",
    "chance": "float64",
    "accuracy": "float64",
    "consistency": "float64",
    "consistency_low": "float64",
    "consistency_high": "float64",
    "above_chance": "float64",
    "above_chance_low": "float64",
    "above_chance_high": "float64",
    "n_compared": "int64",
    "delta_consistency": "float64",
    "delta_consistency_low": "float64",
    "delta_consistency_high": "float64",
    "delta_consistency_p": "float64",
}
"""`consistency` is the share of `n_pairs` pairs with every question right, `accuracy` that of
single questions in the same pairs; `chance` is what guessing gets, the product of 1 / options over
a pair's questions, averaged; `n_clusters` sets of pairs share no video; `n_incomplete` pairs lack a
question or a part, `n_failed` have one without a score; `delta_consistency` is the model's less the
VLM's over the `n_compared` pairs of both."""


def pair_table(scores: Iterable[ItemScore], *, seed: int = 0) -> pd.DataFrame:
    """One row for each item set, skill, score and model; no rows where there are no pairs.

    Args:
        scores: Scores on the real video.
        seed: Seed of bootstrap and permutation.

    Returns:
        A frame with `PAIR_COLUMNS`.
    """
    by_set: dict[str, dict[str, list[ItemScore]]] = {}
    for one in scores:
        if one.pair:
            by_set.setdefault(one.item_set, {}).setdefault(one.model, []).append(one)
    rows: list[dict[str, str | int | float]] = []
    for item_set, models in by_set.items():
        plan = _plan(next(iter(models.values())))
        found = {model: _answered(models[model]) for model in in_listing_order(models)}
        for skill, score in sorted(plan, key=lambda key: _rank(plan, key)):
            vlm = _scored(plan[skill, score], found[VLM]) if VLM in found else None
            for model, answers in found.items():
                own = _scored(plan[skill, score], answers)
                row = _measures(own, None if model == VLM else vlm, seed)
                row |= {"item_set": item_set, "model": model, "skill": skill, "score": score}
                rows.append(row)
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS)).astype(PAIR_COLUMNS)


@dataclass(frozen=True)
class _Asked:
    """The questions of a pair that one score is about."""

    pair: str
    items: tuple[str, ...]
    videos: tuple[str, ...]
    is_complete: bool


@dataclass(frozen=True, eq=False)
class _Scored:
    """A model's pairs that count for one score."""

    pairs: tuple[str, ...]
    right: FloatArray
    """(pairs,) 1 where every question is right."""
    chance: FloatArray
    """(pairs,) chance that guesses are."""
    accuracy: float
    videos: tuple[tuple[str, ...], ...]
    n_incomplete: int
    n_failed: int


Plan = Mapping[tuple[str, str], Sequence[_Asked]]
Answers = Mapping[str, tuple[float, int]]
"""Whether an item was answered right, and among how many options; NaN where it failed."""


def _plan(scores: Sequence[ItemScore]) -> Plan:
    """What is asked for each (skill, score): the same for every model of an item set."""
    pairs: dict[str, list[ItemScore]] = {}
    for score in scores:
        pairs.setdefault(score.pair, []).append(score)
    sizes: dict[str, int] = {}
    for members in pairs.values():
        for part in {score.pair_part for score in members} - {""}:
            size = sum(score.pair_part == part for score in members)
            sizes[part] = max(size, sizes.get(part, 0))
    plan: dict[tuple[str, str], list[_Asked]] = {}
    for name, members in pairs.items():
        skills = {score.skill for score in members}
        skill = str(skills.pop()) if len(skills) == 1 else MIXED
        for kind, asked, is_complete in _scores_of(members, sizes):
            items, videos = zip(*((score.item, score.group) for score in asked), strict=True)
            plan.setdefault((skill, kind), []).append(_Asked(name, items, videos, is_complete))
    return plan


def _scores_of(
    members: Sequence[ItemScore], sizes: Mapping[str, int]
) -> Iterable[tuple[str, Sequence[ItemScore], bool]]:
    """(score, its questions, whether all are there) for each score of a pair."""
    parts = {score.pair_part for score in members} - {""}
    # without a size, as in items of earlier imports, two questions are taken for the whole pair
    whole = len(members) >= max((score.pair_size or LEAST for score in members), default=LEAST)
    if not parts:
        yield WHOLE, members, whole
        return
    for part, most in sizes.items():
        asked = [score for score in members if score.pair_part == part]
        there = len(asked) >= min(LEAST, most)
        whole = whole and there
        # a part of one question is that question's accuracy, and no score of its own
        if most >= LEAST and asked:
            yield part, asked, there
    if len(sizes) > 1:
        yield GROUP, members, whole


def _rank(plan: Plan, key: tuple[str, str]) -> tuple[int, int, str]:
    """Skills in their order; parts before the group."""
    skill, score = key
    skills = [*SKILLS, MIXED]
    return skills.index(skill), int(score == GROUP), score


def _answered(scores: Iterable[ItemScore]) -> Answers:
    return {score.item: (_correct(score), len(score.log_probs)) for score in scores}


def _correct(score: ItemScore) -> float:
    if not score.log_probs:
        return math.nan
    return float(score.correct and all(map(math.isfinite, score.log_probs)))


def _scored(asked: Sequence[_Asked], answers: Answers) -> _Scored:
    complete = [pair for pair in asked if pair.is_complete]
    nothing = (math.nan, 0)
    found = {pair.pair: [answers.get(item, nothing) for item in pair.items] for pair in complete}
    kept = [p for p in complete if not any(math.isnan(right) for right, _ in found[p.pair])]
    single = [right for pair in kept for right, _ in found[pair.pair]]
    return _Scored(
        pairs=tuple(pair.pair for pair in kept),
        right=np.array([min(right for right, _ in found[pair.pair]) for pair in kept]),
        chance=np.array([math.prod(1 / n for _, n in found[pair.pair]) for pair in kept]),
        accuracy=float(np.mean(single)) if single else math.nan,
        videos=tuple(pair.videos for pair in kept),
        n_incomplete=len(asked) - len(complete),
        n_failed=len(complete) - len(kept),
    )


def _measures(own: _Scored, vlm: _Scored | None, seed: int) -> dict[str, str | int | float]:
    clusters = np.array(linked_clusters(own.videos), dtype=np.int64)
    above = clustered_mean(own.right - own.chance, clusters, seed=seed, bounds=(-1.0, 1.0))
    row: dict[str, str | int | float] = {
        "n_pairs": len(own.pairs),
        "n_clusters": len(set(clusters.tolist())),
        "n_incomplete": own.n_incomplete,
        "n_failed": own.n_failed,
        "chance": float(own.chance.mean()) if len(own.pairs) else math.nan,
        "accuracy": own.accuracy,
        **_ends("consistency", clustered_share(own.right, clusters)),
        **_ends("above_chance", above),
        "n_compared": 0,
    }
    if vlm is None:
        return row
    theirs = dict(zip(vlm.pairs, vlm.right.tolist(), strict=True))
    both = [place for place, pair in enumerate(own.pairs) if pair in theirs]
    change = paired_difference(
        own.right[both],
        [theirs[own.pairs[place]] for place in both],
        clusters[both],
        bounds=(-1.0, 1.0),
        seed=seed,
    )
    return row | {
        "n_compared": len(both),
        **_ends("delta_consistency", change.interval),
        "delta_consistency_p": change.p_value,
    }


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: interval.estimate,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }
