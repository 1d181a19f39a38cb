"""Sizes of a VLM and its backbone, from headers and configs alone.

    size = pair_size(vlm, backbone, dtype=torch.bfloat16, n_tokens=2176)
    size.vlm.total, size.cost.flops

Where a side has weights, their stored bytes are those of its headers; else those of its config's
type. This file must not know what is done with a pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from merit_interp.models.checkpoint_files import DTYPES, Checkpoint
from merit_interp.models.forward_cost import ForwardCost, text_forward_cost
from merit_interp.models.meta_models import ModelParts, meta_model, model_parts
from merit_interp.models.pairing import (
    layout_differences,
    pair_families,
    refuse_differences,
    text_config,
)

PATCHES_PER_TOKEN = 4
"""Of a tower whose config does not say how it merges patches into tokens."""


@dataclass(frozen=True)
class PairSize:
    """What a pair weighs, and what a prompt costs in it."""

    vlm: ModelParts
    backbone: ModelParts
    cost: ForwardCost
    """Of one prompt through the VLM's text layers."""
    bytes_per_weight: int
    """In memory."""
    vlm_stored_bytes: int
    """Of all weights on disk."""
    backbone_stored_bytes_per_weight: int
    """Of the backbone's self-attention."""
    encoder_flops_per_token: int
    """For each visual token; the encoder's attention left out."""
    frames_per_unit: int
    hidden_size: int
    has_weights: bool
    """Whether both sides' weights were there, so that stored bytes come from their headers."""


def pair_size(
    vlm: Checkpoint, backbone: Checkpoint, *, dtype: torch.dtype, n_tokens: int
) -> PairSize:
    """Size a pair without loading it.

    Args:
        vlm: The VLM's checkpoint; its weights need not be there.
        backbone: The backbone's checkpoint; its weights need not be there.
        dtype: Of weights and activations in memory.
        n_tokens: Tokens of a prompt.

    Raises:
        PairError: The configs do not pair, or are swapped.
        CheckpointError: transformers cannot build a model of a config.
    """
    family, text_family = pair_families(vlm, backbone)
    configs = text_config(vlm), text_config(backbone)
    refuse_differences(vlm.source, backbone.source, layout_differences(*configs))
    model = meta_model(vlm, family, dtype=dtype)
    parts = model_parts(model, family)
    merge = getattr(model.config.vision_config, "spatial_merge_size", None)
    patches = merge**2 if merge else PATCHES_PER_TOKEN
    return PairSize(
        vlm=parts,
        backbone=model_parts(meta_model(backbone, text_family, dtype=dtype), text_family),
        cost=text_forward_cost(model, family, n_tokens=n_tokens),
        bytes_per_weight=dtype.itemsize,
        vlm_stored_bytes=_stored_bytes(vlm) or parts.total * _bytes_per_weight(vlm),
        backbone_stored_bytes_per_weight=_bytes_per_weight(backbone),
        encoder_flops_per_token=2 * parts.vision * patches,
        frames_per_unit=family.frames_per_unit,
        hidden_size=configs[0].hidden_size,
        has_weights=bool(vlm.stored and backbone.stored),
    )


def _stored_bytes(checkpoint: Checkpoint) -> int:
    return sum(place.n_bytes for place in checkpoint.stored.values())


def _bytes_per_weight(checkpoint: Checkpoint) -> int:
    """Of the biggest stored tensor; of the config's type where there are no weights."""
    if checkpoint.stored:
        biggest = max(checkpoint.stored.values(), key=lambda place: place.n_bytes)
        return DTYPES.get(biggest.dtype, torch.float32).itemsize
    whole = checkpoint.config
    configs: list[Mapping[str, Any]] = [whole, whole.get("text_config") or {}]
    names = (config.get(field) for config in configs for field in ("dtype", "torch_dtype"))
    # what says nothing is in float32, to transformers as well
    dtype = getattr(torch, next(filter(None, names), "float32"), torch.float32)
    return int(dtype.itemsize)
