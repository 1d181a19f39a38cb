"""What a run found, in plain words: did reasoning rise, did perception hold, would less have done?

    verdict, *held_out = judge_sets(item_scores(run.scores))
    print(verdict.text)

Each claim is a sentence with its number. It holds only where the 95% interval and the sign-flip
test both say so (`tables.agreement`). This file must not know how the sentences are shown.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from merit_interp.statistics.intervals import WITHOUT_SPREAD, Interval
from merit_interp.tables.agreement import ABOVE, BELOW, P_SHOWN, Evidence
from merit_interp.tables.model_names import MERGED, VLM, model_label
from merit_interp.tables.rivals import RIVALS, Rival, SetScores

PERCEPTION_SLACK = 0.01
"""Perception counts as kept where its interval rules out a fall by more than this share."""
SLACK_TEXT = f"{100 * PERCEPTION_SLACK:g} point"


@dataclass(frozen=True)
class Claim:
    """One thing that a reader wants to know of a merge, with the number that decides it."""

    name: str
    """The claim itself: `Reasoning rose`."""
    holds: bool | None
    """Whether it is shown. None where the records do not settle it: `answer` says in which way."""
    text: str
    """The number behind it, in one sentence, and why it is open where it is."""
    interval: Interval | None = None
    """The difference in accuracy that decides, a share in [-1, 1]; None where none was measured."""
    p_value: float = math.nan
    """Two-sided, of that difference."""
    opposite: bool = False
    """Whether the opposite is shown: the skill fell, the merged model reasons worse."""

    @property
    def answer(self) -> str:
        """`yes`, `no`, `open` (measured, but not settled) or `unknown` (not measured)."""
        if self.holds is None:
            return "open" if self.interval else "unknown"
        return "yes" if self.holds else "no"

    @property
    def numbers(self) -> str:
        """The difference, its interval, and its p-value if it speaks against the interval."""
        if self.interval is None:
            return ""
        low, high, p = self.interval.low, self.interval.high, self.p_value
        if math.isnan(low):
            return f"{points(self.interval.estimate)} points"
        against = (low > 0 or high < 0) != (p <= P_SHOWN)
        ends = f"{100 * self.interval.level:.0f}% {points(low)} to {points(high)}"
        return f"{points(self.interval.estimate)} points ({ends}{f', {p_text(p)}' * against})"


ANSWERS = {"yes": "yes", "no": "NO", "open": "not shown", "unknown": "not known"}
"""Each of `Claim.answer` in words."""


@dataclass(frozen=True)
class Verdict:
    """All claims on one item set, and their sum in a few sentences."""

    item_set: str
    sentences: tuple[str, ...]
    """What changed; then, where there is such a thing to say, simpler merges and held-out sets."""
    claims: tuple[Claim, ...]
    """Reasoning rose; perception was kept; better than each of `RIVALS`, in their order."""

    @property
    def headline(self) -> str:
        """All sentences."""
        return " ".join(self.sentences)

    @property
    def gained(self) -> bool:
        """Whether reasoning is shown to have risen, and perception not shown to have fallen.

        That is less than perception kept: where it is open whether perception fell, this is True
        and `claims[1].holds` None. False where either skill was not measured.
        """
        rose, kept = self.claims[:2]
        return rose.holds is True and kept.answer in ("yes", "open")

    @property
    def text(self) -> str:
        """Headline and claims, one a line."""
        lines = [f"{claim.name}: {ANSWERS[claim.answer]}. {claim.text}" for claim in self.claims]
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


def judge_sets(
    frame: pd.DataFrame, *, identity: bool = False, seed: int = 0
) -> tuple[Verdict, ...]:
    """Judge the merged model on every item set: first the judged one, then the held-out ones.

    The first verdict's last sentence counts the held-out sets on which each skill changed.

    Args:
        frame: As `item_scores` returns it; without rows there are no verdicts.
        identity: Whether the recipe merges nothing.
        seed: Seed of bootstrap and permutation.
    """
    judged = judged_item_set(frame)
    if judged is None:
        return ()
    others = [name for name in dict.fromkeys(frame["item_set"]) if name != judged]
    first, *held_out = (
        judge(frame, name, identity=identity, seed=seed) for name in (judged, *others)
    )
    counted = "" if identity else _held_out_sentence(held_out)
    if counted:
        first = dataclasses.replace(first, sentences=(*first.sentences, counted))
    return first, *held_out


def judge(frame: pd.DataFrame, item_set: str, *, identity: bool = False, seed: int = 0) -> Verdict:
    """Judge the merged model on one item set.

    Args:
        frame: As `item_scores` returns it.
        item_set: Name of the item set.
        identity: Whether the recipe merges nothing.
        seed: Seed of bootstrap and permutation.
    """
    rows = frame[frame["item_set"] == item_set]
    scores = SetScores.of(rows, item_set, seed)
    for model in (VLM, MERGED):
        if model not in scores.models:
            missing = f"{item_set} has no scores of {model_label(model)}"
            claims = tuple(Claim(name, None, f"{missing}.") for name in _CLAIMS)
            return Verdict(item_set, (f"Not judged: {missing}.",), claims)
    rose, kept = _reasoning_rose(scores), _perception_kept(scores)
    rivals = [rival for rival in RIVALS if scores.concern(rival)]
    beats = [_beats(rival, scores) for rival in rivals]
    change = _NO_RECIPE if identity else _change_sentence(item_set, rose, kept)
    simpler = "" if identity or not rose.holds else _rivals_sentence(rivals, beats)
    return Verdict(item_set, (change, *filter(None, [simpler])), (rose, kept, *beats))


REASONING_ROSE = "Reasoning rose"
PERCEPTION_KEPT = "Perception was kept"
_NO_RECIPE = (
    "Nothing gained: the search found no recipe that it could show to be better than the unmerged "
    "VLM, so the recipe merges nothing."
)


_CLAIMS = (
    REASONING_ROSE,
    PERCEPTION_KEPT,
    *(rival.claim for rival in RIVALS if not rival.is_asked_for),
)


def _claim(
    name: str, holds: bool | None, text: str, found: Evidence, *, opposite: bool | None = False
) -> Claim:
    difference = found.difference
    return Claim(name, holds, text, difference.interval, difference.p_value, opposite is True)


def _changed(skill: str, found: Evidence) -> str:
    difference = found.difference
    return (
        f"{skill.capitalize()} accuracy changed by {interval_text(difference.interval)}, "
        f"{p_text(difference.p_value)}"
    )


def _reasoning_rose(scores: SetScores) -> Claim:
    found = scores.against(VLM, "reasoning")
    if not found.difference.interval.n_items:
        return Claim(REASONING_ROSE, None, "No reasoning item was scored.")
    rose, fell = found.shows(ABOVE), found.shows(BELOW)
    why = f"; {found.why_open(ABOVE)}" if rose is None else "; it fell" if fell else ""
    text = f"{_changed('reasoning', found)}{why}."
    return _claim(REASONING_ROSE, rose, text, found, opposite=fell)


def _perception_kept(scores: SetScores) -> Claim:
    """Kept where more than the slack is ruled out as lost; not kept where it is shown to fall."""
    found = scores.against(VLM, "perception")
    interval = found.difference.interval
    if not interval.n_items:
        return Claim(PERCEPTION_KEPT, None, "No perception item was scored.")
    fell = found.shows(BELOW)
    # an end at the slack itself counts, whatever the last bit of its float is
    if interval.is_above(-PERCEPTION_SLACK - 1e-9):
        holds, why = True, f"a loss of more than {SLACK_TEXT} is ruled out"
    elif fell:
        holds, why = False, "it fell"
    elif fell is None:
        holds, why = None, f"whether it fell is undecided: {found.why_open(BELOW)}"
    else:
        holds, why = None, f"a loss of more than {SLACK_TEXT} is not ruled out"
    text = f"{_changed('perception', found)}; {why}."
    return _claim(PERCEPTION_KEPT, holds, text, found, opposite=holds is False)


def _beats(rival: Rival, scores: SetScores) -> Claim:
    """Whether the merged model's reasoning is above that of every model of a kind."""
    compared = {
        model: scores.against(model, "reasoning")
        for model in scores.models
        if model.startswith(rival.prefix)
    }
    scored = [model for model, found in compared.items() if found.difference.interval.n_items]
    if not scored:
        return Claim(rival.claim, None, "It was not scored in this run.")
    strongest = min(scored, key=lambda model: compared[model].difference.estimate)
    found = compared[strongest]
    if strongest in scores.same_merge:
        text = f"The recipe is this very merge: {scores.label(strongest)}."
        return _claim(rival.claim, False, text, found)
    better, worse = found.shows(ABOVE), found.shows(BELOW)
    which = "the strongest of them, " if len(scored) > 1 else ""
    text = (
        f"Reasoning is {interval_text(found.difference.interval)} against "
        f"{which}{scores.label(strongest)}, {p_text(found.difference.p_value)}"
    )
    perception = scores.against(strongest, "perception").difference.interval
    if perception.n_items:
        text += f"; perception is {points(perception.estimate)} points"
    text += f". {_which_reasons_better(found)}".rstrip()
    return _claim(rival.claim, better, text, found, opposite=worse)


