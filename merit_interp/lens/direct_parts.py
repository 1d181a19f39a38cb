"""The margin of an answer as a sum of what each head, MLP and the embedding added to it.

    parts = direct_parts(vlm, reads, batch, targets)
    parts.heads[3]      # (items, heads), nats

Direct logit attribution (Elhage et al. 2021): the last state is a sum, and with the final norm's
scale held at its value the logits are linear in it. It is what a part says to the output itself,
not what it says to the layers above. This file must not know how a state was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.lens.logit_lens import has_plain_logits
from merit_interp.lens.module_engine import final_norm
from merit_interp.lens.reads import Reads
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.batches import Batch

NOT_ADDED = "its layers do not add to the state just what heads and MLP give"
NOT_LINEAR = "its final norm is no multiplication"
NOT_THE_MARGIN = "its logits are not linear in what leaves the final norm"
ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Greatest difference, as a share of the greatest entry, that each type's rounding explains."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Which logits the parts argue for, one query an item: items whose options are one token."""

    items: tuple[int, ...]
    """Places in the batch."""
    queries: Tensor
    """(items,) the position that predicts the answer."""
    right: Tensor
    """(items,) token of the right option."""
    wrong: Tensor
    """(items,) token of the wrong option with the greatest score."""
    against: tuple[int, ...]
    """Index of that option."""


def targets_of(batch: Batch, log_probs: Tensor, answers: Sequence[int]) -> Targets:
    """The right option of each item, against the strongest wrong one.

    Args:
        batch: The batch.
        log_probs: (items, options) of the model that is read, in nats.
        answers: Index of the right option of each item of the batch.
    """
    chosen, against = [], []
    for place, answer in enumerate(answers):
        n_options = batch.n_options[place]
        if int(batch.answer_mask[place].sum()) != n_options or n_options < 2:
            continue
        wrong = log_probs[place, :n_options].clone()
        wrong[answer] = -torch.inf
        chosen.append(place)
        against.append(int(wrong.argmax()))
    places = torch.tensor(chosen, dtype=torch.long, device=batch.answer_tokens.device)
    right = torch.tensor([answers[place] for place in chosen], dtype=torch.long).to(places.device)
    wrong_options = torch.tensor(against, dtype=torch.long, device=places.device)
    return Targets(
        items=tuple(chosen),
        queries=batch.answer_queries[places, right, 0],
        right=batch.answer_tokens[places, right, 0],
        wrong=batch.answer_tokens[places, wrong_options, 0],
        against=tuple(against),
    )


@dataclass(frozen=True, eq=False)
class DirectParts:
    """What each part of the last state adds to a margin, in nats; float32, on the CPU."""

    margin: Tensor
    """(items,) the logit difference itself."""
    embedding: Tensor
    """(items,)"""
    heads: tuple[Tensor, ...]
    """(layers) of (items, heads)"""
    biases: Tensor
    """(items, layers)"""
    mlps: Tensor
    """(items, layers)"""

    @property
    def difference(self) -> float:
        """Greatest difference of the parts' sum from the margin."""
        total = self.embedding + self.biases.sum(1) + self.mlps.sum(1)
        total = total + sum(heads.sum(1) for heads in self.heads)
        return float((total - self.margin).abs().max()) if len(self.margin) else 0.0


@torch.no_grad()
def direct_parts(
    loaded: LoadedModel, reads: Reads, batch: Batch, targets: Targets
) -> DirectParts | str:
    """Split the margin; where the family does not allow that, why, in words.

    No family is known by name: each layer must leave what entered it and what its heads and MLP
    gave, the final norm must multiply, and the parts' sum must be the model's own margin.

    Args:
        loaded: The model.
        reads: Of the batch.
        batch: What was run.
        targets: One or more of its items.
    """
    at, dtype = targets.queries, loaded.model.dtype
    states, attention, mlps, heads = (
        [value[at.to(value.device)].float() for value in values]
        for values in (reads.states, reads.attention, reads.mlps, reads.heads)
    )
    if len(mlps) < len(attention):
        return NOT_ADDED
    for below, attended, added, above in zip(states, attention, mlps, states[1:], strict=False):
        if _differ(below + attended.to(below.device) + added.to(below.device), above, dtype):
            return NOT_ADDED
    direction = _direction(loaded, states[-1], targets)
    if direction is None:
        return NOT_LINEAR
    margin = (states[-1] * direction).sum(dim=-1).cpu()
    own = reads.logits[batch.query_rows[at], batch.query_slots[at]].float()
    right, wrong = (own.gather(1, t[:, None])[:, 0].cpu() for t in (targets.right, targets.wrong))
    if not has_plain_logits(loaded) or _differ(margin, right - wrong, dtype):
        return NOT_THE_MARGIN

    def along(values: list[Tensor]) -> Tensor:
        return torch.stack([(v * direction.to(v.device)).sum(dim=-1).cpu() for v in values], dim=1)

    n_heads = loaded.model.config.get_text_config(decoder=True).num_attention_heads
    of_heads, biases = [], []
    for layer, joined in enumerate(heads):
        projection = loaded.projection(layer, "o")
        towards = direction.to(joined.device)
        weighted = joined * (towards @ projection.weight.float())
        of_heads.append(weighted.reshape(len(at), n_heads, -1).sum(dim=-1).cpu())
        bias = torch.zeros_like(towards[0]) if projection.bias is None else projection.bias.float()
        biases.append((towards @ bias).cpu())
    return DirectParts(
        margin=margin,
        embedding=along(states[:1])[:, 0],
        heads=tuple(of_heads),
        biases=torch.stack(biases, dim=1),
        mlps=along(mlps),
    )


def _direction(loaded: LoadedModel, last: Tensor, targets: Targets) -> Tensor | None:
    """(items, hidden) what the last state is multiplied with to give the margin.

    None where the final norm is more than a gain for each channel times one scale for each token.
    """
    norm = final_norm(loaded)
    normed, gain = norm(last).float(), norm(torch.ones_like(last[:1])).float()
    gained = last * gain
    scale = (normed * gained).sum(dim=-1, keepdim=True) / (gained**2).sum(dim=-1, keepdim=True)
    if _differ(scale * gained, normed, loaded.model.dtype):
        return None
    weight = loaded.model.get_submodule(loaded.family.lm_head).weight
    assert isinstance(weight, Tensor)
    apart = weight[targets.right].float() - weight[targets.wrong].float()
    direction: Tensor = scale * gain * apart.to(last.device)
    return direction


def _differ(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> bool:
    """Whether two tensors differ by more than rounding explains."""
    wanted = wanted.to(found.device)
    size = wanted.abs().max().clamp(min=1e-3)
    # written so that NaN differs too
    return not bool((found - wanted).abs().max() <= ROUNDING[dtype] * size)
