"""Tiny models of four families, built from configs in memory, with hand-made video inputs.

    tiny = TINY_FAMILIES["qwen3_vl"]()
    tiny.model(**tiny.inputs).logits

Two rows of one length; the tokens of the video lie at `visual`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

ROWS, TEXT_TOKENS, FRAMES = 2, 7, 4
HIDDEN, HEADS, LAYERS, VOCABULARY = 32, 4, 4, 64
VIDEO_TOKEN = 5
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}


@dataclass(frozen=True, eq=False)
class TinyModel:
    """A model, its text layers and one batch."""

    model: PreTrainedModel
    layers: nn.ModuleList
    inputs: dict[str, Any]
    visual: Tensor
    """(rows, seq) which tokens stand for the video."""

    def logits(self) -> Tensor:
        return self.model(**self.inputs).logits


def llava_onevision() -> TinyModel:
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
            image_size=16, patch_size=8, vision_use_head=False,
        ),
        text_config=Qwen2Config(**TEXT),
        image_token_index=4,
        video_token_index=VIDEO_TOKEN,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )  # fmt: skip
    model = drawn(LlavaOnevisionForConditionalGeneration, config)
    # a frame of 2 x 2 patches is pooled to one token; a newline ends the video
    pixels = {"pixel_values_videos": torch.randn(ROWS, FRAMES, 3, 16, 16)}
    return with_prompt(model, model.model.language_model.layers, FRAMES + 1, pixels)


def qwen2_5_vl() -> TinyModel:
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "rope_parameters": MROPE},
        vision_config={
            "depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 24,
            "out_hidden_size": HIDDEN, "patch_size": 4, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "window_size": 8, "fullatt_block_indexes": [0],
        },
        image_token_id=4, video_token_id=VIDEO_TOKEN, vision_start_token_id=6,
        vision_end_token_id=7,
    )  # fmt: skip
    model = drawn(Qwen2_5_VLForConditionalGeneration, config)
    return qwen_prompt(model, second_per_grid_ts=torch.ones(ROWS))


def qwen3_vl() -> TinyModel:
    config = Qwen3VLConfig(
        text_config={**TEXT, "head_dim": 8, "rope_parameters": MROPE},
        vision_config={
            "depth": 3, "hidden_size": 16, "num_heads": 2, "intermediate_size": 24,
            "out_hidden_size": HIDDEN, "patch_size": 4, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        image_token_id=4, video_token_id=VIDEO_TOKEN, vision_start_token_id=6,
        vision_end_token_id=7,
    )  # fmt: skip
    return qwen_prompt(drawn(Qwen3VLForConditionalGeneration, config))


def smolvlm() -> TinyModel:
    config = SmolVLMConfig(
        text_config={**TEXT, "model_type": "llama"},
        vision_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 16, "patch_size": 8,
        },
        image_token_id=VIDEO_TOKEN,
        scale_factor=2,
        pad_token_id=0,
    )  # fmt: skip
    model = drawn(SmolVLMForConditionalGeneration, config)
    pixels = {"pixel_values": torch.randn(ROWS, FRAMES, 3, 16, 16)}
    return with_prompt(model, model.model.text_model.layers, FRAMES, pixels)


def qwen_prompt(model: PreTrainedModel, **inputs: Any) -> TinyModel:
    """One temporal patch of 4 x 4 patches, merged 2 x 2: 4 tokens a row."""
    grid = torch.tensor([[1, 4, 4]] * ROWS)
    patches = int(grid[0].prod()) * ROWS
    pixels = {
        "pixel_values_videos": torch.randn(patches, 3 * 2 * 4 * 4),
        "video_grid_thw": grid,
        **inputs,
    }
    tokens = int(grid[0].prod()) // 4
    tiny = with_prompt(model, model.model.language_model.layers, tokens, pixels)
    tiny.inputs["mm_token_type_ids"] = tiny.visual.long() * 2
    return tiny


def with_prompt(
    model: PreTrainedModel, layers: nn.ModuleList, n_visual: int, pixels: dict[str, Any]
) -> TinyModel:
    ids = torch.randint(10, VOCABULARY, (ROWS, TEXT_TOKENS + n_visual))
    ids[:, 2 : 2 + n_visual] = VIDEO_TOKEN
    inputs = {
        "input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False, **pixels
    }  # fmt: skip
    return TinyModel(model, layers, inputs, ids == VIDEO_TOKEN)


def drawn(model_class: Any, config: Any) -> PreTrainedModel:
    """Every parameter random, large enough that each layer matters."""
    torch.manual_seed(0)
    model: PreTrainedModel = model_class(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.requires_grad_(False)


TINY_FAMILIES: dict[str, Callable[[], TinyModel]] = {
    "llava_onevision": llava_onevision,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "smolvlm": smolvlm,
}
