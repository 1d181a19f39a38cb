"""Published sizes on the meta device: the table finds every weight, and both sides agree.

No weights are needed: modules come from config.json, and keys on disk from the renaming that
transformers itself does when it saves. See tests/published/README.md for where configs come from.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import MappingProxyType

import pytest
from torch import nn
from transformers.core_model_loading import revert_weight_conversion

from merit_interp.models.checkpoint_files import Checkpoint, StoredTensor
from merit_interp.models.families import BACKBONE_FAMILIES, VLM_FAMILIES, Family
from merit_interp.models.forward_cost import text_forward_cost
from merit_interp.models.meta_models import ModelParts, meta_model, model_parts
from merit_interp.models.pairing import check_pair
from merit_interp.models.text_tensors import text_tensors

PUBLISHED = Path(__file__).parent.parent / "published"

PAIRS = {
    "qwen2_vl": ("Qwen2-VL-7B-Instruct", "Qwen2-7B-Instruct", 28),
    "qwen2_5_vl": ("Qwen2.5-VL-7B-Instruct", "Qwen2.5-7B-Instruct", 28),
    "qwen3_vl": ("Qwen3-VL-8B-Instruct", "Qwen3-8B", 36),
    "glm4v": ("GLM-4.1V-9B-Thinking", "GLM-4-9B-0414", 40),
    "llava_onevision": ("llava-onevision-qwen2-7b-ov-hf", "Qwen2-7B-Instruct", 28),
    "llava_next_video": ("LLaVA-NeXT-Video-7B-hf", "vicuna-7b-v1.5", 32),
    "video_llava": ("Video-LLaVA-7B-hf", "vicuna-7b-v1.5", 32),
    "internvl": ("InternVL3-8B-hf", "Qwen2.5-7B-Instruct", 28),
    "video_llama_3": ("VideoLLaMA3-7B", "Qwen2.5-7B-Instruct", 28),
    "smolvlm": ("SmolVLM2-2.2B-Instruct", "SmolLM2-1.7B-Instruct", 24),
    "gemma3": ("gemma-3-4b-it", "gemma-3-4b-text", 34),
    "gemma4": ("gemma-4-42-layers", "gemma-4-42-layers-text", 42),
}
"""VLM, backbone and text layers, by the VLM's family."""

PARAMETERS = {
    "Qwen2-7B-Instruct": 7_615_616_512,
    "Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen3-8B": 8_190_735_360,
    "Qwen3-VL-8B-Instruct": 8_767_123_696,
    "InternVL3-8B-hf": 7_944_373_760,
    "SmolVLM2-2.2B-Instruct": 2_246_784_880,
    "SmolLM2-1.7B-Instruct": 1_711_376_384,
    "vicuna-7b-v1.5": 6_738_415_616,
    "gemma-3-4b-it": 4_300_079_472,
}
"""Parameters that the published files are remembered to have."""


@functools.cache
def described(name: str) -> tuple[Checkpoint, Family, ModelParts]:
    """A checkpoint with the headers that its files would have, its row, and its parts."""
    bare = Checkpoint.open(PUBLISHED / name, needs_weights=False)
    model_type = bare.config["model_type"]
    family = {**VLM_FAMILIES, **BACKBONE_FAMILIES}[model_type]
    model = meta_model(bare, family)
    check_modules(model, family)
    on_disk = revert_weight_conversion(model, dict(model.state_dict()))
    stored = {
        key: StoredTensor(bare.directory / "none", tuple(tensor.shape), "BF16", 0, 0)
        for key, tensor in sorted(on_disk.items())
    }
    checkpoint = Checkpoint(
        bare.source, None, bare.directory, bare.config, MappingProxyType(stored)
    )
    in_memory = {
        (number, tensor)
        for number, layer in enumerate(model.get_submodule(family.text_layers).children())
        for tensor, _ in layer.named_parameters()
    }
    # more than parameters where a family saves buffers
    assert in_memory <= set(text_tensors(checkpoint, family))
    return checkpoint, family, model_parts(model, family)


