"""What a masking sweep found, in three lines: what masking costs, and whether that is special.

    verdict = judge_masking(run, compare(run))
    print(verdict.text)

The claims are about the merged model, in nats of margin. A result that is not beyond what other
layers do is said to be none. This file must not know how the lines are shown.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from merit_interp.statistics.intervals import Interval, clustered_mean
from merit_interp.tables.masking_comparison import (
    PERCEPTION,
    REASONING,
    Comparison,
    costs_of_sets,
)
from merit_interp.tables.masking_effects import PRIMARY, MaskingRun, ModelEffects, layers_text
from merit_interp.tables.model_names import MERGED, VLM, model_label
from merit_interp.tables.number_text import number_ends, number_text, signed_ends, signed_text

ALPHA = 0.05
DOING = {
    "zero": "Zeroing self-attention in",
    "mean": "Putting the mean in place of self-attention in",
    "resample": "Putting another item's self-attention into",
    "revert": "Putting the VLM's own self-attention back into",
    "swap": "Putting the other model's self-attention into",
}
AT = {
    "all": "",
    "visual": " at the video's tokens",
    "text": " at the text's tokens",
    "last": " at the last token",
}

NO_OTHERS = (
    "No other sets of as many layers were masked, so it is not known whether they are special."
)


@dataclass(frozen=True)
class MaskingVerdict:
    """The three lines, and what they claim."""

    model: str
    """The model that the claims are about."""
    layers: tuple[int, ...]
    """The chosen layers."""
    cost: str
    """What masking them costs reasoning and perception."""
    against_others: str
    """Whether that is more than other layers cost reasoning."""
    against_perception: str
    """Whether it is reasoning, more than perception, that needs them."""
    matters_more: bool | None
    """Whether the first claim holds after Holm's correction; None where it cannot be tested."""
    more_for_reasoning: bool | None
    """Whether the second one does."""

    @property
    def lines(self) -> tuple[str, str, str]:
        """The three lines."""
        return self.cost, self.against_others, self.against_perception

    @property
    def text(self) -> str:
        """The three lines in one text."""
        return "\n".join(self.lines)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {**dataclasses.asdict(self), "layers": list(self.layers)}


def judge_masking(run: MaskingRun, comparisons: Sequence[Comparison]) -> MaskingVerdict:
    """Judge a sweep.

    Args:
        run: The finished sweep.
        comparisons: As `compare` returns them.
    """
    effects = run.model(MERGED) or run.model(VLM) or run.models[0]
    chosen = run.plan.chosen
    if not chosen:
        return _without_comparison(
            run,
            effects,
            "The recipe merges no layer, so there are none to hold against the others.",
        )
    if len(chosen) == run.plan.n_layers:
        return _without_comparison(
            run, effects, "The recipe merges every layer, so there are none to hold it against."
        )
    tests = {
        comparison.test: comparison
        for comparison in comparisons
        if (comparison.model, comparison.outcome, comparison.family)
        == (effects.model, PRIMARY, "together")
    }
    more, against_others = _against_others(run, tests[REASONING])
    reasoning_more, against_perception = _against_perception(run, tests["interaction"])
    return MaskingVerdict(
        model=effects.model,
        layers=chosen,
        cost=_cost(run, effects),
        against_others=against_others,
        against_perception=against_perception,
        matters_more=more,
        more_for_reasoning=reasoning_more,
    )


def _cost(run: MaskingRun, effects: ModelEffects) -> str:
    place = int(effects.having("chosen")[0])
    whose = "the recipe's" if _is_recipes(run) else "the chosen"
    layers = run.plan.chosen
    noun = "layer" if len(layers) == 1 else f"{len(layers)} layers"
    parts = []
    for skill in (REASONING, PERCEPTION):
        of_skill = effects.of_skill(skill)
        groups = effects.groups(of_skill)
        if not of_skill.any():
            parts.append(f"there are no {skill} items")
            continue
        margin = clustered_mean(effects.costs[PRIMARY][place, of_skill], groups)
        share = float(effects.costs["accuracy"][place, of_skill].mean())
        parts.append(f"{skill} {_nats(margin)} and {number_text(100 * share)} points of accuracy")
    doing = f"{DOING[run.mode]} {whose} {noun} ({layers_text(layers)}){AT[run.tokens]}"
    return f"{doing} costs the {_label(effects)} model: {'; '.join(parts)}."


