"""What a run found, in plain words: did reasoning rise, did perception hold, would less have done?

    verdict = judge(item_scores(run.scores), "validation")
    print(verdict.text)

Each claim is a sentence with its number, and holds or does not. This file must not know how the
sentences are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from merit_interp.statistics.intervals import WITHOUT_SPREAD, Interval
from merit_interp.statistics.paired import PairedDifference
from merit_interp.tables.item_frames import random_draws_averaged
from merit_interp.tables.model_names import (
    MERGED,
    RANDOM_LAYERS,
    VLM,
    in_listing_order,
    is_random_draw,
    model_label,
)
from merit_interp.tables.skills import compare_models

PERCEPTION_SLACK = 0.01
"""Perception may fall by this share (one point) and still count as kept."""


@dataclass(frozen=True)
class Claim:
    """One thing that a reader wants to know of a merge, with the number that decides it."""

    name: str
    """The claim itself: `Reasoning rose`."""
    holds: bool | None
    """Whether it does; None where the run's records cannot say."""
    text: str
    """The number behind it, in one sentence."""
    interval: Interval | None = None
    """The difference in accuracy that decides, a share in [-1, 1]."""
    p_value: float = math.nan
    """Two-sided, of that difference."""


@dataclass(frozen=True)
class Verdict:
    """All claims on one item set, and their sum in one sentence."""

    item_set: str
    headline: str
    claims: tuple[Claim, ...]
    """Reasoning rose; perception was kept; better than each of `RIVALS`, in their order."""

    @property
    def gained(self) -> bool:
        """Whether reasoning rose beyond its interval and perception was kept."""
        return all(claim.holds is True for claim in self.claims[:2])

    @property
    def text(self) -> str:
        """Headline and claims, one a line."""
        marks = {True: "yes", False: "NO", None: "not known"}
        lines = [f"{claim.name}: {marks[claim.holds]}. {claim.text}" for claim in self.claims]
        return "\n".join([self.headline, *lines])


def points(share: float) -> str:
    """A difference of shares in points: `+23.4`, `−0.4`."""
    return _signed(100 * share, 1)


def interval_text(interval: Interval) -> str:
    """A difference of shares with its interval: `+23.4 points (95% interval +17.0 to +29.6)`."""
    if not interval.is_defined:
        return f"{points(interval.estimate)} points (interval {interval.method})"
    ends = f"{points(interval.low)} to {points(interval.high)}"
    why = "the same on every video; " if interval.method == WITHOUT_SPREAD else ""
    return f"{points(interval.estimate)} points ({why}{100 * interval.level:.0f}% interval {ends})"


def p_text(p: float) -> str:
    """A p-value, with spaces that no line breaks at: `p = 0.012`."""
    text = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
    return text.replace(" ", "\u00a0")


def _signed(value: float, digits: int) -> str:
    text = f"{value:+.{digits}f}"
    # neither -0.0 nor +0.0 has a sign; a minus is as wide as a plus
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def judged_item_set(frame: pd.DataFrame) -> str | None:
    """The item set that a verdict is on: `validation` where it was scored, else the first one."""
    names = list(dict.fromkeys(frame["item_set"]))
    if "validation" in names:
        return "validation"
    return names[0] if names else None


def judge(frame: pd.DataFrame, item_set: str, *, identity: bool = False, seed: int = 0) -> Verdict:
    """Judge the merged model on one item set.

    Args:
        frame: As `item_scores` returns it.
        item_set: Name of the item set.
        identity: Whether the recipe merges nothing.
        seed: Seed of bootstrap and permutation.
    """
    rows = frame[frame["item_set"] == item_set]
    draws = rows["model"].drop_duplicates().map(is_random_draw).sum()
    scores = _Scores(random_draws_averaged(rows), item_set, int(draws), seed)
    for model in (VLM, MERGED):
        if model not in scores.models:
            missing = f"{item_set} has no scores of {model_label(model)}"
            claims = tuple(Claim(name, None, f"{missing}.") for name in _CLAIMS)
            return Verdict(item_set, f"Not judged: {missing}.", claims)
    rose = _change(REASONING_ROSE, scores.against(VLM, "reasoning"), _is_above_zero)
    kept = _change(PERCEPTION_KEPT, scores.against(VLM, "perception"), _is_kept)
    rivals = [rival for rival in RIVALS if scores.concern(rival)]
    beats = [_beats(rival, scores) for rival in rivals]
    unbeaten = [r.kind for r, claim in zip(rivals, beats, strict=True) if claim.holds is False]
    headline = _NO_RECIPE if identity else _headline(item_set, rose, kept, unbeaten)
    return Verdict(item_set, headline, (rose, kept, *beats))


