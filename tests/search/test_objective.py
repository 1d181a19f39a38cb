from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.errors import SettingError
from merit_interp.records import ItemScore, Skill, Trial
from merit_interp.search.objective import Objective, pareto_front


def scores(margins: Sequence[tuple[Skill, float | None]]) -> list[ItemScore]:
    """Two-option items with known margins; None is a failed item."""
    return [
        ItemScore(
            item=str(number),
            model="m",
            recipe="r",
            skill=skill,
            category="",
            group=f"video {number // 2}",
            answer=0,
            log_probs=() if margin is None else (0.0, -margin),
            status="failed" if margin is None else "ok",
        )
        for number, (skill, margin) in enumerate(margins)
    ]


def test_gain_in_reasoning_less_penalised_loss_in_perception() -> None:
    vlm = scores([("reasoning", -1.0), ("reasoning", 0.5), ("perception", 1.0)])
    merged = scores([("reasoning", 1.0), ("reasoning", 0.5), ("perception", 0.5)])
    effect = Objective(penalty=2.0).effect(vlm, merged)
    assert effect.delta_tr_margin_nats == pytest.approx(1.0)
    assert effect.delta_tp_margin_nats == pytest.approx(-0.5)
    assert effect.objective == pytest.approx(1.0 - 2.0 * 0.5)
    assert effect.delta_tr_accuracy == pytest.approx(0.5)
    assert effect.delta_tp_accuracy == 0.0


def test_gain_in_perception_earns_nothing() -> None:
    vlm = scores([("reasoning", 0.0), ("perception", -1.0)])
    merged = scores([("reasoning", 0.0), ("perception", 1.0)])
    assert Objective(penalty=3.0).effect(vlm, merged).objective == 0.0


def test_objective_on_accuracy() -> None:
    vlm = scores([("reasoning", -1.0)] * 4 + [("perception", 1.0)] * 4)
    merged = scores(
        [("reasoning", 1.0)] * 3 + [("reasoning", -1.0)] + [("perception", -0.1)] * 1
        + [("perception", 1.0)] * 3
    )  # fmt: skip
    effect = Objective("accuracy", penalty=1.0).effect(vlm, merged)
    assert effect.objective == pytest.approx(0.75 - 0.25)


def test_the_vlm_against_itself_is_zero() -> None:
    vlm = scores([("reasoning", 0.3), ("perception", -7.0)])
    assert Objective(penalty=5.0).effect(vlm, vlm).objective == 0.0


def test_items_that_are_decided_do_not_dominate() -> None:
    vlm = scores([("reasoning", 5.0), ("reasoning", -0.5)])
    merged = scores([("reasoning", 50.0), ("reasoning", 0.5)])
    assert Objective(margin_clip_nats=3.0).effect(vlm, merged).objective == pytest.approx(0.5)


def test_failed_and_other_items_count_nowhere() -> None:
    vlm = scores([("reasoning", 0.0), ("reasoning", None), ("other", -9.0)])
    merged = scores([("reasoning", 1.0), ("reasoning", None), ("other", 9.0)])
    assert Objective().effect(vlm, merged).objective == 1.0


@pytest.mark.parametrize(
    ("log_probs", "margin", "right"),
    [
        ((-math.inf, -math.inf), -3.0, 0.0),
        ((-math.inf, -1.0), -3.0, 0.0),
        ((-1.0, -math.inf), 3.0, 1.0),
    ],
)
def test_options_of_probability_zero(
    log_probs: tuple[float, ...], margin: float, right: float
) -> None:
    vlm = scores([("reasoning", 0.0)])
    merged = [dataclasses.replace(vlm[0], log_probs=log_probs)]
    objective = Objective(margin_clip_nats=3.0)
    assert objective.paired(vlm, merged, "reasoning", "margin").merged == (margin,)
    assert objective.paired(vlm, merged, "reasoning", "accuracy").merged == (right,)


def test_scores_of_different_items_are_a_bug() -> None:
    with pytest.raises(ValueError, match="different items"):
        Objective().effect(scores([("reasoning", 0.0)]), scores([("reasoning", None)]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "loss"}, "objective 'loss'; valid: margin or accuracy"),
        ({"penalty": -1.0}, "penalty -1.0; valid: a number of at least 0"),
        ({"penalty": math.nan}, "penalty nan"),
        ({"margin_clip_nats": 0.0}, "margin clip 0.0; valid: a number above 0"),
    ],
)
def test_impossible_objectives_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Objective(**arguments)  # type: ignore[arg-type]


def trial(number: int, tr: float, tp: float) -> Trial:
    return Trial(number, f"r{number}", {}, "search", tr, tr, tp, tr, tp)


def test_pareto_front_of_known_trials() -> None:
    trials = [
        trial(*row)
        for row in [(0, 0.0, 0.0), (1, 2.0, -1.0), (2, 1.0, -2.0), (3, 2.0, -1.0), (4, 1.0, 0.0)]
    ]
    assert [t.number for t in pareto_front(trials)] == [1, 4]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=20))
def test_pareto_front_is_what_nothing_beats(deltas: list[tuple[int, int]]) -> None:
    trials = [trial(number, float(tr), float(tp)) for number, (tr, tp) in enumerate(deltas)]
    front = pareto_front(trials)
    for one in trials:
        beaten = any(
            other.delta_tr >= one.delta_tr
            and other.delta_tp >= one.delta_tp
            and (other.delta_tr, other.delta_tp) != (one.delta_tr, one.delta_tp)
            for other in trials
        )
        on_front = any((f.delta_tr, f.delta_tp) == (one.delta_tr, one.delta_tp) for f in front)
        assert on_front != beaten
