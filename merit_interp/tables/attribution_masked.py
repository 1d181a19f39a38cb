"""What masked models are: how many layers each lacks, and whether it still answers.

    masked_labels(run)["masked_others"]      # "The other 3 layers masked"
    answers_at_chance(run, "validation")

A model that answers no better than by chance has nothing of the right answer that could lie on the
evidence: attribution at chance is then no finding of its own. This file must not know how a layer
was masked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from merit_interp.statistics.intervals import Interval, clustered_mean
from merit_interp.tables.attribution_frames import VIDEO, AttributionRun
from merit_interp.tables.attribution_series import MASKED, MASKED_OTHERS, model_kind
from merit_interp.tables.number_text import number_ends, number_text

WHOSE = {MASKED: "the recipe's layers", MASKED_OTHERS: "other layers"}


@dataclass(frozen=True)
class MaskedAnswers:
    """How often a masked model is right on one skill's items."""

    model: str
    """`masked` or `masked_others`, its draws together."""
    skill: str
    chance: float
    """One in the number of options, mean over items."""
    above_chance: Interval
    """Share of right answers less chance."""

    @property
    def is_at_chance(self) -> bool:
        """Whether it is not told from chance."""
        interval = self.above_chance
        return interval.is_defined and not (interval.is_above(0.0) or interval.is_below(0.0))

    @property
    def text(self) -> str:
        """Accuracy with its interval, and chance."""
        share, low, high = (
            100 * (self.chance + value)
            for value in (
                self.above_chance.estimate, self.above_chance.low, self.above_chance.high
            )
        )  # fmt: skip
        return (
            f"{self.skill} {number_text(share)}% right, 95% {number_ends(max(low, 0.0), high)}, by "
            f"chance {number_text(100 * self.chance)}%"
        )


def masked_labels(run: AttributionRun) -> dict[str, str]:
    """Labels of controls that mask fewer layers than the recipe has; empty where none does."""
    own = len(run.masked_layers.get(MASKED, ()))
    others = [
        len(layers) for name, layers in run.masked_layers.items()
        if model_kind(name) == MASKED_OTHERS
    ]  # fmt: skip
    fewest = min(others, default=own)
    if fewest >= own:
        return {}
    count = "layer" if fewest == 1 else f"{fewest} layers"
    # fewer are masked only where there are no more
    return {MASKED_OTHERS: f"The other {count} masked"}


def answers_at_chance(run: AttributionRun, item_set: str) -> tuple[MaskedAnswers, ...]:
    """Skills on which a masked model is not told from chance.

    Args:
        run: The run.
        item_set: Which items.
    """
    method = run.method
    values: dict[tuple[str, str], dict[str, list[tuple[float, float, str]]]] = defaultdict(dict)
    for record in run.records:
        kind = model_kind(record.model)
        if (
            kind in WHOSE
            and record.status == "ok"
            and (record.item_set, record.condition, record.method) == (item_set, VIDEO, method)
        ):
            chance = 1 / len(record.log_probs)
            draws = values[kind, record.skill].setdefault(record.item, [])
            draws.append((float(record.correct), chance, record.group))
    found = [
        _answers(kind, skill, list(by_item.values())) for (kind, skill), by_item in values.items()
    ]
    return tuple(answers for answers in found if answers.is_at_chance)


def _answers(
    kind: str, skill: str, items: Sequence[Sequence[tuple[float, float, str]]]
) -> MaskedAnswers:
    """Of one skill; an item's value is its mean over draws."""
    chances = [draws[0][1] for draws in items]
    above = [
        sum(right for right, _, _ in draws) / len(draws) - chance
        for draws, chance in zip(items, chances, strict=True)
    ]
    groups = [draws[0][2] for draws in items]
    interval = clustered_mean(above, groups, bounds=(-1.0, 1.0))
    return MaskedAnswers(kind, skill, sum(chances) / len(chances), interval)


def chance_sentence(answers: Sequence[MaskedAnswers]) -> str:
    """What answers at chance mean for attribution, in a sentence a model; empty where none are."""
    sentences = []
    for kind, whose in WHOSE.items():
        own = [a for a in answers if a.model == kind]
        if own:
            sentences.append(
                f"With {whose} masked, answers themselves are not told from chance "
                f"({'; '.join(a.text for a in own)}), so attribution is bound to be at chance "
                "there, too."
            )
    return " ".join(sentences)
