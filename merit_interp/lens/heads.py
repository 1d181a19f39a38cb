"""Heads of self-attention: what merging changed of their weights and outputs, and masking one.

    changes = head_changes(before, attention_weights(vlm, layers), n_heads=28)
    with masked_head(vlm, layer=4, head=1):
        vlm.model(...)

With grouped queries several heads use the keys and values of one; each of them is counted with the
whole of it. This file must not know items or recipes.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from merit_interp.lens_records import HeadChange
from merit_interp.models.loading import LoadedModel

HeadOutputs = Float[Tensor, "items heads hidden"]


def n_heads_of(loaded: LoadedModel) -> int:
    """Heads of every text layer."""
    return int(loaded.model.config.get_text_config(decoder=True).num_attention_heads)


@dataclass(frozen=True, eq=False)
class AttentionWeights:
    """One layer's projections, copied to the CPU in float32."""

    slices: Mapping[str, Tensor]
    """Of q, k, v and o, (heads of that projection, numbers of one head's slice); a layer that
    takes keys or values from another one has none of them."""

    @property
    def n_heads(self) -> int:
        """Heads that answer for themselves."""
        return len(self.slices["o"])


def attention_weights(loaded: LoadedModel, layers: Sequence[int]) -> dict[int, AttentionWeights]:
    """Each head's slice of q, k, v (rows, with their biases) and o (columns), as they are now.

    Args:
        loaded: The model, whatever is merged into it.
        layers: Which text layers.
    """
    n_heads = n_heads_of(loaded)
    found = {}
    for layer in layers:
        width = loaded.projection(layer, "o").in_features // n_heads
        slices: dict[str, Tensor] = {}
        for name in ("q", "k", "v", "o"):
            attention = loaded.text_layers[layer].get_submodule(loaded.family.self_attention)
            if getattr(attention, loaded.family.projections[name], None) is None:
                continue
            projection = loaded.projection(layer, name)
            weight = projection.weight.detach().cpu().float()
            if name == "o":
                slices[name] = weight.T.reshape(n_heads, -1).clone()
                continue
            if projection.bias is not None:
                weight = torch.cat([weight, projection.bias.detach().cpu().float()[:, None]], dim=1)
            slices[name] = weight.reshape(len(weight) // width, -1).clone()
        found[layer] = AttentionWeights(slices)
    return found


def head_changes(
    before: Mapping[int, AttentionWeights], after: Mapping[int, AttentionWeights]
) -> list[HeadChange]:
    """How much each head of the layers changed, layer by layer.

    Args:
        before: The VLM's, as `attention_weights` gives them.
        after: The merged model's, of the same layers.
    """
    found = []
    for layer, own in before.items():
        squares = {
            name: (_squares(after[layer].slices[name] - weight), _squares(weight))
            for name, weight in own.slices.items()
        }
        for head in range(own.n_heads):
            sharing = own.n_heads // len(own.slices.get("k", own.slices["o"]))
            parts = {}
            for name, (changed, whole) in squares.items():
                place = head * len(changed) // own.n_heads
                parts[name] = (float(changed[place]), float(whole[place]))
            total = [sum(values) for values in zip(*parts.values(), strict=True)]
            found.append(
                HeadChange(
                    layer=layer,
                    head=head,
                    key_head=head // sharing,
                    sharing=sharing,
                    change={name: math.sqrt(part[0]) for name, part in parts.items()},
                    share={
                        name: math.sqrt(changed / whole) if whole else math.nan
                        for name, (changed, whole) in (parts | {"all": total}).items()
                    },
                )
            )
    return found


def _squares(weight: Tensor) -> Tensor:
    """(heads,) sum of squares of each head's slice."""
    return (weight.double() ** 2).sum(dim=1)


def head_outputs(joined: Tensor, weights: AttentionWeights) -> HeadOutputs:
    """What each head adds to the state, from what enters the output projection.

    Args:
        joined: (items, width) the heads' outputs side by side, on the CPU.
        weights: Of the same layer.
    """
    split = joined.float().reshape(len(joined), weights.n_heads, -1)
    columns = weights.slices["o"].reshape(weights.n_heads, split.shape[-1], -1)
    outputs: Tensor = torch.einsum("ihd,hdm->ihm", split, columns)
    return outputs


def output_change(before: HeadOutputs, after: HeadOutputs) -> Float[Tensor, "items heads"]:
    """Length of the difference as a share of the length before."""
    changed, whole = (torch.linalg.vector_norm(part, dim=-1) for part in (after - before, before))
    share: Tensor = changed / whole.clamp(min=1e-12)
    return share


@contextlib.contextmanager
def masked_head(loaded: LoadedModel, *, layer: int, head: int) -> Iterator[None]:
    """One head adds nothing, at any token, for as long as the context lasts."""
    projection = loaded.projection(layer, "o")
    width = projection.in_features // n_heads_of(loaded)

    def mask(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        joined = args[0].clone()
        joined[..., head * width : (head + 1) * width] = 0
        return (joined, *args[1:])

    handle = projection.register_forward_pre_hook(mask)
    try:
        yield
    finally:
        handle.remove()
