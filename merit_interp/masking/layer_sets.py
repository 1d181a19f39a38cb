"""Which sets of layers a sweep masks, and in which order.

    plan = plan_sweep(n_layers=8, chosen=(2, 4), draws=200, seed=0)
    plan.sets

No layer, every layer alone, the chosen layers together, their complement, sets of as many layers as
the chosen ones (all of them where `draws` reaches that far, else distinct ones at random) and, from
both ends, one layer more at a time. Sets that coincide are masked once. This file must not know
models, and loads no torch.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence

from merit_interp.errors import SettingError
from merit_interp.records import MaskedSet, MaskPlan


def plan_sweep(
    *,
    n_layers: int,
    chosen: Sequence[int],
    draws: int,
    seed: int,
    heads: Sequence[int] = (),
    each_of_heads: int = 0,
) -> MaskPlan:
    """The sets of a sweep.

    Args:
        n_layers: Text layers of the model.
        chosen: The layers that are held against the others; may be none or all.
        draws: Most size-matched sets, the chosen one not counted.
        seed: Seed of the draws.
        heads: Mask only these heads of each masked layer; empty for the whole of it.
        each_of_heads: Heads of a layer, to mask every single head of every layer too; 0 for not.

    Raises:
        SettingError: A chosen layer is not in the model, or is named twice.
    """
    chosen = tuple(sorted(chosen))
    if len(set(chosen)) < len(chosen) or any(not 0 <= layer < n_layers for layer in chosen):
        raise SettingError(
            f"layers {', '.join(map(str, chosen))} cannot be chosen",
            valid=f"distinct layers from 0 to {n_layers - 1}",
        )
    everything = tuple(range(n_layers))
    matched = size_matched_sets(n_layers, chosen, draws=draws, seed=seed)
    roles: dict[tuple[int, ...], list[str]] = {}
    for role, layers in itertools.chain(
        (("single", (layer,)) for layer in everything),
        [("chosen", chosen), ("complement", tuple(sorted(set(everything) - set(chosen))))],
        (("size_matched", layers) for layers in matched),
        (("first", everything[:count]) for count in range(1, n_layers + 1)),
        (("last", everything[-count:]) for count in range(1, n_layers + 1)),
    ):
        if layers:
            roles.setdefault(layers, []).append(role)
    sets = [MaskedSet((), ("unmasked",))]
    sets += [MaskedSet(layers, tuple(r), tuple(sorted(heads))) for layers, r in roles.items()]
    sets += [
        MaskedSet((layer,), ("head",), (head,))
        for layer in everything
        for head in range(each_of_heads)
    ]
    return MaskPlan(
        n_layers=n_layers,
        chosen=chosen,
        sets=in_sweep_order(sets),
        n_possible=math.comb(n_layers, len(chosen)),
        seed=seed,
    )


def size_matched_sets(
    n_layers: int, chosen: Sequence[int], *, draws: int, seed: int
) -> list[tuple[int, ...]]:
    """Distinct sets of as many layers as the chosen ones, without the chosen one.

    All of them where there are at most `draws`; else `draws` of them, each as likely as any other.
    """
    count, possible = len(chosen), math.comb(n_layers, len(chosen))
    own = tuple(sorted(chosen))
    if possible - 1 <= draws:
        return [s for s in itertools.combinations(range(n_layers), count) if s != own]
    generator = random.Random(seed)
    drawn: dict[tuple[int, ...], None] = {}
    while len(drawn) < draws:
        layers = tuple(sorted(generator.sample(range(n_layers), count)))
        if layers != own:
            drawn[layers] = None
    return list(drawn)


def in_sweep_order(sets: Iterable[MaskedSet]) -> tuple[MaskedSet, ...]:
    """Sets that begin alike beside each other, so that a sweep goes back as little as it can.

    A set is a path through the layers, masked or not; neighbours in this order share the longest
    beginnings of their paths, and the hidden states there.
    """
    return tuple(sorted(sets, key=lambda s: ([-layer for layer in s.layers], s.heads)))


def first_difference(one: MaskedSet, other: MaskedSet) -> int:
    """The first layer that only one of two different sets masks, or masks otherwise.

    Up to that layer's entry, both runs are the same.
    """
    if one.heads != other.heads:
        return min((*one.layers, *other.layers))
    return min(set(one.layers) ^ set(other.layers))