def check_modules(model: nn.Module, family: Family) -> None:
    """Every path of the row leads to a module; a layer may lack what the row says it may."""
    for path in (family.text_model, family.lm_head, family.vision_model):
        model.get_submodule(path)
    for layer in model.get_submodule(family.text_layers).children():
        attention = layer.get_submodule(family.self_attention)
        for name in (*family.projections.values(), *family.also_in_attention):
            if name in family.not_in_every_layer and name not in dict(attention.named_children()):
                continue
            assert isinstance(attention.get_submodule(name), nn.Module)
    assert not family.has_vision or hasattr(
        model.get_submodule(family.vision_model), f"get_{family.encoder}_features"
    )


def test_every_family_of_the_table_is_here() -> None:
    assert set(PAIRS) == set(VLM_FAMILIES)


@pytest.mark.parametrize("name", PAIRS)
def test_a_published_pair_pairs(name: str) -> None:
    vlm_name, backbone_name, n_layers = PAIRS[name]
    vlm, family, parts = described(vlm_name)
    backbone, text_family, text_parts = described(backbone_name)
    assert family.model_type == name
    check_pair(vlm, backbone)
    assert parts.n_layers == text_parts.n_layers == n_layers
    # q, k, v and o of every layer are found on both sides, of equal shapes
    keys, text_keys = text_tensors(vlm, family), text_tensors(backbone, text_family)
    labels = [(t.layer, family.attention_label(t.name)) for t in keys]
    for layer in range(n_layers):
        needed = {"q.weight", "k.weight", "v.weight", "o.weight"}
        if not set(family.projections.values()) & set(family.not_in_every_layer):
            assert needed <= {label for number, label in labels if number == layer}
    shared = [t for t in keys if family.attention_label(t.name) and t in text_keys]
    assert {vlm.shape(keys[t]) == backbone.shape(text_keys[t]) for t in shared} == {True}
    assert len(shared) == sum(1 for t in keys if family.attention_label(t.name))
    assert parts.attention == text_parts.attention
    assert parts.text_layers == text_parts.text_layers
    assert 0 < parts.vision < parts.text_layers


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_sizes_have_the_published_number_of_parameters(name: str) -> None:
    _, _, parts = described(name)
    assert parts.total == PARAMETERS[name]


@pytest.mark.parametrize("name", PAIRS)
def test_what_a_prompt_costs_is_counted_for_every_family(name: str) -> None:
    family = VLM_FAMILIES[name]
    model = meta_model(Checkpoint.open(PUBLISHED / PAIRS[name][0], needs_weights=False), family)
    layers = model.get_submodule(family.text_layers)
    assert isinstance(layers, nn.ModuleList)
    del layers[2:]  # two tell as much as forty, in less time
    cost = text_forward_cost(model, family, n_tokens=64)
    weights = sum(p.numel() for p in layers.parameters() if p.ndim == 2)
    assert cost.flops == pytest.approx(2 * 64 * weights, rel=0.2)
    assert cost.backward_flops == pytest.approx(cost.flops, rel=0.2)
    assert 0 < cost.peak_bytes < cost.kept_bytes


def test_the_families_keep_their_layers_where_the_table_says() -> None:
    """Of several prefixes in a row, the one that transformers writes today."""
    written = {
        name: next(iter(text_tensors(*described(PAIRS[name][0])[:2]).values())).partition(".0.")[0]
        for name in PAIRS
    }
    assert written == {
        "qwen2_vl": "model.layers",
        "qwen2_5_vl": "model.layers",
        "llava_onevision": "language_model.model.layers",
        "llava_next_video": "language_model.model.layers",
        "video_llava": "language_model.model.layers",
        "internvl": "language_model.model.layers",
        "gemma3": "language_model.model.layers",
        "smolvlm": "model.text_model.layers",
        "qwen3_vl": "model.language_model.layers",
        "glm4v": "model.language_model.layers",
        "video_llama_3": "model.language_model.layers",
        "gemma4": "model.language_model.layers",
    }
