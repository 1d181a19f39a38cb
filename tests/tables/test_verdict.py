"""The verdict says what the records hold, above all when nothing was gained."""

from __future__ import annotations

import pytest

from merit_interp.statistics.intervals import Interval, clustered_mean
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.verdict import Verdict, interval_text, judge, judged_item_set, points
from tests.synthetic_run import LEVELS, Plan, made_up_scores


def verdict(*, identity: bool = False, draws: int = 4, **levels: tuple[float, float]) -> Verdict:
    plan = Plan(("validation",), draws=draws, levels={**LEVELS, **levels})
    return judge(item_scores(made_up_scores(plan)), "validation", identity=identity)


def test_all_claims_hold() -> None:
    found = verdict(merged=(0.85, 0.92))
    assert [claim.holds for claim in found.claims] == [True] * 5
    assert found.gained
    assert found.headline.startswith("Merging raised reasoning: +")
    assert "perception held" in found.headline
    rose = found.claims[0]
    assert rose.interval is not None
    assert points(rose.interval.low) in rose.text


def test_reasoning_that_did_not_rise_is_no_gain() -> None:
    found = verdict(merged=(0.40, 0.92))
    assert found.claims[0].holds is False
    assert not found.gained
    assert found.headline.startswith("Nothing gained")


def test_perception_that_fell_is_named_as_the_price() -> None:
    found = verdict(merged=(0.8, 0.55))
    assert found.claims[1].holds is False
    assert not found.gained
    assert "at the price of perception" in found.headline


def test_a_uniform_merge_that_does_as_well_is_named() -> None:
    found = verdict(uniform_attention_1=(0.95, 0.9))
    assert found.claims[2].holds is False
    assert "the strongest of them, uniform attention 1" in found.claims[2].text
    assert "perception is" in found.claims[2].text
    assert "But it is not shown to reason better than uniform merging" in found.headline


def test_the_identity_recipe_is_said_to_merge_nothing() -> None:
    found = verdict(identity=True, merged=LEVELS["vlm"])
    assert found.headline.startswith("Nothing gained: the search found no recipe")


def test_what_was_not_scored_is_not_known() -> None:
    found = verdict(draws=0)
    assert found.claims[4].holds is None
    assert "not scored" in found.claims[4].text
    lone = item_scores(s for s in made_up_scores(Plan(("a",))) if s.model == "vlm")
    missing = judge(lone, "a")
    assert missing.headline == "Not judged: a has no scores of Merged."
    assert not missing.gained


def test_the_text_has_every_claim() -> None:
    found = verdict(merged=(0.40, 0.92))
    assert found.text.count("\n") == 5
    assert "Reasoning rose: NO." in found.text


def test_validation_is_judged_where_there_is_one() -> None:
    frame = item_scores(made_up_scores(Plan(("longer", "validation"), videos=3)))
    assert judged_item_set(frame) == "validation"
    assert judged_item_set(frame[frame["item_set"] == "longer"]) == "longer"
    assert judged_item_set(frame[:0]) is None


@pytest.mark.parametrize(
    ("share", "text"), [(0.2345, "+23.4"), (-0.004, "−0.4"), (-0.0001, "0.0"), (0.0, "0.0")]
)
def test_points_have_a_sign_and_zero_has_none(share: float, text: str) -> None:
    assert points(share) == text


def test_an_undefined_interval_says_so() -> None:
    nan = float("nan")
    assert interval_text(Interval(0.1, nan, nan, 2, 1, 0.95, "undefined: one cluster")) == (
        "+10.0 points (interval undefined: one cluster)"
    )


def test_an_interval_where_nothing_changed_says_why_it_has_a_width() -> None:
    same = clustered_mean([0.0] * 40, [f"v{i}" for i in range(40)], bounds=(-1.0, 1.0))
    assert interval_text(same) == (
        "0.0 points (the same on every video; 95% interval −8.8 to +8.8)"
    )
