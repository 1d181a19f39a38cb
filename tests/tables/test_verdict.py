"""The verdict says what the records hold, above all when nothing was gained or little is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import pytest

from merit_interp.records import ItemScore, Skill
from merit_interp.statistics.intervals import Interval, clustered_mean
from merit_interp.tables.item_frames import item_scores
from merit_interp.tables.verdict import (
    Verdict,
    held_out_text,
    interval_text,
    judge,
    judge_sets,
    judged_item_set,
    points,
)
from tests.synthetic_run import LEVELS, Plan, made_up_score, made_up_scores


def verdict(*, identity: bool = False, draws: int = 4, **levels: tuple[float, float]) -> Verdict:
    plan = Plan(("validation",), draws=draws, levels={**LEVELS, **levels})
    return judge(item_scores(made_up_scores(plan)), "validation", identity=identity)


Answers = tuple[Sequence[int], Sequence[int]]
"""Right (1) or wrong (0) on each video: reasoning, perception."""


def counted(answers: Mapping[str, Answers], item_set: str = "validation") -> list[ItemScore]:
    """Scores of models by their right answers on reasoning and perception, one item a video."""
    skills: tuple[Skill, Skill] = ("reasoning", "perception")
    return [
        made_up_score(item_set, model, skill, skill, f"v{video:03d}", 2.0 if right else -2.0)
        for model, of_skills in answers.items()
        for skill, row in zip(skills, of_skills, strict=True)
        for video, right in enumerate(row)
    ]


def of_counts(item_set: str = "validation", **answers: Answers) -> Verdict:
    return judge(item_scores(counted(answers, item_set)), item_set)


def rows(n: int, right: int) -> list[int]:
    """So many items of which the first so many are right."""
    return [1] * right + [0] * (n - right)


RISES = (rows(80, 40), rows(80, 70))
"""Reasoning before and after."""


def merging(perception: tuple[Sequence[int], Sequence[int]]) -> Verdict:
    """Reasoning rises for certain; perception is the given one before and after."""
    return of_counts(vlm=(RISES[0], perception[0]), merged=(RISES[1], perception[1]))


def test_all_claims_hold() -> None:
    same = rows(600, 540)
    before = (RISES[0], same)
    found = of_counts(
        vlm=before, merged=(RISES[1], same), uniform_attention_1=before, uniform_text_1=before,
        first_k=before, last_k=before, random_layers_00=before,
    )  # fmt: skip
    assert [claim.answer for claim in found.claims] == ["yes"] * 7
    assert found.gained
    assert found.headline == (
        "Merging raised reasoning: +37.5 points on validation, and perception held (0.0 points)."
    )
    rose, kept = found.claims[:2]
    assert rose.interval is not None
    assert points(rose.interval.low) in rose.text
    assert kept.text.endswith("a loss of more than 1 point is ruled out.")


def test_reasoning_that_did_not_rise_is_no_gain() -> None:
    found = verdict(merged=(0.40, 0.92))
    assert found.claims[0].answer == "no"
    assert not found.claims[0].opposite
    assert not found.gained
    assert found.headline.startswith("Nothing gained: reasoning changed by")


def test_reasoning_that_fell_is_said_to_have_fallen() -> None:
    found = of_counts(vlm=(RISES[1], rows(40, 40)), merged=(RISES[0], rows(40, 20)))
    assert found.claims[0].holds is False
    assert found.claims[0].text.endswith("; it fell.")
    assert found.headline == (
        "Nothing gained: reasoning fell, −37.5 points on validation. "
        "Perception fell by 50.0 points."
    )


def test_reasoning_is_open_where_interval_and_test_disagree() -> None:
    found = of_counts(vlm=(rows(60, 30), []), merged=(rows(60, 35), []))
    rose = found.claims[0]
    assert rose.interval is not None
    assert rose.interval.is_above(0.0)
    assert rose.p_value > 0.05
    assert rose.answer == "open"
    assert rose.text.endswith("; only 5 videos differ, too few for the test.")
    assert "Reasoning rose: not shown." in found.text
    assert not found.gained
    assert found.headline.startswith(
        "It is not shown that reasoning rose on validation: +8.3 points"
    )
    assert "p = 0.062" in found.headline.replace("\u00a0", " ")


def test_perception_that_fell_is_named_as_the_price() -> None:
    found = verdict(merged=(0.8, 0.55))
    assert found.claims[1].answer == "no"
    assert found.claims[1].text.endswith("; it fell.")
    assert not found.gained
    assert "at the price of perception" in found.headline


def test_few_items_do_not_make_perception_kept() -> None:
    """The fewer the items, the wider the interval: a loss of 10 points is then not shown."""
    found = merging((rows(20, 20), rows(20, 18)))
    kept = found.claims[1]
    assert kept.answer == "open"
    assert kept.text.endswith("; a loss of more than 1 point is not ruled out.")
    assert "Perception was kept: not shown. " in found.text
    assert "; perception is not shown to be kept: −10.0 points (95% −" in found.headline
    assert "held" not in found.headline
    assert found.gained


def test_a_fall_that_the_test_cannot_see_is_open_with_its_p() -> None:
    found = merging((rows(200, 200), rows(200, 196)))
    kept = found.claims[1]
    assert kept.interval is not None
    assert kept.interval.is_below(0.0)
    assert kept.answer == "open"
    assert kept.text.endswith(
        "; whether it fell is undecided: only 4 videos differ, too few for the test."
    )
    assert ", p = 0.12)." in found.headline.replace("\u00a0", " ")


def test_where_not_one_answer_changed_few_videos_still_rule_nothing_out() -> None:
    few, many = (merging((rows(n, n), rows(n, n))).claims[1] for n in (60, 400))
    assert few.answer == "open"
    assert "the same on every video" in few.text
    assert many.answer == "yes"


def test_all_lost_is_a_fall() -> None:
    kept = merging((rows(20, 20), rows(20, 0))).claims[1]
    assert kept.answer == "no"
    assert "−100.0 points" in kept.text


def test_five_videos_settle_nothing() -> None:
    found = of_counts(vlm=(rows(5, 0), rows(5, 5)), merged=(rows(5, 5), rows(5, 0)))
    assert [claim.answer for claim in found.claims[:2]] == ["open", "open"]
    assert found.claims[0].text.endswith("; only 5 videos, too few for the test.")
    alone = of_counts(vlm=([0], [1]), merged=([1], [0]))
    assert [claim.answer for claim in alone.claims[:2]] == ["open", "open"]
    assert alone.headline == "It is not shown that reasoning rose on validation: +100.0 points."


def test_a_run_without_perception_items_does_not_say_that_perception_held() -> None:
    found = of_counts(vlm=(RISES[0], []), merged=(RISES[1], []))
    assert found.claims[1].answer == "unknown"
    assert found.headline.endswith("; perception was not measured.")
    assert not found.gained


def test_a_uniform_merge_that_does_as_well_is_named() -> None:
    found = verdict(uniform_attention_1=(0.70, 0.9))
    assert found.claims[2].answer == "no"
    assert not found.claims[2].opposite
    assert "the strongest of them, uniform attention 1" in found.claims[2].text
    assert "perception is" in found.claims[2].text
    assert found.claims[2].text.endswith(" Neither is shown to reason better.")
    assert "But it is not shown to reason better than uniform merging" in found.headline


def test_first_layers_that_do_as_well_are_named() -> None:
    found = verdict(first_k=(0.68, 0.915))
    first = next(claim for claim in found.claims if claim.name == "Better than the first layers")
    assert first.answer == "no"
    assert "against its coefficients on the first layers" in first.text
    assert "the first layers" in found.headline


def test_a_rival_that_reasons_better_is_named_with_the_number() -> None:
    before, after = rows(80, 40), rows(80, 60)
    found = of_counts(
        vlm=(before, []), merged=(after, []), uniform_attention_1=(after, []),
        uniform_text_1=(rows(80, 76), []), first_k=(after, []), last_k=(before, []),
    )  # fmt: skip
    worse = found.claims[3]
    assert (worse.answer, worse.opposite) == ("no", True)
    assert worse.text.endswith(". It reasons worse.")
    assert found.sentences[1] == (
        "But it reasons worse than uniform merging of all text weights (−20.0 points), and is not "
        "shown better than uniform merging of self-attention or the first layers."
    )
    alone = of_counts(vlm=(before, []), merged=(after, []), uniform_text_1=(rows(80, 76), []))
    assert alone.sentences[1] == (
        "But it reasons worse than uniform merging of all text weights (−20.0 points)."
    )


def test_a_rival_on_whom_interval_and_test_disagree_is_open() -> None:
    vlm: Answers = (rows(80, 20), [])
    merged: Answers = (rows(80, 60), [])
    ahead = of_counts(vlm=vlm, merged=merged, first_k=(rows(80, 56), []))
    behind = of_counts(vlm=vlm, merged=merged, first_k=(rows(80, 64), []))
    assert ahead.claims[4].answer == "open"
    assert ahead.claims[4].text.endswith(
        "Whether it reasons better is undecided: only 4 videos differ, too few for the test."
    )
    assert behind.claims[4].answer == "no"
    assert not behind.claims[4].opposite
    assert behind.claims[4].text.endswith(
        "Whether it reasons worse is undecided: only 4 videos differ, too few for the test."
    )
    for found in (ahead, behind):
        assert found.sentences[1] == "But it is not shown to reason better than the first layers."


def test_a_recipe_that_is_the_first_layers_is_not_held_against_itself() -> None:
    answers: dict[str, Answers] = {
        "vlm": (RISES[0], []),
        "merged": (RISES[1], []),
        "first_k": (RISES[1], []),
    }
    scores = [
        replace(score, recipe="same") if score.model != "vlm" else score
        for score in counted(answers)
    ]
    first = judge(item_scores(scores), "validation").claims[4]
    assert first.text == "The recipe is this very merge: its coefficients on the first layers."
    assert first.answer == "no"


def test_the_identity_recipe_is_said_to_merge_nothing() -> None:
    found = verdict(identity=True, merged=LEVELS["vlm"])
    assert found.headline.startswith("Nothing gained: the search found no recipe")
    assert len(found.sentences) == 1


def test_what_was_not_scored_is_not_known() -> None:
    found = verdict(draws=0)
    assert found.claims[6].answer == "unknown"
    assert "not scored" in found.claims[6].text
    assert "Better than random layers: not known." in found.text
    lone = item_scores(s for s in made_up_scores(Plan(("a",))) if s.model == "vlm")
    missing = judge(lone, "a")
    assert missing.headline == "Not judged: a has no scores of Merged."
    assert not missing.gained


def test_the_text_has_every_claim() -> None:
    found = verdict(merged=(0.40, 0.92))
    assert found.text.count("\n") == 7
    assert "Reasoning rose: NO." in found.text


def of_four_sets() -> pd.DataFrame:
    """Reasoning rises on three of four; perception falls, is open, held, and not measured."""
    kept = rows(400, 400)
    sets: dict[str, tuple[Answers, Answers]] = {
        "longer": ((rows(80, 40), rows(40, 40)), (rows(80, 70), rows(40, 20))),
        "validation": ((rows(80, 40), kept), (rows(80, 70), kept)),
        "new": ((rows(80, 40), rows(40, 40)), (rows(80, 70), rows(40, 39))),
        "other": ((rows(80, 40), kept), (rows(80, 41), kept)),
        "last": ((rows(80, 70), []), (rows(80, 40), [])),
    }
    return item_scores(
        score
        for name, (vlm, merged) in sets.items()
        for score in counted({"vlm": vlm, "merged": merged}, name)
    )


def test_the_headline_counts_the_held_out_sets() -> None:
    first, *held_out = judge_sets(of_four_sets())
    assert first.item_set == "validation"
    assert [v.item_set for v in held_out] == ["longer", "new", "other", "last"]
    assert first.sentences[-1] == (
        "Held-out sets: reasoning rose on 2 of 4 and fell on 1; perception held on 1, fell on 1 "
        "and is undecided on 1."
    )
    assert held_out_text("Perception was kept", held_out) == (
        "Held-out sets: holds on 1 of 3, the opposite is shown on 1, undecided on 1."
    )
    assert held_out_text("Better than random layers", held_out) == ""
    assert all("Held-out" not in v.headline for v in held_out)


def test_without_held_out_sets_the_headline_has_no_word_of_them() -> None:
    frame = of_four_sets()
    (only,) = judge_sets(frame[frame["item_set"] == "validation"])
    assert only == judge(frame, "validation")
    assert judge_sets(frame[:0]) == ()


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
