"""The sweep of one model: every set of a plan, batch by batch, as records.

    sweep_model(model, plan, settings, write=masks.append)

This file must not know recipes, nor where records go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from merit_interp.errors import SettingError
from merit_interp.masking.interventions import AttentionTraces, Edit, Site
from merit_interp.masking.modes import (
    BatchValues,
    Subject,
    copied_attention,
    donors_of,
    head_columns,
    mean_values,
    resampled_values,
    reverted_values,
    swapped_values,
    zero_values,
)
from merit_interp.masking.settings import MaskSettings
from merit_interp.masking.sweep import EditsOf, masked_log_probs
from merit_interp.masking.token_classes import token_classes, tokens_at
from merit_interp.records import MaskedScores, MaskedSet, MaskPlan
from merit_interp.scoring.batches import Batch
from merit_interp.scoring.evaluation import Evaluation

Key = tuple[str, tuple[int, ...], tuple[int, ...], int]
"""Model, layers, heads and batch: what one record is of."""


@dataclass(frozen=True, eq=False)
class MaskedModel:
    """One model of a sweep."""

    name: str
    recipe: str
    """Merge hash of the recipe in force; the model's own name where there is none."""
    evaluation: Evaluation
    reference: Evaluation
    """The items that `mean` averages over."""
    in_force: Callable[[], AbstractContextManager[None]]
    """Makes the evaluation's model this one."""
    other: Callable[[], AbstractContextManager[None]]
    """Makes it the model that `swap` and `revert` take self-attention from."""


def sweep_model(
    model: MaskedModel,
    plan: MaskPlan,
    settings: MaskSettings,
    *,
    write: Callable[[MaskedScores], None],
    done: Collection[Key] = (),
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Mask every set of a plan in one model.

    Args:
        model: The model with its items.
        plan: The sets.
        settings: Mode, tokens, seed and memory.
        write: Given each new record.
        done: What is known already, and not done again.
        progress: Told how many batches and sets are done, and of how many.

    Raises:
        SettingError: A masked model gave NaN, or there is nothing to resample from.
    """
    evaluation = model.evaluation
    family, layers = evaluation.model.family, evaluation.model.text_layers
    total, count = len(plan.sets) * len(evaluation.batches), 0
    donors = donors_of(evaluation, seed=settings.seed) if settings.mode == "resample" else None
    with model.in_force():
        replaced = _without_traces(model, settings.mode)
        with AttentionTraces(layers, family.self_attention, family.projections["o"]) as traces:
            sites = sorted({site_of(masked) for masked in plan.sets if masked.layers})
            subject = Subject(evaluation, traces, tuple(sites))
            replaced = replaced or _with_traces(model, subject, settings.mode, donors)
            for number, batch in enumerate(evaluation.batches):
                sets = [s for s in plan.sets if key_of(model.name, s, number) not in done]
                count += len(plan.sets) - len(sets)
                edits_of = _edits(subject, batch, replaced, settings.tokens)
                room = int(settings.prefix_gib * 2**30)
                for masked, scores in masked_log_probs(
                    subject, batch, sets, edits_of, room_bytes=room
                ):
                    left_in = donors if masked.layers else None
                    named = _by_item(evaluation, batch, scores, left_in)
                    write(MaskedScores(model.name, masked.layers, masked.heads, number, named))
                    count += 1
                    if progress is not None:
                        progress(count, total)


def key_of(model: str, masked: MaskedSet | MaskedScores, batch: int) -> Key:
    """What the record of a model, a set and a batch is kept under."""
    return model, masked.layers, masked.heads, batch


def site_of(masked: MaskedSet) -> Site:
    """Where the edits of a set take place."""
    return "heads" if masked.heads else "output"


def _without_traces(model: MaskedModel, mode: str) -> BatchValues | None:
    """The modes that do not read activations; self-attention is copied before traces open."""
    if mode == "zero":
        return zero_values()
    if mode == "revert":
        loaded = model.evaluation.model
        with model.other():
            own = copied_attention(loaded.text_layers, loaded.family.self_attention)
        return reverted_values(own)
    return None


def _with_traces(
    model: MaskedModel, subject: Subject, mode: str, donors: Mapping[int, int] | None
) -> BatchValues:
    if mode == "mean":
        return mean_values(subject, model.reference)
    if mode == "swap":
        return swapped_values(subject, model.other)
    assert mode == "resample"
    assert donors is not None
    return resampled_values(subject, donors)


def _edits(subject: Subject, batch: Batch, replaced: BatchValues, tokens: str) -> EditsOf:
    """The edits that mask a set on a batch; activations are read when the first set asks."""
    where = tokens_at(token_classes(subject.evaluation, batch), tokens)
    loaded = subject.evaluation.model
    n_heads = loaded.model.config.get_text_config(decoder=True).num_attention_heads
    values = None

    def edits_of(masked: MaskedSet) -> dict[int, Edit]:
        nonlocal values
        values = values or replaced(batch)
        site, edits = site_of(masked), {}
        for layer in masked.layers:
            projection = loaded.projection(layer, "o")
            columns = None
            if masked.heads:
                columns = head_columns(
                    masked.heads,
                    n_heads=n_heads,
                    width=projection.in_features,
                    device=projection.weight.device,
                )
            # what a layer lends to later ones stays its own, so it has to be computed
            spared = tokens == "all" and layer not in loaded.lending_layers
            edits[layer] = Edit(where, values(layer, site), columns, spared)
        return edits

    return edits_of


def _by_item(
    evaluation: Evaluation, batch: Batch, scores: Tensor, covered: Collection[int] | None
) -> dict[str, tuple[float, ...]]:
    """Option scores by item id; items that the mode does not cover are left out."""
    named: dict[str, tuple[float, ...]] = {}
    for index, row, n_options in zip(batch.items, scores.tolist(), batch.n_options, strict=True):
        if covered is None or index in covered:
            named[evaluation.items[index].id] = tuple(row[:n_options])
    for item, values in named.items():
        if any(map(math.isnan, values)):
            raise SettingError(
                f"a masked model gives NaN for item {item} as {evaluation.model.placement.dtype}",
                valid="--dtype float32 or bfloat16",
            )
    return named
