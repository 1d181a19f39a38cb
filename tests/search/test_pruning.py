"""Layers that a recipe does not need are left out, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from merit_interp.recipe import Coefficient
from merit_interp.records import Trial
from merit_interp.search.pruning import pruning_path
from merit_interp.search.trials import most_parsimonious

WORTH = {0: 0.6, 2: 0.3, 5: 0.1}
"""What each layer adds to the objective; layers that are not here add nothing."""


def objective(layers: Mapping[int, Coefficient]) -> float:
    return sum(WORTH.get(layer, 0.0) for layer in layers)


def pruned_layers(
    layers: Mapping[int, Coefficient],
    *,
    floor: float,
    objective_of: Callable[[Mapping[int, Coefficient]], float],
) -> Mapping[int, Coefficient]:
    """The end of the path."""
    return [layers, *pruning_path(layers, floor=floor, objective_of=objective_of)][-1]


def test_every_recipe_on_the_way_is_on_the_path() -> None:
    path = pruning_path(dict.fromkeys(range(6), 0.5), floor=0.6, objective_of=objective)
    assert [set(layers) for layers in path] == [
        {0, 2, 3, 4, 5},
        {0, 2, 4, 5},
        {0, 2, 5},
        {0, 2},
        {0},
    ]


def test_layers_that_add_nothing_go_and_those_that_do_stay() -> None:
    layers = dict.fromkeys(range(8), 0.5)
    tried: list[int] = []

    def counted(layers: Mapping[int, Coefficient]) -> float:
        tried.append(len(layers))
        return objective(layers)

    assert pruned_layers(layers, floor=0.95, objective_of=counted) == {0: 0.5, 2: 0.5, 5: 0.5}
    assert len(tried) <= 2 * len(layers)


def test_the_floor_decides_how_much_may_go() -> None:
    layers = {0: 1.0, 2: 0.5, 5: 0.5}
    assert set(pruned_layers(layers, floor=0.89, objective_of=objective)) == {0, 2}
    assert set(pruned_layers(layers, floor=0.5, objective_of=objective)) == {0}
    assert set(pruned_layers(layers, floor=1.0, objective_of=objective)) == {0, 2, 5}


def test_layers_that_only_work_together_stay_together() -> None:
    def both(layers: Mapping[int, Coefficient]) -> float:
        return 1.0 if {1, 3} <= set(layers) else 0.0

    kept = pruned_layers({1: 1.0, 2: 1.0, 3: 1.0}, floor=0.9, objective_of=both)
    assert set(kept) == {1, 3}


def test_one_of_two_redundant_layers_goes() -> None:
    def either(layers: Mapping[int, Coefficient]) -> float:
        return 1.0 if {1, 3} & set(layers) else 0.0

    assert len(pruned_layers({1: 1.0, 3: 1.0}, floor=0.9, objective_of=either)) == 1


def test_a_single_layer_is_never_left_out() -> None:
    assert pruned_layers({4: 0.2}, floor=0.0, objective_of=objective) == {4: 0.2}


def trial(number: int, n_layers: int, value: float) -> Trial:
    layers = {str(layer): 0.5 for layer in range(n_layers)}
    return Trial(number, f"r{number}", layers, "validation", value, value, 0.0, value, 0.0)


def test_fewer_layers_win_among_those_nearly_as_good() -> None:
    trials = [trial(0, 8, 1.0), trial(1, 3, 0.96), trial(2, 3, 0.97), trial(3, 1, 0.5)]
    assert most_parsimonious(trials, 0.05).number == 2
    assert most_parsimonious(trials, 0.0).number == 0
    assert most_parsimonious(trials, 0.6).number == 3
