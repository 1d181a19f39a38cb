"""Encoded items as right-padded batches, and option scores out of a batch's logits.

    batches = plan_batches(encoded, batch_size=64, pad_id=0)
    option_log_probs(logits, batches[0])       # (items, options), nats

The plan is fixed by the items and the batch size alone: a run that was cut goes on with whole
batches, and its numbers do not depend on where it was cut. Right padding is exact under causal
attention, whatever the padding token. This file must not know models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from merit_interp.scoring.encoding import EncodedItem
from merit_interp.tensor_shapes import (
    AnswerMask,
    AnswerTable,
    ItemLogProbs,
    KeptLogits,
    KeptPositions,
    QueryIndices,
    TokenIds,
)

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of tokens, and where in their logits each option's tokens are to be read.

    Options of one token share a row, the prompt; an option of several has a row of its own.
    """

    items: tuple[int, ...]
    """Which of the prepared items."""
    row_items: tuple[int, ...]
    """Which of the prepared items each row belongs to; the rows of one item are adjacent."""
    lengths: tuple[int, ...]
    """Tokens of each row before padding."""
    input_ids: TokenIds
    token_inputs: Mapping[str, TokenIds]
    """What else the forward takes for each token; zero in answers and padding."""
    kept: KeptPositions
    """Positions whose logits are needed in any row: the forward's `logits_to_keep`."""
    query_rows: QueryIndices
    query_slots: QueryIndices
    """Index into `kept` of each query."""
    answer_queries: AnswerTable
    """Which query predicts each token of each option."""
    answer_tokens: AnswerTable
    answer_mask: AnswerMask
    """False where an option has no further token, or the item no further option."""
    n_options: tuple[int, ...]
    """Options of each item."""


def plan_batches(
    encoded: Mapping[int, EncodedItem],
    *,
    batch_size: int,
    pad_id: int,
    device: torch.device = CPU,
    together: Mapping[int, int] | None = None,
) -> tuple[Batch, ...]:
    """Items by length, in batches of at most `batch_size` rows; an item is never torn apart.

    Args:
        encoded: Items by their index.
        batch_size: Most rows of a batch; an item with more has a batch to itself.
        together: A number for each index, where those of one number are to share a batch.
        pad_id: Any token that is no visual one.
        device: Where the batches' tensors go.
    """
    rows = {index: _rows(item) for index, item in encoded.items()}
    units: dict[int, list[int]] = {}
    for index in sorted(rows):
        units.setdefault(index if together is None else together[index], []).append(index)
    longest = {
        unit: max(len(row.ids) for index in indices for row in rows[index])
        for unit, indices in units.items()
    }
    groups: list[list[int]] = []
    room = 0
    for unit in sorted(units, key=lambda unit: (longest[unit], unit)):
        n_rows = sum(len(rows[index]) for index in units[unit])
        if n_rows > room:
            groups.append([])
            room = batch_size
        groups[-1] += units[unit]
        room -= n_rows
    return tuple(
        _batch({index: encoded[index] for index in group}, rows, pad_id, device) for group in groups
    )


@dataclass(frozen=True)
class _Row:
    ids: list[int]
    options: tuple[int, ...]
    """Options read from this row: one, or all that have one token."""


def _rows(item: EncodedItem) -> list[_Row]:
    prompt = item.input_ids.tolist()
    single = tuple(i for i, ids in enumerate(item.option_ids) if len(ids) == 1)
    rows = [_Row(prompt, single)] if single else []
    # an option's last token is predicted, never read
    rows += [
        _Row([*prompt, *ids[:-1]], (i,)) for i, ids in enumerate(item.option_ids) if len(ids) > 1
    ]
    return rows


def _batch(
    encoded: Mapping[int, EncodedItem],
    rows: Mapping[int, Sequence[_Row]],
    pad_id: int,
    device: torch.device,
) -> Batch:
    flat = [(index, row) for index in encoded for row in rows[index]]
    queries: dict[tuple[int, int], int] = {}
    answers: dict[tuple[int, int, int], tuple[int, int]] = {}
    place = {index: number for number, index in enumerate(encoded)}
    for number, (index, row) in enumerate(flat):
        last = len(encoded[index].input_ids) - 1
        for option in row.options:
            for step, token in enumerate(encoded[index].option_ids[option]):
                query = queries.setdefault((number, last + step), len(queries))
                answers[place[index], option, step] = (query, token)
    kept = sorted({position for _, position in queries})
    slot = {position: number for number, position in enumerate(kept)}
    shape = [max(axis) + 1 for axis in zip(*answers, strict=True)]
    table = torch.zeros(2, *shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.bool)
    for where, answer in answers.items():
        table[(slice(None), *where)] = torch.tensor(answer)
        mask[where] = True
    length = max(len(row.ids) for _, row in flat)
    names = next(iter(encoded.values())).token_inputs
    return Batch(
        items=tuple(encoded),
        row_items=tuple(index for index, _ in flat),
        lengths=tuple(len(row.ids) for _, row in flat),
        input_ids=_padded([row.ids for _, row in flat], length, pad_id).to(device),
        token_inputs={
            name: _padded(
                [encoded[index].token_inputs[name].tolist() for index, _ in flat], length, 0
            ).to(device)
            for name in names
        },
        kept=torch.tensor(kept, device=device),
        query_rows=torch.tensor([row for row, _ in queries], device=device),
        query_slots=torch.tensor([slot[position] for _, position in queries], device=device),
        answer_queries=table[0].to(device),
        answer_tokens=table[1].to(device),
        answer_mask=mask.to(device),
        n_options=tuple(len(item.option_ids) for item in encoded.values()),
    )


def _padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> TokenIds:
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows])


def option_log_probs(logits: KeptLogits, batch: Batch) -> ItemLogProbs:
    """Log-probability of each option of each item, in nats; minus infinity past its last option.

    The sum over the option's tokens, each given the prompt and the option's tokens before it.
    Differentiable.

    Args:
        logits: As the forward returns them with `logits_to_keep=batch.kept`.
        batch: The batch that went in.
    """
    log_probs = logits[batch.query_rows, batch.query_slots].float().log_softmax(dim=-1)
    tokens = log_probs[batch.answer_queries, batch.answer_tokens]
    options = tokens.masked_fill(~batch.answer_mask, 0.0).sum(dim=-1)
    return options.masked_fill(~batch.answer_mask.any(dim=-1), -torch.inf)
