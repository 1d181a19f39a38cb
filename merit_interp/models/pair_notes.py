"""What differs between the text configs of a VLM and a backbone, and forbids no merge.

    config_notes(vlm_text_config, backbone_text_config)    # ("vocab_size 152064 against 151936",)

This file must not know weights.
"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig

NOTED_FIELDS = (
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "rms_norm_eps",
    "hidden_act",
    "tie_word_embeddings",
    "num_kv_shared_layers",
    "attention_k_eq_v",
)
"""Fields of a text config that may differ: embeddings, norms and positions stay the VLM's."""


def config_notes(vlm: PreTrainedConfig, backbone: PreTrainedConfig) -> tuple[str, ...]:
    """What differs between two text configs and changes no weight's shape."""
    values = {
        name: (getattr(vlm, name, None), getattr(backbone, name, None)) for name in NOTED_FIELDS
    }
    values["rope_theta"] = (_rope_theta(vlm), _rope_theta(backbone))
    named = [
        f"{name} {v} against {b}"
        for name, (v, b) in values.items()
        if v != b and None not in (v, b)
    ]
    return (*named, *_kinds_of_layers(vlm, backbone))


def _kinds_of_layers(vlm: PreTrainedConfig, backbone: PreTrainedConfig) -> tuple[str, ...]:
    """Layers whose attention slides on one side and sees everything on the other."""
    sides = [getattr(config, "layer_types", None) or () for config in (vlm, backbone)]
    where: dict[tuple[str, str], list[str]] = {}
    for layer, kinds in enumerate(zip(*sides, strict=False)):
        if kinds[0] != kinds[1]:
            where.setdefault(kinds, []).append(str(layer))
    return tuple(
        f"{kinds[0]} against {kinds[1]} in layers {', '.join(layers)}"
        for kinds, layers in where.items()
    )


def _rope_theta(config: PreTrainedConfig) -> Any:
    """Base of the rotary frequencies; by kind of layer where a model has several."""
    rope = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" in rope:
        return rope["rope_theta"]
    return {kind: part.get("rope_theta") for kind, part in rope.items() if part} or None
