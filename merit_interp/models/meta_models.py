"""A model on torch's meta device: every module and shape of it, and not one weight.

    model = meta_model(Checkpoint.open("models/vlm", needs_weights=False), dtype=torch.bfloat16)
    model_parts(model, family).text_layers    # parameters of the text layers

Made from config.json alone, in about a second for any size. This file must not know weights or
what a model is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
)
from transformers.initialization import no_init_weights

from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import Family


def meta_model(
    checkpoint: Checkpoint, family: Family, *, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """The model that transformers builds of a checkpoint's config, on the meta device.

    Args:
        checkpoint: Its config.json is all that is read.
        family: Its row; says whether it is a VLM.
        dtype: Of the parameters.

    Raises:
        CheckpointError: transformers cannot build a model of the config.
    """
    auto: Any = AutoModelForImageTextToText if family.has_vision else AutoModelForCausalLM
    try:
        config = AutoConfig.from_pretrained(
            checkpoint.directory, local_files_only=True, trust_remote_code=False
        )
        with torch.device("meta"), no_init_weights():
            model: PreTrainedModel = auto.from_config(
                config, dtype=dtype, attn_implementation="sdpa"
            )
    except (OSError, ValueError, StrictDataclassError) as error:
        raise CheckpointError(f"cannot build {checkpoint.source}: {error}") from None
    model.tie_weights()
    model.requires_grad_(False)
    model.train(False)
    return model


@dataclass(frozen=True)
class ModelParts:
    """Parameters of each part of a model, counted; tied ones once."""

    attention: int
    """q, k, v and o of all text layers, with their biases."""
    text_layers: int
    """All of the text layers, self-attention included."""
    vision: int
    """The encoder and what joins it to the text model; 0 for a backbone."""
    total: int
    largest: int
    """Of the biggest tensor in the text layers."""
    n_layers: int


def model_parts(model: PreTrainedModel, family: Family) -> ModelParts:
    """Count a model's parameters by part."""
    layers = model.get_submodule(family.text_layers)
    in_layers = dict(layers.named_parameters())
    attention = (
        parameter
        for name, parameter in in_layers.items()
        if family.projection_of(name.partition(".")[2]) is not None
    )
    total = sum(p.numel() for p in model.parameters())
    text = {
        id(p)
        for path in (family.text_model, family.lm_head)
        for p in model.get_submodule(path).parameters()
    }
    vision = sum(p.numel() for p in model.parameters() if id(p) not in text)
    return ModelParts(
        attention=sum(p.numel() for p in attention),
        text_layers=sum(p.numel() for p in in_layers.values()),
        vision=vision,
        total=total,
        largest=max(p.numel() for p in in_layers.values()),
        n_layers=len(list(layers.children())),
    )
