"""An item asked with its options in every cyclic order, and scores brought back to its own order.

    for asked in in_orders(items, circular=True): asked.item, asked.rotation
    own_order(letter_log_probs, rotation=1)

A model that likes a letter gains where the right option has it. Over all rotations each option has
each letter once, so that the mean log-probability of an option is free of such a liking.

Source: CircularEval of MMBench (arXiv 2307.06281), whose measure is an item right in every
rotation; means over the rotations are ours. This file must not know models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from merit_interp.benchmarks.items import Item

Value = TypeVar("Value")


@dataclass(frozen=True)
class Asked:
    """An item with its options in one order."""

    item: Item
    """As it is asked: options and answer rotated."""
    index: int
    """Of the item among those that are scored."""
    rotation: int
    """Which option has the first letter."""


def in_orders(items: Sequence[Item], *, circular: bool) -> tuple[Asked, ...]:
    """Every item as it is, in the order given; then, if circular, in its other rotations."""
    own = [Asked(item, index, 0) for index, item in enumerate(items)]
    others = [
        Asked(rotated(item, rotation), index, rotation)
        for index, item in enumerate(items)
        for rotation in range(1, len(item.options) if circular else 1)
    ]
    return (*own, *others)


def rotated(item: Item, rotation: int) -> Item:
    """The item with the option of number `rotation` first, and the others after it in a circle."""
    return dataclasses.replace(
        item,
        options=item.options[rotation:] + item.options[:rotation],
        answer=(item.answer - rotation) % len(item.options),
    )


def own_order(values: Sequence[Value], rotation: int) -> tuple[Value, ...]:
    """Values of the options as asked, in the item's own order of options."""
    return tuple(values[(option - rotation) % len(values)] for option in range(len(values)))


def by_rotation(asked: Sequence[Asked], values: Mapping[int, Value]) -> dict[int, list[Value]]:
    """What was found for each asked item, by the item's index, in the order of rotations.

    Args:
        asked: As `in_orders` made it.
        values: By place in it; not all need be there.
    """
    found: dict[int, list[Value]] = {}
    # places of one item ascend with its rotations
    for place in sorted(values):
        found.setdefault(asked[place].index, []).append(values[place])
    return found


def mean_log_probs(rotations: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Mean log-probability of each option, in its own order.

    Args:
        rotations: Log-probability of each letter in each rotation, from rotation 0 on.
    """
    if len(rotations) == 1:
        return tuple(rotations[0])
    orders = [own_order(values, rotation) for rotation, values in enumerate(rotations)]
    return tuple(sum(column) / len(column) for column in zip(*orders, strict=True))
