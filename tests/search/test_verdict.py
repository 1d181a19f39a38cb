from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from merit_interp.recipe import Recipe
from merit_interp.records import ItemScore, Skill
from merit_interp.search.settings import SearchSettings, Split
from merit_interp.search.trials import made_trial
from merit_interp.search.verdict import Verdict, judge, signed
from tests.synthetic_run import made_up_recipe

Margins = NDArray[np.float64]


@pytest.mark.parametrize(
    ("change", "form", "text"),
    [
        (-0.1184, ".3g", "−0.118"),
        (1.1561, ".3g", "+1.16"),
        (-0.00001, ".3g", "−1e-05"),
        (-0.0001, ".3f", "+0.000"),
        (-2.5, ".3f", "−2.500"),
        (-4144.2, ".3g", "−4144"),
    ],
)
def test_a_change_has_the_minus_of_all_other_text(change: float, form: str, text: str) -> None:
    assert signed(change, form) == text


def scores(skill: Skill, margins: Margins) -> list[ItemScore]:
    """One two-option item a video, the right option ahead by its margin."""
    return [
        ItemScore(
            item=f"{skill} {number}", model="m", recipe="r", skill=skill, category="",
            group=f"video {number}", answer=0, log_probs=(0.0, float(-margin)),
        )
        for number, margin in enumerate(margins)
    ]  # fmt: skip


def judged(reasoning: Margins, perception: Margins, *, penalty: float = 1.0) -> Verdict:
    """The end of a search whose one recipe changes the margins, all 0 in the VLM, to these."""
    settings = SearchSettings(penalty=penalty, seed=1)
    vlm = scores("reasoning", 0 * reasoning) + scores("perception", 0 * perception)
    merged = scores("reasoning", reasoning) + scores("perception", perception)
    identity = made_up_recipe({})
    objective = settings.made_objective()
    trial = made_trial(3, made_up_recipe({1: 1.0}), "validation", objective, vlm, merged)

    def scores_of(recipe: Recipe, split: Split) -> list[ItemScore]:
        return vlm if recipe.is_identity else merged

    return judge(settings, identity, 4, [trial], [trial], scores_of, failed={})


GENERATOR = np.random.default_rng(0)
RISES = 0.6 + 0.4 * GENERATOR.standard_normal(40)
FALLS = -0.2 + 0.3 * GENERATOR.standard_normal(40)


def test_a_recipe_that_is_better_in_both_is_found() -> None:
    found = judged(RISES, FALLS)
    assert found.found
    assert found.reason.startswith("better than the unmerged VLM beyond its interval: trial 3 ")


def test_where_j_decides_the_conclusion_says_j_and_its_interval() -> None:
    found = judged(RISES, FALLS, penalty=5000.0)
    assert not found.found
    assert found.recipe.is_identity
    reasoning, perception = float(RISES.mean()), float(FALLS.mean())
    j = signed(reasoning + 5000 * perception)
    assert found.reason.startswith(
        "no recipe is better than the unmerged VLM by the objective J, which takes 5000 times the "
        f"perception lost off the reasoning gained: the best, trial 3, has J {j} nats (95% interval"
    )
    assert "beyond its interval" not in found.reason
    assert f"changes reasoning on validation by {signed(reasoning)} nats (95% int" in found.reason


def test_the_interval_of_j_is_that_of_the_videos_and_never_above_the_gain() -> None:
    # on each video J is 1 - 2 * lost: as if one number a video had been measured
    lost = np.tile([0.5, 0.8], 20)
    one = judged(np.ones(40) + 1e-3 * GENERATOR.standard_normal(40), -lost, penalty=2.0)
    assert not one.found
    low, high = one.reason.split("(95% interval ")[1].split(")")[0].split(" to ")
    spread = 2.0 * 0.15 / np.sqrt(39)
    assert float(low.replace("−", "-")) == pytest.approx(-0.3 - 2.02 * spread, abs=0.02)
    assert float(high.replace("−", "-")) == pytest.approx(-0.3 + 2.02 * spread, abs=0.02)
    wide = judged(RISES, np.tile([-2.9, 2.8], 20), penalty=50.0)
    ends = [part.split(" to ")[1].split(")")[0].split(",")[0]
            for part in wide.reason.split("95% interval ")[1:]]  # fmt: skip
    assert len(ends) == 2
    assert ends[0] == ends[1], "J's upper end is that of the gain, which J cannot pass"


def test_what_is_not_beyond_its_interval_is_said_so_whatever_j() -> None:
    noise = np.tile([-1.0, 1.1], 20)
    found = judged(noise, FALLS)
    assert found.reason.startswith(
        "no recipe is better than the unmerged VLM beyond its interval: the best, trial 3, changes"
    )
