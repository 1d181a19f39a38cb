"""One model read on its items: a record an item, and how far the reading is from transformers'.

    with chosen_engine(vlm, "auto") as (engine, why):
        reading = read_model(model, engine, kinds)

No record is written before the batch's logits have been held against those of transformers. This
file must not know recipes, nor where records go.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from merit_interp.errors import CheckpointError
from merit_interp.lens.bridge import bridge_engine, is_bridgeable
from merit_interp.lens.direct_parts import DirectParts, Targets, direct_parts, targets_of
from merit_interp.lens.heads import AttentionWeights, head_outputs, output_change
from merit_interp.lens.logit_lens import layer_log_probs, lens_difference
from merit_interp.lens.module_engine import eager_attention, module_engine
from merit_interp.lens.reads import Reads, read_batch
from merit_interp.lens.sites import Engine
from merit_interp.lens.token_kinds import PromptKinds
from merit_interp.lens_records import TOKEN_KINDS, LensCheck, LensReading
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.batches import Batch
from merit_interp.scoring.evaluation import Evaluation

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-3}
"""Greatest difference of logits that counts as none, as a share of the greatest logit; what the
order of sums explains in each type."""
DIGITS = 6
"""Significant digits of the numbers in a record."""


@contextlib.contextmanager
def chosen_engine(loaded: LoadedModel, wanted: str) -> Iterator[tuple[Engine, str]]:
    """The engine that reads a model, and why it is not TransformerLens where that was not barred.

    Args:
        loaded: The model as it is now.
        wanted: One of `settings.ENGINES`.

    Raises:
        CheckpointError: TransformerLens was asked for and cannot read the model.
    """
    why = ""
    with contextlib.ExitStack() as stack:
        if wanted == "transformer_lens" or (wanted == "auto" and is_bridgeable(loaded)):
            try:
                engine: Engine = stack.enter_context(bridge_engine(loaded))
            except CheckpointError as error:
                if wanted != "auto":
                    raise
                why = error.problem
                engine = stack.enter_context(module_engine(loaded))
        else:
            if wanted == "auto":
                why = f"TransformerLens has no adapter for {type(loaded.model).__name__}"
            engine = stack.enter_context(module_engine(loaded))
        yield engine, why


@dataclass(frozen=True, eq=False)
class HeadStates:
    """What entered the output projections where each item's answer begins, and their weights."""

    weights: Mapping[int, AttentionWeights]
    """Of the layers whose heads are compared."""
    joined: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    """By item's id and layer: (width,) on the CPU."""


@dataclass(frozen=True, eq=False)
class ReadModel:
    """One model to be read."""

    name: str
    evaluation: Evaluation
    kinds: Mapping[int, PromptKinds]
    """What the tokens of each item's prompt are, by the item's index."""
    states: HeadStates
    """Filled as the model is read."""
    before: HeadStates | None = None
    """The VLM's, which the outputs of heads are held against."""


def read_model(
    model: ReadModel,
    engine: Engine,
    *,
    why: str,
    write: Callable[[LensReading], None],
    progress: Callable[[int, int], None] | None = None,
) -> LensCheck:
    """Read every batch.

    Args:
        model: The model with its items.
        engine: Reads it.
        why: Why the engine is not TransformerLens, for the check.
        write: Given each item's record.
        progress: Told how many batches are done, and of how many.

    Raises:
        CheckpointError: Logits differ from transformers', or a hook did not fire.
    """
    loaded, evaluation = model.evaluation.model, model.evaluation
    logits, lens, direct, hooks = 0.0, 0.0, [0.0], 0
    refused = ""
    for number, batch in enumerate(evaluation.batches):
        reads = read_batch(engine, evaluation, batch, model.kinds)
        logits = max(logits, _checked_logits(loaded, evaluation, batch, reads, engine.name))
        lens = max(lens, _checked_lens(loaded, reads, batch))
        hooks = reads.hooks
        log_probs = layer_log_probs(loaded, reads, batch)
        answers = [evaluation.items[index].answer for index in batch.items]
        targets = targets_of(batch, log_probs[:, -1], answers)
        parts = direct_parts(loaded, reads, batch, targets) if targets.items else None
        if isinstance(parts, str):
            refused, parts = parts, None
        elif parts is not None:
            direct.append(parts.difference)
        changes = _changes(model, batch, reads)
        for place in range(len(batch.items)):
            write(_record(model, batch, place, reads, log_probs, (targets, parts), changes))
        if progress is not None:
            progress(number + 1, len(evaluation.batches))
    return LensCheck(
        model=model.name,
        engine=engine.name,
        why=why,
        hooks=hooks,
        logit_difference=logits,
        lens_difference=lens,
        direct_difference=None if refused or len(direct) == 1 else max(direct),
        no_direct=refused or ("" if len(direct) > 1 else "no item's options are single tokens"),
    )


