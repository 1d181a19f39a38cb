from __future__ import annotations

import itertools

import numpy as np
import pytest

from merit_interp.attribution.shapley import (
    all_coalitions,
    coalitions_of,
    drawn_orders,
    exact_shapley,
    sampled_shapley,
)


def by_definition(values: np.ndarray, players: int) -> np.ndarray:
    """Mean gain over all n! orders."""
    totals = np.zeros(players)
    orders = list(itertools.permutations(range(players)))
    for order in orders:
        coalition = 0
        for player in order:
            joined = coalition | 1 << player
            totals[player] += values[joined] - values[coalition]
            coalition = joined
    return totals / len(orders)


@pytest.mark.parametrize("players", [1, 2, 5])
def test_enumeration_is_the_mean_gain_over_all_orders(players: int) -> None:
    values = np.random.default_rng(players).normal(size=(3, 2**players))
    found = exact_shapley(values)
    for row, scores in zip(values, found, strict=True):
        np.testing.assert_allclose(scores, by_definition(row, players), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), values[:, -1] - values[:, 0], atol=1e-12)


def test_coalitions_are_in_the_order_of_their_bits() -> None:
    coalitions = all_coalitions(3)
    assert coalitions.shape == (8, 3)
    assert coalitions[5].tolist() == [True, False, True]


def test_orders_come_in_pairs_of_reverses() -> None:
    orders = drawn_orders(6, 9, seed=1)
    assert orders.shape == (10, 6)
    np.testing.assert_array_equal(orders[1::2], orders[0::2, ::-1])
    np.testing.assert_array_equal(orders, drawn_orders(6, 9, seed=1))


def test_players_of_an_order_join_one_after_another() -> None:
    joined = coalitions_of(np.array([[2, 0, 1]]))
    assert joined[0].tolist() == [
        [False, False, False],
        [False, False, True],
        [True, False, True],
        [True, True, True],
    ]


def test_samples_find_the_exact_values_within_their_errors() -> None:
    players = 5
    values = np.random.default_rng(0).normal(size=(40, 2**players))
    exact = exact_shapley(values)
    orders = drawn_orders(players, 400, seed=0)
    codes = coalitions_of(orders) @ (1 << np.arange(players))
    found = sampled_shapley(values[:, codes], orders)
    standardised = (found.scores - exact) / found.standard_errors
    assert abs(standardised.mean()) < 0.3
    assert 0.8 < standardised.std() < 1.2
    np.testing.assert_allclose(found.scores.sum(axis=1), values[:, -1] - values[:, 0], atol=1e-12)


def test_a_game_without_interaction_has_no_sampling_error() -> None:
    worth = np.array([1.0, -2.0, 0.5])
    values = (all_coalitions(3) @ worth)[None]
    np.testing.assert_allclose(exact_shapley(values)[0], worth, atol=1e-12)
    orders = drawn_orders(3, 4, seed=0)
    codes = coalitions_of(orders) @ (1 << np.arange(3))
    found = sampled_shapley(values[:, codes], orders)
    np.testing.assert_allclose(found.scores[0], worth, atol=1e-12)
    np.testing.assert_allclose(found.standard_errors, 0.0, atol=1e-12)
