"""One batch under every set of layers, each run started at the first layer where it is new.

    for entry, log_probs in masked_log_probs(subject, batch, plan.sets, edits): ...

A set of layers is a path through the model, each layer masked or not. Two paths are the same up to
the entry of the first layer that only one of them masks, so a run needs the hidden state there and
the layers from there on. Sets come in `in_sweep_order`, so that neighbours share long beginnings
and only states of the path at hand are kept. The numbers are those of full passes. This file must
not know modes or records.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from merit_interp.masking.interventions import Edit, Entry
from merit_interp.masking.layer_sets import first_difference
from merit_interp.masking.modes import Subject
from merit_interp.records import MaskedSet
from merit_interp.scoring.batches import Batch

EditsOf = Callable[[MaskedSet], Mapping[int, Edit]]
"""The edits that mask a set, on the batch at hand."""


def masked_log_probs(
    subject: Subject,
    batch: Batch,
    sets: Sequence[MaskedSet],
    edits_of: EditsOf,
    *,
    room_bytes: int = 2**31,
) -> Iterator[tuple[MaskedSet, Tensor]]:
    """Score a batch under each set.

    Args:
        subject: The model, as it is now.
        batch: One of its items' batches.
        sets: In `in_sweep_order`.
        edits_of: The edits that mask a set.
        room_bytes: Memory for entering hidden states; what it has no room for is run again from
            the next state below. 0: every pass is a full one.

    Yields:
        Each set with the log-probability of each option, (items, options), in nats.
    """
    if not sets:
        return
    stride = _stride(subject, batch, room_bytes)
    # what later layers take from one below them is no part of the state that enters them
    latest = min(subject.evaluation.model.lending_layers, default=subject.n_layers)
    starts = [min(first // stride * stride, latest) for first in first_layers(sets)]
    states: dict[int, Tensor] = {}

    def run(start: int, edits: Mapping[int, Edit], later: Sequence[int]) -> Tensor:
        for layer in [layer for layer in states if layer > start]:
            del states[layer]
        traced = subject.traces.run(
            lambda: subject.forward(batch),
            edits=edits,
            entry=Entry(start, states[start]) if start else None,
            entering=[layer for layer in needed_later(later) if layer > start],
        )
        states.update(traced.entering)
        result: Tensor = traced.result
        return result

    if starts[0]:
        # nothing has run yet that the first set could start from
        run(0, {}, starts)
    for number, entry in enumerate(sets):
        yield entry, run(starts[number], edits_of(entry), starts[number + 1 :])


def first_layers(sets: Sequence[MaskedSet]) -> list[int]:
    """The first layer at which each run differs from the one before it; the first, from none."""
    pairs = itertools.pairwise(sets)
    first = [min(entry.layers, default=0) for entry in sets[:1]]
    return [*first, *(first_difference(one, other) for one, other in pairs)]


def needed_later(starts: Sequence[int]) -> list[int]:
    """Which entering states of the run at hand later runs will start from.

    A later run can use them only as long as no run in between has started further down.
    """
    needed: list[int] = []
    lowest: float = math.inf
    for start in starts:
        if start < lowest:
            needed.append(start)
            lowest = start
        if not start:
            break
    return needed


def _stride(subject: Subject, batch: Batch, room_bytes: int) -> int:
    """States are kept at every layer, every second, ..., as there is room for; else nowhere."""
    config = subject.evaluation.model.model.config.get_text_config(decoder=True)
    itemsize = subject.evaluation.model.model.dtype.itemsize
    state_bytes = batch.input_ids.numel() * config.hidden_size * itemsize
    kept = min(room_bytes // state_bytes, subject.n_layers)
    # layer 0 needs no state: the whole model is run
    return math.ceil(subject.n_layers / kept) if kept else subject.n_layers