@torch.no_grad()
def _checked_logits(
    loaded: LoadedModel, evaluation: Evaluation, batch: Batch, reads: Reads, engine: str
) -> float:
    """Greatest difference from transformers' own forward with the same attention."""
    with eager_attention(loaded):
        own = loaded.model(**evaluation.batch_inputs(batch)).logits
    at = batch.query_rows, batch.query_slots
    return _require_equal(
        reads.logits[at], own[at], loaded, f"the logits that {engine} gives", "--engine modules"
    )


def _checked_lens(loaded: LoadedModel, reads: Reads, batch: Batch) -> float:
    difference = lens_difference(loaded, reads, batch)
    own = reads.logits[batch.query_rows, batch.query_slots]
    return _require_small(
        difference, own, loaded, "what the final norm and output embedding make of the last state",
        "a family whose logits are these",
    )  # fmt: skip


def _require_equal(found: Tensor, own: Tensor, loaded: LoadedModel, what: str, valid: str) -> float:
    difference = float((found.float() - own.float()).abs().max())
    return _require_small(difference, own, loaded, what, valid)


def _require_small(
    difference: float, own: Tensor, loaded: LoadedModel, what: str, valid: str
) -> float:
    limit = TOLERANCE[loaded.model.dtype] * max(1.0, float(own.float().abs().max()))
    # written so that NaN fails too
    if not difference <= limit:
        raise CheckpointError(
            f"{loaded.source}: {what} differ from transformers' logits by {difference:.3g}, "
            f"more than rounding explains ({limit:.3g}), so nothing read there counts",
            valid=valid,
        )
    return difference


def _changes(model: ReadModel, batch: Batch, reads: Reads) -> dict[int, Tensor]:
    """Keep the heads' states; the change of their outputs, (items, heads) by layer, if asked."""
    first = batch.answer_queries[:, 0, 0]
    changes: dict[int, Tensor] = {}
    ids = [model.evaluation.items[index].id for index in batch.items]
    for layer, weights in model.states.weights.items():
        value = reads.heads[layer]
        joined = value[first.to(value.device)].float().cpu()
        for place, item in enumerate(ids):
            model.states.joined.setdefault(item, {})[layer] = joined[place]
        if model.before is not None:
            earlier = torch.stack([model.before.joined[item][layer] for item in ids])
            outputs = head_outputs(earlier, model.before.weights[layer])
            changes[layer] = output_change(outputs, head_outputs(joined, weights))
    return changes


def _record(
    model: ReadModel,
    batch: Batch,
    place: int,
    reads: Reads,
    log_probs: Tensor,
    direct: tuple[Targets, DirectParts | None],
    changes: Mapping[int, Tensor],
) -> LensReading:
    index = batch.items[place]
    shares = torch.stack([layer[:, place] for layer in reads.shares], dim=1)
    counts = torch.bincount(model.kinds[index], minlength=len(TOKEN_KINDS))
    return LensReading(
        item=model.evaluation.items[index].id,
        model=model.name,
        layer_log_probs=_numbers(log_probs[place, :, : batch.n_options[place]]),
        n_tokens=counts.tolist(),
        attention_from_answer=_numbers(shares[0]),
        attention_from_question=_numbers(shares[1]),
        output_change=[_numbers(change[place]) for change in changes.values()],
        **_direct_fields(direct[0], direct[1], place),
    )


def _direct_fields(targets: Targets, parts: DirectParts | None, place: int) -> dict[str, Any]:
    if parts is None or place not in targets.items:
        return {}
    own = targets.items.index(place)
    return {
        "against": targets.against[own],
        "direct_margin": _numbers(parts.margin[own]),
        "direct_embedding": _numbers(parts.embedding[own]),
        "direct_heads": [_numbers(heads[own]) for heads in parts.heads],
        "direct_biases": _numbers(parts.biases[own]),
        "direct_mlps": _numbers(parts.mlps[own]),
    }


def _numbers(values: Tensor) -> Any:
    """A tensor as nested lists of as many digits as it deserves."""

    def rounded(value: Any) -> Any:
        if isinstance(value, list):
            return [rounded(part) for part in value]
        return float(f"{value:.{DIGITS}g}")

    return rounded(values.tolist())
