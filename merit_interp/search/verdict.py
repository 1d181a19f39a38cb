"""The end of a search: the winner on validation, or the VLM itself and why.

    verdict = judge(settings, identity, n_layers, trials, validated, scores.of, failed={})
    verdict.recipe, verdict.reason

A winner must be better than the unmerged VLM on reasoning by more than its interval, and better by
the objective J, on videos that the search did not see. This file must not know how scores are made
or recipes are proposed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from merit_interp.recipe import Recipe
from merit_interp.records import ItemScore, Skill, Trial
from merit_interp.search.objective import KINDS, SKILLS, Objective
from merit_interp.search.settings import SPLITS, SearchSettings, Split, pinned_versions
from merit_interp.search.trials import most_parsimonious, recipe_of
from merit_interp.statistics.intervals import Interval, clustered_mean
from merit_interp.statistics.paired import PairedDifference, paired_difference

ScoresOf = Callable[[Recipe, Split], list[ItemScore]]

UNITS = {"margin": "nats", "accuracy": "points"}


@dataclass(frozen=True)
class Verdict:
    """What a search found."""

    recipe: Recipe
    """The winner, or the identity; how it was found is in its `search`."""
    found: bool
    """Whether a recipe is better than the unmerged VLM beyond its interval, and has a J above 0."""
    reason: str
    """One sentence that says why this recipe was written."""


def judge(
    settings: SearchSettings,
    identity: Recipe,
    n_layers: int,
    trials: Sequence[Trial],
    validated: Sequence[Trial],
    scores_of: ScoresOf,
    *,
    failed: Mapping[str, str],
) -> Verdict:
    """Choose among the validated trials, and hold the best against the unmerged VLM.

    Args:
        settings: The search's.
        identity: The recipe that merges nothing.
        n_layers: Text layers of the model.
        trials: All trials on the search split.
        validated: The best of them on the validation split; empty if none merges anything.
        scores_of: Every item's score under a recipe, by split.
        failed: Why a recipe has no scores and is as bad as a recipe can be, by merge hash.
    """
    about = {**settings.to_json(), "split": _split(settings), "versions": pinned_versions()}
    about |= {"n_layers": n_layers, "n_trials": len(trials), "n_validated": len(validated)}
    n_failed = sum(trial.recipe in failed for trial in trials)
    if n_failed:
        about["n_failed"] = n_failed
    if not validated:
        reason = "no recipe that merges anything was tried"
        return _verdict(identity, found=False, reason=reason, about=about)
    best = most_parsimonious(validated, settings.parsimony)
    recipe = recipe_of(best, identity)
    objective = settings.made_objective()
    pairs = {s: (scores_of(identity, s), scores_of(recipe, s)) for s in SPLITS}
    about["best"] = {"trial": best.number, "recipe": best.recipe, "layers": dict(best.layers)}
    about["scores"] = {
        split: {
            "objective": objective.effect(*pairs[split]).objective,
            **{skill: _compared(objective, *pairs[split], skill, settings) for skill in SKILLS},
        }
        for split in SPLITS
    }
    gain = _difference(objective, *pairs["validation"], "reasoning", settings.objective, settings)
    found = gain.interval.is_above(0.0) and best.objective > 0.0
    lost_by_j = gain.interval.is_above(0.0) and not found
    j = None
    if lost_by_j:
        j = _objective_interval(objective, *pairs["validation"], gain.interval, settings.seed)
    reason = _reason(found, best, gain.interval, j, settings)
    if n_failed:
        reason += f"; {n_failed} of {len(trials)} recipes gave NaN and count as the worst"
    return _verdict(recipe if found else identity, found=found, reason=reason, about=about)


def _verdict(recipe: Recipe, *, found: bool, reason: str, about: dict[str, Any]) -> Verdict:
    search = {"found": found, "reason": reason, **about}
    return Verdict(recipe.replaced(search=search), found, reason)


def _split(settings: SearchSettings) -> dict[str, Any]:
    """What `benchmarks.splits` needs to split the items in the same way again."""
    held_out = {"held_out_share": settings.held_out_share} if settings.held_out_share else {}
    return {"validation_share": settings.validation_share, **held_out, "seed": settings.seed}


def _difference(
    objective: Objective,
    vlm: Sequence[ItemScore],
    merged: Sequence[ItemScore],
    skill: Skill,
    kind: str,
    settings: SearchSettings,
) -> PairedDifference:
    """Merged less VLM on the items of one skill, clustered by video."""
    values = objective.paired(vlm, merged, skill, kind)
    widest = 1.0 if kind == "accuracy" else 2 * objective.margin_clip_nats
    return paired_difference(
        values.merged,
        values.vlm,
        values.groups,
        seed=settings.seed,
        bounds=(-widest, widest) if math.isfinite(widest) else None,
    )


def _compared(
    objective: Objective,
    vlm: Sequence[ItemScore],
    merged: Sequence[ItemScore],
    skill: Skill,
    settings: SearchSettings,
) -> dict[str, Any]:
    """Both models on one skill, in accuracy and in margin, with the interval of the difference."""
    compared: dict[str, Any] = {}
    for kind in KINDS:
        values = objective.paired(vlm, merged, skill, kind)
        difference = _difference(objective, vlm, merged, skill, kind, settings)
        interval = difference.interval
        compared |= {"n_items": interval.n_items, "n_videos": interval.n_clusters}
        compared["margin_nats" if kind == "margin" else kind] = {
            "vlm": _mean(values.vlm),
            "merged": _mean(values.merged),
            "delta": _number(interval.estimate),
            "low": _number(interval.low),
            "high": _number(interval.high),
            "p_value": _number(difference.p_value),
        }
    return compared


def _objective_interval(
    objective: Objective,
    vlm: Sequence[ItemScore],
    merged: Sequence[ItemScore],
    gain: Interval,
    seed: int,
) -> Interval:
    """J = dTR + penalty * dTP of a recipe that loses perception, with its interval over videos.

    Each video's value is J and what the video adds to its error (J linearised at the two means), so
    that reasoning and perception of one video move together.
    """
    errors: dict[str, float] = defaultdict(float)
    estimate = 0.0
    for skill, weight in zip(SKILLS, (1.0, objective.penalty), strict=True):
        values = objective.paired(vlm, merged, skill)
        estimate += weight * values.mean_difference
        for before, after, video in zip(values.vlm, values.merged, values.groups, strict=True):
            error = after - before - values.mean_difference
            errors[video] += weight * error / len(values.vlm)
    of_videos = [estimate + len(errors) * error for error in errors.values()]
    interval = clustered_mean(of_videos, list(errors), seed=seed)
    # no perception gained makes up for reasoning, so J is never above dTR
    return replace(interval, high=min(interval.high, gain.high))


def _reason(
    found: bool, best: Trial, gain: Interval, j: Interval | None, settings: SearchSettings
) -> str:
    # accuracy is told in points: hundredths
    scale = 100.0 if settings.objective == "accuracy" else 1.0
    unit = UNITS[settings.objective]
    counted = f"{gain.n_items} items, {gain.n_clusters} videos"
    numbers = (
        f"reasoning on validation by {signed(gain.estimate * scale)} {unit} "
        f"({_ends(gain, scale)}, {counted}) and perception by "
        f"{signed(best.delta_tp * scale)} {unit}"
    )
    if found:
        return (
            "better than the unmerged VLM beyond its interval: "
            f"trial {best.number} changes {numbers}"
        )
    if j is not None:
        return (
            "no recipe is better than the unmerged VLM by the objective J, which takes "
            f"{settings.penalty:g} times the perception lost off the reasoning gained: the best, "
            f"trial {best.number}, has J {signed(j.estimate * scale)} {unit} ({_ends(j, scale)}) "
            f"on validation, since it changes {numbers}"
        )
    return (
        "no recipe is better than the unmerged VLM beyond its interval: the best, "
        f"trial {best.number}, changes {numbers}"
    )


def _ends(interval: Interval, scale: float) -> str:
    if not interval.is_defined:
        return f"interval {interval.method}"
    ends = f"{signed(interval.low * scale)} to {signed(interval.high * scale)}"
    return f"{interval.level:.0%} interval {ends}"


def signed(change: float, form: str = ".3g") -> str:
    """A change with its sign, a minus as in the tables and on the page; zero is `+0`.

    Thousands are written out: a penalty may be as large as one likes.
    """
    if form == ".3g" and abs(change) >= 1000:
        form = ".0f"
    text = f"{change:+z{form}}"
    # the hyphen of an exponent is none
    return f"−{text[1:]}" if text.startswith("-") else text


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _number(value: float) -> float | None:
    """NaN has no place in JSON."""
    return value if math.isfinite(value) else None
