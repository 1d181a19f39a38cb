"""What a run found, in plain words: did reasoning rise, did perception hold, would less have done?

    verdict = judge(item_scores(run.scores), "validation")
    print(verdict.text)

Each claim is a sentence with its number, and holds or does not. This file must not know how the
sentences are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    is_uniform,
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
    """Reasoning rose; perception was kept; better than uniform merging; than random layers."""

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
    averaged = random_draws_averaged(frame[frame["item_set"] == item_set])
    models = in_listing_order(averaged["model"])
    if MERGED not in models or VLM not in models:
        missing = model_label(MERGED if MERGED in _missing(models) else VLM)
        claims = tuple(Claim(name, None, f"No scores of {missing}.") for name in _NAMES)
        return Verdict(item_set, f"Not judged: {item_set} has no scores of {missing}.", claims)
    reasoning = compare_models(
        averaged, MERGED, VLM, item_set=item_set, skill="reasoning", seed=seed
    )
    perception = compare_models(
        averaged, MERGED, VLM, item_set=item_set, skill="perception", seed=seed
    )
    uniform = [model for model in models if is_uniform(model)]
    n_draws = frame.loc[frame["item_set"] == item_set, "model"].drop_duplicates()
    claims = (
        _rose(reasoning),
        _kept(perception),
        _beats(_NAMES[2], averaged, item_set, uniform, "the strongest uniform merge, {}", seed),
        _beats(
            _NAMES[3],
            averaged,
            item_set,
            [RANDOM_LAYERS] if RANDOM_LAYERS in models else [],
            f"the mean of {n_draws.map(is_random_draw).sum()} draws of random layers",
            seed,
        ),
    )
    headline = _headline(item_set, reasoning, perception, claims, identity)
    return Verdict(item_set, headline, claims)


_NAMES = (
    "Reasoning rose",
    "Perception was kept",
    "Better than uniform merging",
    "Better than random layers",
)


def _missing(models: Sequence[str]) -> set[str]:
    return {VLM, MERGED} - set(models)


def _rose(difference: PairedDifference) -> Claim:
    interval = difference.interval
    if not interval.n_items:
        return Claim(_NAMES[0], None, "There are no reasoning items.")
    p = p_text(difference.p_value)
    text = f"Reasoning accuracy changed by {interval_text(interval)}, {p}."
    return Claim(_NAMES[0], interval.is_above(0.0), text, interval, difference.p_value)


def _kept(difference: PairedDifference) -> Claim:
    interval = difference.interval
    if not interval.n_items:
        return Claim(_NAMES[1], None, "There are no perception items.")
    kept = interval.estimate >= -PERCEPTION_SLACK or not interval.is_below(0.0)
    text = (
        f"Perception accuracy changed by {interval_text(interval)}, {p_text(difference.p_value)}."
    )
    return Claim(_NAMES[1], kept, text, interval, difference.p_value)


def _beats(
    name: str,
    frame: pd.DataFrame,
    item_set: str,
    others: Sequence[str],
    description: str,
    seed: int,
) -> Claim:
    """Whether the merged model's reasoning is above that of every one of the others."""
    differences = {
        other: compare_models(frame, MERGED, other, item_set=item_set, skill="reasoning", seed=seed)
        for other in others
    }
    differences = {k: d for k, d in differences.items() if d.interval.n_items}
    if not differences:
        return Claim(name, None, "It was not scored in this run.")
    strongest = min(differences, key=lambda other: differences[other].estimate)
    difference = differences[strongest]
    interval = difference.interval
    against = description.format(model_label(strongest).lower())
    text = (
        f"Reasoning is {interval_text(interval)} against {against}, {p_text(difference.p_value)}."
    )
    if interval.estimate > 0 and not interval.is_above(0.0):
        text += " The interval includes zero, so a tie is not ruled out."
    return Claim(name, interval.estimate > 0, text, interval, difference.p_value)


def _headline(
    item_set: str,
    reasoning: PairedDifference,
    perception: PairedDifference,
    claims: Sequence[Claim],
    identity: bool,
) -> str:
    if identity:
        return (
            "Nothing gained: the search found no recipe that is better than the unmerged VLM "
            "beyond its interval, so the recipe merges nothing."
        )
    rose, kept, uniform, random = claims
    if rose.holds is None:
        return f"Not judged: {item_set} has no reasoning items."
    gain = f"{points(reasoning.estimate)} points on {item_set}"
    price = f"{points(perception.estimate)} points"
    if not rose.holds:
        return f"Nothing gained: reasoning changed by {gain}, not beyond its interval."
    if kept.holds is False:
        return f"Reasoning rose at the price of perception: {gain}, perception {price}."
    headline = f"Merging raised reasoning: {gain}"
    headline += f", and perception held ({price})." if kept.holds else "."
    as_good = [
        what
        for claim, what in ((uniform, "uniform merging"), (random, "random layers"))
        if claim.holds is False
    ]
    if as_good:
        headline += f" But {' and '.join(as_good)} did at least as well on reasoning."
    return headline
