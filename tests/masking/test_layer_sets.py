from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.errors import SettingError
from merit_interp.masking.layer_sets import first_difference, plan_sweep, size_matched_sets
from merit_interp.records import MaskPlan


def layers_of(plan: MaskPlan, role: str) -> set[tuple[int, ...]]:
    return {entry.layers for entry in plan.having(role)}


def test_a_plan_holds_what_the_comparison_needs() -> None:
    plan = plan_sweep(n_layers=6, chosen=(4, 1), draws=200, seed=0)
    assert plan.chosen == (1, 4)
    assert layers_of(plan, "unmasked") == {()}
    assert layers_of(plan, "single") == {(layer,) for layer in range(6)}
    assert layers_of(plan, "chosen") == {(1, 4)}
    assert layers_of(plan, "complement") == {(0, 2, 3, 5)}
    assert layers_of(plan, "size_matched") == set(itertools.combinations(range(6), 2)) - {(1, 4)}
    assert layers_of(plan, "first") == {tuple(range(n)) for n in range(1, 7)}
    assert layers_of(plan, "last") == {tuple(range(6 - n, 6)) for n in range(1, 7)}
    assert plan.n_possible == 15
    assert plan.is_exhaustive
    assert len({entry.layers for entry in plan.sets}) == len(plan.sets)


def test_a_plan_reads_back_equal() -> None:
    plan = plan_sweep(n_layers=5, chosen=(0, 3), draws=4, seed=1, heads=(1, 0), each_of_heads=2)
    assert MaskPlan.from_row(json.loads(json.dumps(plan.to_row()))) == plan
    assert {entry.heads for entry in plan.having("single")} == {(0, 1)}
    heads = {(entry.layers, entry.heads) for entry in plan.having("head")}
    assert heads == {((layer,), (head,)) for layer in range(5) for head in range(2)}


def test_many_sets_are_drawn_and_each_is_distinct() -> None:
    drawn = size_matched_sets(28, range(0, 28, 4), draws=200, seed=0)
    assert len(set(drawn)) == len(drawn) == 200
    assert all(len(layers) == 7 for layers in drawn)
    assert drawn == size_matched_sets(28, range(0, 28, 4), draws=200, seed=0)
    assert drawn != size_matched_sets(28, range(0, 28, 4), draws=200, seed=1)
    plan = plan_sweep(n_layers=28, chosen=range(0, 28, 4), draws=200, seed=0)
    assert plan.n_possible == math.comb(28, 7)
    assert not plan.is_exhaustive


@pytest.mark.parametrize("chosen", [(), tuple(range(4))])
def test_nothing_matches_no_layers_or_all(chosen: tuple[int, ...]) -> None:
    plan = plan_sweep(n_layers=4, chosen=chosen, draws=200, seed=0)
    assert not layers_of(plan, "size_matched")
    assert len(layers_of(plan, "single")) == 4


@pytest.mark.parametrize("chosen", [(4,), (-1,), (1, 1)])
def test_layers_that_the_model_lacks_are_refused(chosen: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="layers from 0 to 3"):
        plan_sweep(n_layers=4, chosen=chosen, draws=1, seed=0)


@given(st.integers(2, 7).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_neighbours_of_the_order_share_the_longest_beginnings(case: tuple[int, set[int]]) -> None:
    n_layers, chosen = case
    plan = plan_sweep(n_layers=n_layers, chosen=tuple(chosen), draws=10, seed=0)
    for number, entry in enumerate(plan.sets[1:], start=1):
        before = first_difference(plan.sets[number - 1], entry)
        assert all(first_difference(other, entry) <= before for other in plan.sets[:number])
