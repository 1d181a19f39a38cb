from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from merit_interp.statistics.multiplicity import holm
from merit_interp.tables.attribution_frames import attribution_frame
from merit_interp.tables.attribution_measures import (
    MEASURE_LABELS,
    MeasuredShift,
    measured_shifts,
    others_sentence,
)
from merit_interp.tables.attribution_shift import shift_table
from merit_interp.tables.attribution_verdict import shift_lines
from tests.synthetic_attribution import MASS, MadeUp, made_up_records


@pytest.fixture(scope="module")
def shift() -> pd.DataFrame:
    return shift_table(attribution_frame(made_up_records()), method="ig")


def found(side: int, *, measure: str = "excess_precision", headline: bool = False) -> MeasuredShift:
    """A shift of 10 points or nats that correction leaves standing, or not."""
    value = 0.1 * (side or 1)
    return MeasuredShift(
        measure=measure, method="occlusion", is_headline=headline, difference=value,
        low=value - 0.05, high=value + 0.05, p_value=0.001, p_holm=0.01 if side else 0.2,
        n_items=20,
    )  # fmt: skip


def test_every_measure_of_every_method_is_tested_once(shift: pd.DataFrame) -> None:
    shifts = measured_shifts(shift, "validation", "reasoning", method="ig")
    # four measures through each of two methods; the model is asked itself once each
    assert len({(s.measure, s.method) for s in shifts}) == len(shifts) == 2 * 4 + 2
    assert {s.measure for s in shifts} == set(MEASURE_LABELS)
    assert [s.is_headline for s in shifts] == [True] + 9 * [False]
    assert shifts[0].difference == pytest.approx(0.3, abs=0.05)
    assert shifts[0].n_items == 20


def test_p_values_are_corrected_over_all_of_a_skill(shift: pd.DataFrame) -> None:
    shifts = measured_shifts(shift, "validation", "reasoning", method="ig")
    assert [s.p_holm for s in shifts] == pytest.approx(holm([s.p_value for s in shifts]))
    rows = shift[(shift["model"] == "merged") & (shift["against"] == "vlm")]
    # what is shown alone, at p = 0.01, is not shown as one of ten
    alone = shift.assign(
        difference_p=shift["difference_p"].where(~shift.index.isin(rows.index), 0.01)
    )
    assert {s.side for s in measured_shifts(alone, "validation", "reasoning", method="ig")} == {0}


def test_other_methods_and_measures_follow_the_first_sentence(shift: pd.DataFrame) -> None:
    frame = attribution_frame(made_up_records())
    reasoning, perception, _ = shift_lines(shift, frame, "validation")
    for line in (reasoning, perception):
        first, _, others = line.partition(". By other methods and measures: ")
        assert "it moved TO the evidence" in first
        assert others.startswith("of 9, ")
        assert "mass by Shapley values +" in others
        # made up without any spread, so that it has no interval to agree with the test
        assert "deletion of the evidence" not in others
        assert others.endswith("none AWAY from it; Holm's correction over all 10.")


def test_with_no_shift_none_is_named() -> None:
    records = [
        dataclasses.replace(r, deletion_evidence_nats=0.4, insertion_evidence_nats=0.4)
        for r in made_up_records(MadeUp(mass={**MASS, "merged": MASS["vlm"]}, seed=3))
    ]
    table = shift_table(attribution_frame(records), method="ig")
    sentence = others_sentence(measured_shifts(table, "validation", "reasoning", method="ig"))
    assert sentence == (
        "By other methods and measures: none of 9 is shown to move either way; "
        "Holm's correction over all 10."
    )


def test_each_that_is_shown_is_named_with_its_numbers_and_its_side() -> None:
    headline = found(1, measure="excess_mass", headline=True)
    shifts = [headline, found(1), found(0), found(-1, measure="insertion_excess_nats")]
    assert others_sentence(shifts) == (
        "By other methods and measures: of 3, 1 is shown to move TO the evidence (average "
        "precision by leave one out +10.0 points, 95% +5.0 to +15.0), 1 AWAY from it (insertion of "
        "the evidence −0.10 nats, 95% −0.15 to −0.05); Holm's correction over all 4."
    )
    assert others_sentence([headline]) == ""
    # test and interval have to agree
    assert dataclasses.replace(found(1), low=-0.01).side == 0
    undefined = dataclasses.replace(found(1), low=math.nan, high=math.nan)
    assert undefined.side == 0
    assert undefined.text == "+10.0 points"


def test_nothing_measured_says_nothing(shift: pd.DataFrame) -> None:
    assert measured_shifts(shift, "another set", "reasoning", method="ig") == ()
    assert others_sentence(()) == ""
