"""What a model says to a batch of prompts: greedy generation on visual features computed before.

    said = generate_answers(evaluation, batch)
    said.texts, said.log_probs

transformers' own `generate`, on prompts padded to the left so that all answers begin in one
column; it takes the same encoder outputs as the evaluation's forward, and so sees no pixels. A
checkpoint's generation settings (sampling, repetition penalty) have no say: the most probable token
is taken each time. The first token's probabilities give the letters' on the way.
This file must not know items, recipes or how a text is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from merit_interp.models.kept_logits import ARGUMENT
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.batches import Batch
from merit_interp.tensor_shapes import ItemLogProbs

if TYPE_CHECKING:
    from merit_interp.scoring.evaluation import Evaluation


@dataclass(frozen=True, eq=False)
class Said:
    """A batch's answers."""

    texts: tuple[str, ...]
    """Without special tokens, in the batch's order of items."""
    log_probs: ItemLogProbs
    """Log-probability of each item's letters as the first token, in nats."""


def generate_answers(evaluation: Evaluation, batch: Batch) -> Said:
    """Let the model answer each prompt of a batch, as it is now.

    Args:
        evaluation: Whose model and items; its scoring says how long an answer may be.
        batch: One of its batches, of one row an item (options are letters).
    """
    assert batch.row_items == batch.items, "a letter is one token, so that an item has one row"
    model, pad_id = evaluation.model, evaluation.pad_id
    length = batch.input_ids.shape[1]
    inputs = evaluation.batch_inputs(batch)
    for name in ("logits_to_keep", "use_cache"):
        del inputs[name]
    inputs["input_ids"] = _left_padded(batch.input_ids, batch.lengths, pad_id)
    for name in batch.token_inputs:
        inputs[name] = _left_padded(inputs[name], batch.lengths, 0)
    inputs["attention_mask"] = _left_padded(torch.ones_like(batch.input_ids), batch.lengths, 0)
    ends = _end_ids(model)
    settings: Any = GenerationConfig
    config = settings(
        do_sample=False,
        max_new_tokens=evaluation.scoring.max_new_tokens,
        pad_token_id=pad_id,
        eos_token_id=ends or None,
    )
    generate: Any = model.model.generate
    first = _FirstToken()
    with torch.no_grad(), _own_settings_aside(model.model), _last_logits_only(model.model):
        ids = generate(
            **inputs, generation_config=config, logits_processor=LogitsProcessorList([first])
        )
    texts = tuple(_text(model, row, ends) for row in ids[:, length:].tolist())
    return Said(texts, _letter_log_probs(first.log_probs, batch))


def _left_padded(rows: Tensor, lengths: tuple[int, ...], fill: int) -> Tensor:
    """Right-padded rows with their padding moved to the left."""
    moved = torch.full_like(rows, fill)
    for row, (values, n) in enumerate(zip(rows, lengths, strict=True)):
        moved[row, rows.shape[1] - n :] = values[:n]
    return moved


def _end_ids(model: LoadedModel) -> list[int]:
    """Tokens that end an answer, as checkpoint and tokenizer name them."""
    named: list[Any] = [model.tokenizer.eos_token_id]
    for config in (model.model.generation_config, model.model.config.get_text_config()):
        found = getattr(config, "eos_token_id", None)
        named += found if isinstance(found, list) else [found]
    return sorted({int(token) for token in named if token is not None})


def _text(model: LoadedModel, ids: list[int], ends: list[int]) -> str:
    # what follows an end is padding, whose token may be a word
    n = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    return str(model.tokenizer.decode(ids[:n], skip_special_tokens=True))


class _FirstToken(LogitsProcessor):
    """Changes nothing, and keeps the log-probabilities of the first token."""

    def __init__(self) -> None:
        self.log_probs = torch.empty(0)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not len(self.log_probs):
            self.log_probs = scores.float().log_softmax(dim=-1)
        return scores


def _letter_log_probs(first: Tensor, batch: Batch) -> ItemLogProbs:
    letters = batch.answer_tokens[:, :, 0].to(first.device)
    mask = batch.answer_mask[:, :, 0].to(first.device)
    return first.gather(1, letters).masked_fill(~mask, -torch.inf)


@contextlib.contextmanager
def _last_logits_only(model: PreTrainedModel) -> Iterator[None]:
    """Logits of a whole prompt take gigabytes; `generate` asks for fewer only of some models."""

    def ask(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, {**kwargs, ARGUMENT: 1}

    handle = model.register_forward_pre_hook(ask, with_kwargs=True, prepend=True)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _own_settings_aside(model: PreTrainedModel) -> Iterator[None]:
    """`generate` fills what a call leaves open from the checkpoint's own settings."""
    own: Any = model.generation_config
    model.generation_config = type(own)()
    try:
        yield
    finally:
        model.generation_config = own
