"""Shapley values from the values of coalitions: exact for few players, sampled for more.

    shown = all_coalitions(8)                  # (256, 8)
    scores = exact_shapley(values)             # (items, 8) from (items, 256)

The 2 ** n coalitions are enumerated, because Captum's own exact `ShapleyValues` walks through n!
orders. Sampling draws orders in pairs, each with its reverse, so that the standard error is that of
independent pairs. Source: Castro, Gomez & Tejada 2009; pairs: Mitchell et al. 2022. This file must
not know what a player is or how a coalition's value is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_EXACT = 10
"""Most players whose coalitions are enumerated: 1024 values an item."""


@dataclass(frozen=True, eq=False)
class SampledShapley:
    """Shapley values from random orders."""

    scores: FloatArray
    """(items, players)."""
    standard_errors: FloatArray
    """(items, players), of each score."""


def all_coalitions(players: int) -> BoolArray:
    """(2 ** players, players): row r holds player i where bit i of r is set."""
    rows = np.arange(2**players)[:, None]
    flags: BoolArray = (rows >> np.arange(players)) & 1 == 1
    return flags


def exact_shapley(values: FloatArray) -> FloatArray:
    """Shapley values of all players.

    Args:
        values: (items, 2 ** players) value of each coalition, in the order of `all_coalitions`.

    Returns:
        (items, players); each row sums to the value of all players less that of none.
    """
    players = values.shape[1].bit_length() - 1
    coalitions = all_coalitions(players)
    sizes = coalitions.sum(axis=1)
    factorials = [math.factorial(n) for n in range(players + 1)]
    weight = np.array(
        [factorials[s] * factorials[players - s - 1] / factorials[players] for s in range(players)]
    )
    # a coalition counts for its members, and against those whom it lacks
    joined = weight[np.maximum(sizes - 1, 0)][:, None]
    missing = weight[np.minimum(sizes, players - 1)][:, None]
    scores: FloatArray = values @ np.where(coalitions, joined, -missing)
    return scores


def drawn_orders(players: int, orders: int, seed: int) -> NDArray[np.int64]:
    """(orders, players) random orders; each odd row is the reverse of the row before it.

    Args:
        players: How many there are.
        orders: How many to draw, rounded up to whole pairs, at least two pairs.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    pairs = max(2, (orders + 1) // 2)
    forward = np.stack([generator.permutation(players) for _ in range(pairs)])
    return np.stack([forward, forward[:, ::-1]], axis=1).reshape(2 * pairs, players)


def coalitions_of(orders: NDArray[np.int64]) -> BoolArray:
    """(orders, players + 1, players): the players of each order, joining one after another."""
    rows, players = orders.shape
    place = np.argsort(orders, axis=1)  # when each player joins
    flags: BoolArray = place[:, None, :] < np.arange(players + 1)[None, :, None]
    assert flags.shape == (rows, players + 1, players)
    return flags


def sampled_shapley(values: FloatArray, orders: NDArray[np.int64]) -> SampledShapley:
    """Shapley values and their standard errors from the values along random orders.

    Args:
        values: (items, orders, players + 1) value as the players of each order join.
        orders: (orders, players) as `drawn_orders` gives them.
    """
    gained = np.diff(values, axis=2)  # (items, orders, players) in the order of joining
    place = np.argsort(orders, axis=1)
    by_player = np.take_along_axis(gained, np.broadcast_to(place, gained.shape), axis=2)
    pairs = (by_player[:, 0::2] + by_player[:, 1::2]) / 2  # (items, pairs, players)
    return SampledShapley(
        scores=pairs.mean(axis=1),
        standard_errors=pairs.std(axis=1, ddof=1) / math.sqrt(pairs.shape[1]),
    )