def _which_reasons_better(found: Evidence) -> str:
    better, worse = found.shows(ABOVE), found.shows(BELOW)
    if better:
        return ""
    if worse:
        return "It reasons worse."
    if better is None and worse is None:
        return f"Which reasons better is undecided: {found.why_open(ABOVE)}."
    if better is None:
        return f"Whether it reasons better is undecided: {found.why_open(ABOVE)}."
    if worse is None:
        return f"Whether it reasons worse is undecided: {found.why_open(BELOW)}."
    return "Neither is shown to reason better."


def _change_sentence(item_set: str, rose: Claim, kept: Claim) -> str:
    if rose.interval is None:
        return f"Not judged: {item_set} has no reasoning item that was scored."
    gain = f"{points(rose.interval.estimate)} points on {item_set}"
    price = f"{points(kept.interval.estimate)} points" if kept.interval else ""
    if not rose.holds:
        fell = f" Perception fell by {price[1:]}." if kept.opposite else ""
        if rose.holds is None:
            return f"It is not shown that reasoning rose on {item_set}: {rose.numbers}.{fell}"
        if rose.opposite:
            return f"Nothing gained: reasoning fell, {gain}.{fell}"
        return f"Nothing gained: reasoning changed by {gain}, not beyond its interval.{fell}"
    if kept.answer == "no":
        return f"Reasoning rose at the price of perception: {gain}, perception {price}."
    perception = {
        "yes": f", and perception held ({price})",
        "open": f"; perception is not shown to be kept: {kept.numbers}",
        "unknown": "; perception was not measured",
    }
    return f"Merging raised reasoning: {gain}{perception[kept.answer]}."


