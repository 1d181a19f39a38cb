"""Whether the chosen layers matter more than the others, tested so that it could fail.

    for comparison in compare(run): print(comparison.test, comparison.p_value)

Five tests for each model and outcome, in two families with Holm's correction in each:

- together: the chosen layers masked together, held against every (or many) other set of as many
  layers: their cost to reasoning, and their cost to reasoning less that to perception.
- alone: the layers masked one by one: the chosen ones' mean cost to reasoning against that of the
  others, the same less perception, and the rank correlation between coefficient and cost.

P-values are over sets of layers: could any set of this size have done as well? They are one-sided
but for the correlation. Intervals are over videos, paired by item. This file must not know how
anything is shown.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from merit_interp.statistics.clusters import FloatArray
from merit_interp.statistics.contrasts import mean_contrast
from merit_interp.statistics.correlation import spearman
from merit_interp.statistics.intervals import LEVEL, Interval, clustered_mean
from merit_interp.statistics.multiplicity import holm
from merit_interp.statistics.set_test import SetTest, set_test
from merit_interp.tables.masking_effects import OUTCOMES, MaskingRun, ModelEffects

REASONING, PERCEPTION = "reasoning", "perception"
MOST_RELABELLINGS = 10_000
"""Choices of layers that are tried for the tests of single layers; drawn where there are more."""


@dataclass(frozen=True)
class Comparison:
    """One test of the chosen layers against the others."""

    model: str
    outcome: str
    """As in `OUTCOMES`, whose unit the numbers have; a correlation has none."""
    family: str
    """`together` or `alone`: Holm's correction is over the tests of one family."""
    test: str
    """`reasoning`, `perception`, `interaction` (reasoning less perception) or `correlation`."""
    estimate: float
    """How much more the chosen layers cost than the others; NaN where undefined."""
    low: float
    """Lower end of the interval over videos."""
    high: float
    chosen: float
    """The chosen layers' own cost."""
    others: float
    """The others' mean cost."""
    p_value: float
    p_holm: float
    """After Holm's correction; NaN where the test makes no claim (perception) or is undefined."""
    rank: int
    """Of the chosen layers among all that were compared, 1 for the costliest; 0 if undefined."""
    n_others: int
    """Other sets, or other choices of layers, or layers of the correlation."""
    exhaustive: bool
    """Whether those are all that there are."""
    n_items: int
    n_videos: int
    level: float = LEVEL

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many sets can give."""
        return 1 / (1 + self.n_others)


def compare(run: MaskingRun, *, seed: int = 0) -> tuple[Comparison, ...]:
    """All tests of all models and outcomes; none where no layer, or every layer, is chosen.

    Args:
        run: A finished sweep.
        seed: Seed of bootstrap and of drawn choices of layers.
    """
    if not 0 < len(run.plan.chosen) < run.plan.n_layers:
        return ()
    found: list[Comparison] = []
    for effects in run.models:
        for outcome in OUTCOMES:
            together = _together(run, effects, outcome, seed)
            alone = _alone(run, effects, outcome, seed)
            found += [*_corrected(together), *_corrected(alone)]
    return tuple(found)


def comparison_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row a test."""
    names = [field.name for field in dataclasses.fields(Comparison)]
    return pd.DataFrame([dataclasses.asdict(c) for c in comparisons], columns=names)


def costs_of_sets(effects: ModelEffects, outcome: str, skill: str) -> FloatArray:
    """(sets,) mean cost of each set over the items of a skill."""
    chosen = effects.of_skill(skill)
    costs = effects.costs[outcome][:, chosen]
    if not costs.shape[1]:
        return np.full(costs.shape[0], math.nan)
    means: FloatArray = costs.mean(axis=1)
    return means


def cost_of_chosen(effects: ModelEffects, outcome: str, test: str, *, seed: int = 0) -> Interval:
    """What masking the chosen layers together costs, with its interval over videos.

    Args:
        effects: Of one model.
        outcome: As in `OUTCOMES`.
        test: `reasoning`, `perception` or `interaction`, as in `Comparison`.
        seed: Seed of the bootstrap.
    """
    costs = effects.costs[outcome][effects.having("chosen")].mean(axis=0)
    return _interval(effects, costs, test, seed)


def _together(run: MaskingRun, effects: ModelEffects, outcome: str, seed: int) -> list[Comparison]:
    """The chosen set against sets of its size."""
    own, others = effects.having("chosen"), effects.having("size_matched")
    means = {s: costs_of_sets(effects, outcome, s) for s in (REASONING, PERCEPTION)}
    means["interaction"] = means[REASONING] - means[PERCEPTION]
    costs = effects.costs[outcome]
    excess = costs[own].mean(axis=0) - costs[others].mean(axis=0) if others.size else costs[0] * 0
    tests = {
        name: (set_test(float(values[own].mean()), values[others]), float(values[own].mean()))
        for name, values in means.items()
    }
    return _comparisons(
        effects, outcome, "together", tests, excess, seed, exhaustive=run.plan.is_exhaustive
    )


