from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from merit_interp.masking.interventions import AttentionTraces, Edit
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.modes import Subject
from merit_interp.masking.sweep import first_layers, masked_log_probs, needed_later
from merit_interp.records import MaskedSet
from merit_interp.scoring.evaluation import Evaluation

HIDDEN_BYTES = 32 * 4


def zeros(where: torch.Tensor) -> Callable[[MaskedSet], dict[int, Edit]]:
    return lambda masked: {layer: Edit(where, torch.zeros(())) for layer in masked.layers}


@pytest.mark.parametrize("states", [1, 2, 3, 4])
def test_reused_states_give_the_numbers_of_full_passes(evaluation: Evaluation, states: int) -> None:
    plan = plan_sweep(n_layers=4, chosen=(1, 2), draws=20, seed=0)
    with AttentionTraces(evaluation.model.text_layers) as traces:
        subject = Subject(evaluation, traces)
        for batch in evaluation.batches:
            edits_of = zeros(torch.ones_like(batch.input_ids, dtype=torch.bool))
            room = states * batch.input_ids.numel() * HIDDEN_BYTES
            reused = list(masked_log_probs(subject, batch, plan.sets, edits_of, room_bytes=room))
            full = list(masked_log_probs(subject, batch, plan.sets, edits_of, room_bytes=0))
            assert [entry for entry, _ in reused] == list(plan.sets)
            for (entry, found), (_, wanted) in zip(reused, full, strict=True):
                assert torch.equal(found, wanted), entry
            # each set has a result of its own
            assert len({tuple(found.flatten().tolist()) for _, found in reused}) == len(plan.sets)


def test_any_part_of_the_sets_gives_the_same_numbers(evaluation: Evaluation) -> None:
    plan = plan_sweep(n_layers=4, chosen=(1, 2), draws=20, seed=0)
    batch = evaluation.batches[0]
    edits_of = zeros(torch.ones_like(batch.input_ids, dtype=torch.bool))
    with AttentionTraces(evaluation.model.text_layers) as traces:
        subject = Subject(evaluation, traces)
        everything = dict(masked_log_probs(subject, batch, plan.sets, edits_of))
        for part in (plan.sets[1::3], plan.sets[-2:], plan.sets[:0]):
            for entry, found in masked_log_probs(subject, batch, part, edits_of):
                assert torch.equal(found, everything[entry])


def test_layers_run_only_where_a_set_is_new(evaluation: Evaluation) -> None:
    ran: list[int] = []
    handles = [
        layer.mlp.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(evaluation.model.text_layers)
    ]
    sets = [MaskedSet(layers, ()) for layers in [(), (3,), (2,), (2, 3), (0,)]]
    batch = evaluation.batches[0]
    edits_of = zeros(torch.ones_like(batch.input_ids, dtype=torch.bool))
    with AttentionTraces(evaluation.model.text_layers) as traces:
        list(masked_log_probs(Subject(evaluation, traces), batch, sets, edits_of))
    for handle in handles:
        handle.remove()
    assert ran == [0, 1, 2, 3, 3, 2, 3, 3, 0, 1, 2, 3]


def test_where_runs_start_and_what_they_need() -> None:
    sets = [MaskedSet(layers, ()) for layers in [(), (3,), (2,), (2, 3), (0, 1)]]
    assert first_layers(sets) == [0, 3, 2, 3, 0]
    assert first_layers(sets[2:]) == [2, 3, 0]
    assert first_layers([]) == []
    assert needed_later([3, 2, 3, 0, 1]) == [3, 2, 0]
    assert needed_later([]) == []