def _against_others(run: MaskingRun, test: Comparison) -> tuple[bool | None, str]:
    if not test.n_others:
        return None, NO_OTHERS
    if math.isnan(test.p_value):
        return None, "There are no reasoning items, so nothing is said of reasoning."
    holds, limit = _holds(test)
    claim = {
        True: "They matter more for reasoning than other layers",
        False: "They are not shown to matter more for reasoning than other layers",
        None: "It cannot be shown that they matter more for reasoning than other layers",
    }[holds]
    return holds, f"{claim}: {_standing(run, test)}{limit}."


def _against_perception(run: MaskingRun, test: Comparison) -> tuple[bool | None, str]:
    if not test.n_others:
        return None, "Nor is it known whether they weigh more on reasoning than on perception."
    if math.isnan(test.p_value):
        return None, "There are not items of both skills, so reasoning is not held to perception."
    holds, limit = _holds(test)
    claim = {
        True: "Next to other layers they weigh more on reasoning than on perception",
        False: "Next to other layers they are not shown to weigh more on reasoning than on "
        "perception",
        None: "It cannot be shown that, next to other layers, they weigh more on reasoning than on "
        "perception",
    }[holds]
    return holds, f"{claim}: {_standing(run, test)}{limit}."


def _holds(test: Comparison) -> tuple[bool | None, str]:
    """Whether a claim holds, None where so few sets could never show it, and what to add then."""
    # Holm's correction doubles the smaller of two p-values
    if 2 * test.least_p >= ALPHA:
        return None, f"; so few sets cannot give less than p = {test.least_p:.2g}"
    return test.p_holm < ALPHA, ""


def _standing(run: MaskingRun, test: Comparison) -> str:
    number = test.n_others + 1
    sets = f"all {number} sets" if test.exhaustive else f"{number} of {run.plan.n_possible} sets"
    what = "cost to reasoning less that to perception" if test.test == "interaction" else "cost"
    chosen, others = number_text(test.chosen, 2), number_text(test.others, 2)
    means = f"{what} {chosen} nats against a mean of {others}"
    if not math.isnan(test.low):
        ends = signed_ends(test.low, test.high, 2)
        means += f" (difference {signed_text(test.estimate, 2)}, 95% interval {ends})"
    return (
        f"rank {test.rank} of {sets} of {_count(len(run.plan.chosen))}, {means}, "
        f"p = {test.p_value:.2g} ({test.p_holm:.2g} with Holm's correction)"
    )


def _without_comparison(run: MaskingRun, effects: ModelEffects, why: str) -> MaskingVerdict:
    """The lines where nothing can be compared: why, and which layers each skill needs most."""
    singles = effects.having("single")
    needs = []
    for skill in (REASONING, PERCEPTION):
        costs = costs_of_sets(effects, PRIMARY, skill)[singles]
        if math.isnan(costs[0]):
            needs.append(f"There are no {skill} items.")
            continue
        top = sorted(zip(-costs, singles, strict=True))[:3]
        named = ", ".join(
            f"layer {effects.sets[place].layers[0]} ({signed_text(-cost, 2)} nats)"
            for cost, place in top
        )
        needs.append(f"In the {_label(effects)} model, masking costs {skill} most in {named}.")
    reasoning, perception = needs
    return MaskingVerdict(
        effects.model, run.plan.chosen, why, reasoning, perception, None, None
    )  # fmt: skip


def _is_recipes(run: MaskingRun) -> bool:
    return run.plan.chosen == tuple(run.recipe.layers)


def _label(effects: ModelEffects) -> str:
    return {VLM: "unmerged", MERGED: "merged"}.get(effects.model, model_label(effects.model))


def _count(n_layers: int) -> str:
    return "1 layer" if n_layers == 1 else f"{n_layers} layers"


def _nats(interval: Interval) -> str:
    text = f"{number_text(interval.estimate, 2)} nats of margin"
    if interval.is_defined:
        text += f" (95% interval {number_ends(interval.low, interval.high, 2)})"
    return text