def _alone(run: MaskingRun, effects: ModelEffects, outcome: str, seed: int) -> list[Comparison]:
    """The chosen layers one by one against the other layers one by one."""
    singles = effects.having("single")
    order = np.argsort([effects.sets[place].layers[0] for place in singles])
    costs = effects.costs[outcome][singles[order]]
    chosen = np.isin(np.arange(run.plan.n_layers), run.plan.chosen)
    choices, exhaustive = _choices(chosen, seed)
    excess = costs[chosen].mean(axis=0) - costs[~chosen].mean(axis=0)
    layer_costs = {
        skill: costs_of_sets(effects, outcome, skill)[singles[order]]
        for skill in (REASONING, PERCEPTION)
    }
    layer_costs["interaction"] = layer_costs[REASONING] - layer_costs[PERCEPTION]
    tests = {}
    for name, values in layer_costs.items():
        own = float(_mean_difference(values, chosen[None])[0])
        test = set_test(own, _mean_difference(values, choices))
        # the estimate is the chosen layers less the other layers, not less other choices
        tests[name] = dataclasses.replace(test, estimate=own), float(values[chosen].mean())
    found = _comparisons(effects, outcome, "alone", tests, excess, seed, exhaustive=exhaustive)
    if not np.isnan(layer_costs[REASONING]).any():
        found.append(_correlation(run, effects, outcome, layer_costs[REASONING], seed))
    return found


def _correlation(
    run: MaskingRun, effects: ModelEffects, outcome: str, layer_costs: FloatArray, seed: int
) -> Comparison:
    """Whether layers with a larger coefficient cost reasoning more."""
    found = spearman(run.coefficients(), layer_costs, seed=seed)
    of_skill = effects.of_skill(REASONING)
    nan = math.nan
    return Comparison(
        model=effects.model, outcome=outcome, family="alone", test="correlation",
        estimate=found.estimate, low=found.low, high=found.high, chosen=nan, others=nan,
        p_value=found.p_value, p_holm=nan, rank=0, n_others=found.n_points, exhaustive=True,
        n_items=int(of_skill.sum()), n_videos=len(set(effects.groups(of_skill))),
    )  # fmt: skip


def _choices(chosen: NDArray[np.bool_], seed: int) -> tuple[NDArray[np.bool_], bool]:
    """(choices, layers) other choices of as many layers, and whether they are all."""
    n_layers, count = chosen.size, int(chosen.sum())
    if math.comb(n_layers, count) <= MOST_RELABELLINGS:
        rows = [
            np.isin(np.arange(n_layers), layers)
            for layers in itertools.combinations(range(n_layers), count)
        ]
        choices = np.array(rows)
        return choices[(choices != chosen).any(axis=1)], True
    generator = np.random.default_rng(seed)
    drawn = generator.permuted(np.tile(chosen, (MOST_RELABELLINGS, 1)), axis=1)
    return drawn[(drawn != chosen).any(axis=1)], False


def _mean_difference(values: FloatArray, choices: NDArray[np.bool_]) -> FloatArray:
    """(choices,) mean of the chosen layers' numbers less that of the others'."""
    inside = choices @ values / choices.sum(axis=1)
    outside = ~choices @ values / (~choices).sum(axis=1)
    difference: FloatArray = inside - outside
    return difference


def _comparisons(
    effects: ModelEffects,
    outcome: str,
    family: str,
    tests: dict[str, tuple[SetTest, float]],
    excess: FloatArray,
    seed: int,
    *,
    exhaustive: bool,
) -> list[Comparison]:
    """Each test with its interval over videos: of the mean over items of `excess`, (items,)."""
    found = []
    for name, (test, own) in tests.items():
        interval = _interval(effects, excess, name, seed)
        defined = test.n_others > 0 and not math.isnan(own)
        nan = math.nan
        found.append(
            Comparison(
                model=effects.model, outcome=outcome, family=family, test=name,
                estimate=test.estimate if defined else nan,
                low=interval.low if defined else nan,
                high=interval.high if defined else nan,
                chosen=own,
                others=own - test.estimate if defined else nan,
                p_value=test.p_value if defined else nan, p_holm=nan,
                rank=test.rank if defined else 0,
                n_others=test.n_others, exhaustive=exhaustive,
                n_items=interval.n_items, n_videos=interval.n_clusters,
            )
        )  # fmt: skip
    return found


def _interval(effects: ModelEffects, excess: FloatArray, name: str, seed: int) -> Interval:
    of = {skill: effects.of_skill(skill) for skill in (REASONING, PERCEPTION)}
    if name == "interaction":
        one, other = of[REASONING], of[PERCEPTION]
        return mean_contrast(
            excess[one], effects.groups(one), excess[other], effects.groups(other)
        )  # fmt: skip
    return clustered_mean(excess[of[name]], effects.groups(of[name]), seed=seed)


def _corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's correction over those that make a claim."""
    claims = [c for c in family if c.test != PERCEPTION and not math.isnan(c.p_value)]
    adjusted = dict(zip(map(id, claims), holm([c.p_value for c in claims]), strict=True))
    return [dataclasses.replace(c, p_holm=adjusted.get(id(c), math.nan)) for c in family]