REASONING_ROSE = "Reasoning rose"
PERCEPTION_KEPT = "Perception was kept"
_NO_RECIPE = (
    "Nothing gained: the search found no recipe that is better than the unmerged VLM beyond its "
    "interval, so the recipe merges nothing."
)


@dataclass(frozen=True)
class Rival:
    """A kind of simpler merge that the recipe is held against."""

    name: str
    kind: str
    """What a headline calls it."""
    prefix: str
    """What the names of its models begin with; the strongest of them counts."""
    is_asked_for: bool = False
    """Whether only some evaluations score them; where none was, nothing is said of them."""

    @property
    def claim(self) -> str:
        """The claim that the recipe is better."""
        return f"Better than {self.name}"


RIVALS = (
    Rival("uniform merging of self-attention", "uniform merging", "uniform_attention_"),
    Rival("uniform merging of all text weights", "uniform merging", "uniform_text_"),
    Rival("other merge methods", "other methods", "method_", is_asked_for=True),
    Rival("random layers", "random layers", RANDOM_LAYERS),
)
_CLAIMS = (
    REASONING_ROSE,
    PERCEPTION_KEPT,
    *(rival.claim for rival in RIVALS if not rival.is_asked_for),
)


@dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of one item set, with the draws of random layers as one model."""

    frame: pd.DataFrame
    item_set: str
    n_draws: int
    seed: int

    @property
    def models(self) -> list[str]:
        return in_listing_order(self.frame["model"])

    def concern(self, rival: Rival) -> bool:
        """Whether there is something to say of a rival."""
        return not rival.is_asked_for or any(m.startswith(rival.prefix) for m in self.models)

    def against(self, other: str, skill: str) -> PairedDifference:
        """Accuracy of the merged model minus that of another one."""
        return compare_models(
            self.frame, MERGED, other, item_set=self.item_set, skill=skill, seed=self.seed
        )

    def label(self, model: str) -> str:
        """What a sentence calls a model."""
        if model == RANDOM_LAYERS:
            return f"the mean of {self.n_draws} draws of random layers"
        return model_label(model).lower()


def _is_above_zero(interval: Interval) -> bool:
    return interval.is_above(0.0)


def _is_kept(interval: Interval) -> bool:
    return interval.estimate >= -PERCEPTION_SLACK or not interval.is_below(0.0)


def _change(name: str, difference: PairedDifference, holds: Callable[[Interval], bool]) -> Claim:
    """A claim on the change against the unmerged VLM."""
    skill = name.split()[0]
    interval, p = difference.interval, difference.p_value
    if not interval.n_items:
        return Claim(name, None, f"There are no {skill.lower()} items.")
    text = f"{skill} accuracy changed by {interval_text(interval)}, {p_text(p)}."
    return Claim(name, holds(interval), text, interval, p)


def _beats(rival: Rival, scores: _Scores) -> Claim:
    """Whether the merged model's reasoning is above that of every model of a kind."""
    differences = {
        model: scores.against(model, "reasoning")
        for model in scores.models
        if model.startswith(rival.prefix)
    }
    scored = [model for model, found in differences.items() if found.interval.n_items]
    if not scored:
        return Claim(rival.claim, None, "It was not scored in this run.")
    strongest = min(scored, key=lambda model: differences[model].estimate)
    interval, p = differences[strongest].interval, differences[strongest].p_value
    which = "the strongest of them, " if len(scored) > 1 else ""
    text = (
        f"Reasoning is {interval_text(interval)} against {which}{scores.label(strongest)}, "
        f"{p_text(p)}"
    )
    perception = scores.against(strongest, "perception")
    if perception.interval.n_items:
        text += f"; perception is {points(perception.estimate)} points"
    text += "."
    if interval.estimate > 0 and not interval.is_above(0.0):
        text += " The interval includes zero, so a tie is not ruled out."
    return Claim(rival.claim, interval.is_above(0.0), text, interval, p)


def _headline(item_set: str, rose: Claim, kept: Claim, unbeaten: Sequence[str]) -> str:
    if rose.interval is None:
        return f"Not judged: {item_set} has no reasoning items."
    gain = f"{points(rose.interval.estimate)} points on {item_set}"
    if not rose.holds:
        return f"Nothing gained: reasoning changed by {gain}, not beyond its interval."
    price = f"{points(kept.interval.estimate)} points" if kept.interval else ""
    if kept.holds is False:
        return f"Reasoning rose at the price of perception: {gain}, perception {price}."
    headline = f"Merging raised reasoning: {gain}"
    headline += f", and perception held ({price})." if kept.holds else "."
    kinds = " and ".join(dict.fromkeys(unbeaten))
    if kinds:
        headline += f" But it is not shown to reason better than {kinds}."
    return headline
