from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from merit_interp.tables.masking_comparison import Comparison, compare, comparison_frame
from merit_interp.tables.masking_effects import read_masking
from tests.synthetic_masking import write_sweep

REASONING = (0.0, 3.0, 0.5, 2.0, 0.1, 0.0, 0.2, 0.0)
PERCEPTION = (1.0, 0.2, 0.0, 0.1, 0.0, 0.3, 0.0, 0.0)


def comparisons(
    directory: Path, model: str = "merged", outcome: str = "margin_nats"
) -> dict[tuple[str, str], Comparison]:
    return {
        (c.family, c.test): c
        for c in compare(read_masking(directory))
        if (c.model, c.outcome) == (model, outcome)
    }


def test_the_costliest_layers_are_found(tmp_path: Path) -> None:
    write_sweep(
        tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 2, 3), noise=0.3,
        coefficients=(1.0, 0.3, 0.6),
    )  # fmt: skip
    found = comparisons(tmp_path)
    together = found["together", "reasoning"]
    assert together.chosen == pytest.approx(5.5, abs=0.3)
    mean_of_others = np.mean(
        [sum(REASONING[i] for i in s) for s in itertools.combinations(range(8), 3)
         if s != (1, 2, 3)]
    )  # fmt: skip
    assert together.others == pytest.approx(mean_of_others, abs=0.3)
    assert together.low < 5.5 - mean_of_others < together.high
    assert (together.rank, together.n_others, together.exhaustive) == (1, 55, True)
    assert together.p_value == together.least_p == pytest.approx(1 / 56)
    assert together.p_holm == pytest.approx(2 / 56)
    assert math.isnan(found["together", "perception"].p_holm)
    assert found["together", "interaction"].p_value == pytest.approx(1 / 56)
    alone = found["alone", "reasoning"]
    assert alone.estimate == pytest.approx(5.5 / 3 - 0.3 / 5, abs=0.15)
    assert (alone.rank, alone.n_others) == (1, 55)
    assert found["alone", "correlation"].estimate > 0.7
    assert found["alone", "correlation"].p_holm >= found["alone", "correlation"].p_value


def test_layers_like_any_other_are_not_special(tmp_path: Path) -> None:
    write_sweep(
        tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(0, 5, 7), noise=0.3
    )  # fmt: skip
    for test in comparisons(tmp_path).values():
        if test.test != "perception":
            assert not test.p_holm < 0.05


@pytest.mark.parametrize("chosen", [(), tuple(range(8))])
def test_none_or_all_layers_have_nothing_to_be_compared_with(
    tmp_path: Path, chosen: tuple[int, ...]
) -> None:
    write_sweep(tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=chosen)
    assert compare(read_masking(tmp_path)) == ()
    assert comparison_frame(()).empty


def test_a_skill_without_items_makes_no_claim(tmp_path: Path) -> None:
    write_sweep(
        tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 3),
        skills=("reasoning",),
    )  # fmt: skip
    found = comparisons(tmp_path)
    assert math.isnan(found["together", "interaction"].p_value)
    assert math.isnan(found["together", "interaction"].p_holm)
    # the other claim of the family is alone then
    together = found["together", "reasoning"]
    assert together.p_holm == together.p_value


def test_drawn_sets_say_that_they_are_drawn(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 3), draws=9)
    together = comparisons(tmp_path)["together", "reasoning"]
    assert (together.n_others, together.exhaustive) == (9, False)
    assert together.p_value == pytest.approx(0.1)


def test_every_model_and_outcome_is_compared(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 3), noise=0.1)
    frame = comparison_frame(compare(read_masking(tmp_path)))
    assert set(frame["model"]) == {"vlm", "merged"}
    assert frame.groupby(["model", "outcome"]).size().tolist() == [7] * 8
