"""The modes: what takes the place of a masked layer's self-attention, batch by batch.

    replaced = mean_values(subject, reference)
    replaced(batch)(layer, "output")

Each mode is a function that gives, for a batch, the value of each layer at each site; the one
intervention of `interventions` puts it there. This file must not know sets of layers or records.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from merit_interp.errors import SettingError
from merit_interp.masking.interventions import AttentionOf, AttentionTraces, Site
from merit_interp.masking.token_classes import N_CLASSES, token_classes
from merit_interp.scoring.batches import Batch, option_log_probs
from merit_interp.scoring.evaluation import Evaluation

Values = Callable[[int, Site], Tensor | AttentionOf]
"""What replaces a layer's self-attention at a site, as `Edit.value` takes it."""

BatchValues = Callable[[Batch], Values]
"""The values of one batch."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with its items, open to traces."""

    evaluation: Evaluation
    traces: AttentionTraces
    sites: tuple[Site, ...] = ("output",)
    """Where the sweep edits: values are read there and nowhere else."""

    @property
    def n_layers(self) -> int:
        """Number of text layers."""
        return len(self.traces.layers)

    def forward(self, batch: Batch) -> Tensor:
        """(items, options) log-probability of each option in nats, by the model as it is now."""
        logits = self.evaluation.model.model(**self.evaluation.batch_inputs(batch)).logits
        return option_log_probs(logits, batch)

    def attention(self, batch: Batch) -> dict[tuple[int, Site], Tensor]:
        """Every layer's self-attention on a batch, unmasked, at each site: (rows, seq, width)."""
        read: dict[tuple[int, Site], Tensor] = {}
        for site in self.sites:
            traced = self.traces.run(
                lambda: self.forward(batch), attention=range(self.n_layers), site=site
            )
            read |= {(layer, site): value for layer, value in traced.attention.items()}
        return read


def zero_values() -> BatchValues:
    """Nothing comes out."""
    return lambda batch: lambda layer, site: torch.zeros((), device=batch.input_ids.device)


def mean_values(subject: Subject, reference: Evaluation) -> BatchValues:
    """The mean of each class of token over the reference items, in the unmasked model.

    Args:
        subject: The model, as it is now.
        reference: Items of the same model to take the means over.
    """
    sums: dict[tuple[int, Site], Tensor] = {}
    counts = torch.zeros(N_CLASSES, dtype=torch.float64)
    over = Subject(reference, subject.traces, subject.sites)
    for batch in reference.batches:
        classes = token_classes(reference, batch).flatten()
        counts += torch.bincount(classes, minlength=N_CLASSES).cpu()
        for key, value in over.attention(batch).items():
            flat = value.flatten(0, 1).float()
            total = flat.new_zeros(N_CLASSES, flat.shape[-1])
            total.index_add_(0, classes.to(flat.device), flat)
            sums[key] = sums.get(key, torch.zeros(())) + total.double().cpu()
    # a class that never occurs is never looked up
    means = {key: (total / counts.clamp(min=1)[:, None]).float() for key, total in sums.items()}

    def of_batch(batch: Batch) -> Values:
        classes = token_classes(subject.evaluation, batch)
        return lambda layer, site: means[layer, site].to(classes.device)[classes]

    return of_batch


def swapped_values(
    subject: Subject, other: Callable[[], AbstractContextManager[Any]]
) -> BatchValues:
    """The other model's output on the same items.

    Args:
        subject: The model that is patched.
        other: Makes it the other model for as long as the context lasts.
    """

    def of_batch(batch: Batch) -> Values:
        with other():
            read = subject.attention(batch)
        return lambda layer, site: read[layer, site]

    return of_batch


def reverted_values(own: Mapping[int, nn.Module]) -> BatchValues:
    """Another self-attention on the same input.

    Args:
        own: That self-attention of each layer.
    """

    def attention_of(module: nn.Module) -> AttentionOf:
        def called(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
            output = module(*args, **kwargs)
            first: Tensor = output[0] if isinstance(output, tuple) else output
            return first

        return called

    return lambda batch: lambda layer, site: attention_of(own[layer])


def copied_attention(layers: nn.ModuleList, self_attention: str) -> dict[int, nn.Module]:
    """Self-attention of every layer as it is now, apart from the model."""
    return {n: copy.deepcopy(layer.get_submodule(self_attention)) for n, layer in enumerate(layers)}


def resampled_values(subject: Subject, donors: Mapping[int, int]) -> BatchValues:
    """The same layer's output from another item.

    Args:
        subject: The model, as it is now.
        donors: Which item each item's values come from; items without one are left alone.
    """
    evaluation = subject.evaluation

    def of_batch(batch: Batch) -> Values:
        giving = sorted({donors[item] for item in batch.items if item in donors})
        if not giving:
            return zero_values()(batch)
        given = evaluation.batch_of(giving)
        pairs = _matched_rows(batch, given, donors)
        taken, rows = torch.tensor(pairs, device=batch.input_ids.device).T
        length = given.input_ids.shape[1]
        read = subject.attention(given)

        def value(layer: int, site: Site) -> Tensor:
            found = read[layer, site]
            # equal shapes have equal lengths, so what lies beyond is padding
            placed = found.new_zeros(*batch.input_ids.shape, found.shape[-1])
            placed[taken, :length] = found[rows]
            return placed

        return value

    return of_batch


def _matched_rows(batch: Batch, given: Batch, donors: Mapping[int, int]) -> list[tuple[int, int]]:
    """Each row that has a donor, with the donor's row; rows of an item keep their order."""
    first = {item: given.row_items.index(item) for item in given.items}
    pairs = []
    for row, item in enumerate(batch.row_items):
        if item in donors:
            pairs.append((row, first[donors[item]] + row - batch.row_items.index(item)))
    return pairs


def donors_of(evaluation: Evaluation, *, seed: int) -> dict[int, int]:
    """Another item of the same shape for each item, from another video wherever there is one.

    Shape: the tokens of the prompt, which of them are the video's, and the tokens of each option.

    Raises:
        SettingError: No item has another of its shape.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, encoded in evaluation.encoded.items():
        visual = encoded.frame_tokens
        shape = (
            len(encoded.input_ids),
            None if visual is None else tuple(visual.visual_mask().tolist()),
            tuple(map(len, encoded.option_ids)),
        )
        alike.setdefault(shape, []).append(index)
    generator = random.Random(seed)
    donors: dict[int, int] = {}
    for members in alike.values():
        for index in members:
            others = [other for other in members if other != index]
            group = evaluation.items[index].group
            elsewhere = [other for other in others if evaluation.items[other].group != group]
            if others:
                donors[index] = generator.choice(elsewhere or others)
    if not donors:
        raise SettingError(
            "no item has another of the same shape to resample from",
            valid="more items, or --mode mean",
        )
    return donors


def head_columns(heads: Sequence[int], *, n_heads: int, width: int, device: torch.device) -> Tensor:
    """(width,) booleans: the columns of some heads in the output projection's input."""
    owner = torch.arange(width, device=device) // (width // n_heads)
    return torch.isin(owner, torch.tensor(tuple(heads), device=device))