def _rivals_sentence(rivals: Sequence[Rival], beats: Sequence[Claim]) -> str:
    pairs = list(zip(rivals, beats, strict=True))
    worse = [f"{r.name} ({points(c.interval.estimate)} points)"
             for r, c in pairs if c.opposite and c.interval]  # fmt: skip
    unbeaten = [r.name for r, c in pairs if c.answer in ("no", "open") and not c.opposite]
    parts = [f"reasons worse than {_listed(worse, 'and')}"] if worse else []
    if unbeaten:
        better = "better" if worse else "to reason better"
        parts.append(f"is not shown {better} than {_listed(unbeaten, 'or')}")
    return f"But it {', and '.join(parts)}." if parts else ""


def _listed(names: Sequence[str], word: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def _held_out_sentence(verdicts: Sequence[Verdict]) -> str:
    """On how many sets each skill changed; empty where none was measured."""
    rose, kept = ([v.claims[place] for v in verdicts] for place in (0, 1))
    parts = []
    if n := sum(claim.interval is not None for claim in rose):
        fell = sum(claim.opposite for claim in rose)
        parts.append(f"reasoning rose on {sum(claim.answer == 'yes' for claim in rose)} of {n}")
        parts[-1] += f" and fell on {fell}" if fell else ""
    counts = {
        word: sum(claim.answer == answer for claim in kept)
        for answer, word in (("yes", "held"), ("no", "fell"), ("open", "is undecided"))
    }
    told = [f"{word} on {count}" for word, count in counts.items() if count]
    if told:
        parts.append(f"perception {_listed(told, 'and')}")
    return f"Held-out sets: {'; '.join(parts)}." if parts else ""


def held_out_text(name: str, verdicts: Sequence[Verdict]) -> str:
    """On how many held-out sets a claim holds; empty where none of them measured it."""
    claims = [c for v in verdicts for c in v.claims if c.name == name and c.interval is not None]
    if not claims:
        return ""
    text = f"Held-out sets: holds on {sum(c.holds is True for c in claims)} of {len(claims)}"
    n_opposite = sum(c.opposite for c in claims)
    n_open = sum(c.holds is None for c in claims)
    text += f", the opposite is shown on {n_opposite}" if n_opposite else ""
    text += f", undecided on {n_open}" if n_open else ""
    return f"{text}."
