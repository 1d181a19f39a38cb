"""The pair's sizes, built as transformers' own configs and models.

    backbone = build_backbone(); vlm = build_vlm(backbone)

It must not know clips, looks or training; it knows the vocabulary's size and ids.
"""

import torch
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
)

from merit_interp.microworld.tokenizer import (
    END_TOKEN,
    IMAGE_TOKEN,
    PAD_TOKEN,
    VIDEO_TOKEN,
    vocabulary,
)

IMAGE_SIZE = 32
PATCH_SIZE = 16
PATCH_COUNT = (IMAGE_SIZE // PATCH_SIZE) ** 2
"""Patches a frame; LLaVA-OneVision pools them to one token a frame."""
TEXT_LAYERS = 8


def _token_id(token: str) -> int:
    return vocabulary().index(token)


def text_config() -> Qwen2Config:
    """The Qwen2 stack that the backbone and the VLM share."""
    return Qwen2Config(
        vocab_size=len(vocabulary()),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        # The usual 0.02 is far too small at this width: attention stays uniform for long.
        initializer_range=0.1,
        pad_token_id=_token_id(PAD_TOKEN),
        eos_token_id=_token_id(END_TOKEN),
        bos_token_id=None,
        use_cache=True,
        dtype="float32",
    )


def vision_config() -> SiglipVisionConfig:
    """A SigLIP tower over 2 x 2 patches."""
    return SiglipVisionConfig(
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        vision_use_head=False,
        dtype="float32",
    )


def vlm_config() -> LlavaOnevisionConfig:
    """LLaVA-OneVision over the two."""
    return LlavaOnevisionConfig(
        vision_config=vision_config(),
        text_config=text_config(),
        image_token_index=_token_id(IMAGE_TOKEN),
        video_token_index=_token_id(VIDEO_TOKEN),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[IMAGE_SIZE, IMAGE_SIZE]],
        vision_aspect_ratio="anyres_max_9",
        tie_word_embeddings=True,
        dtype="float32",
    )


def build_backbone() -> Qwen2ForCausalLM:
    """A backbone with fresh weights, drawn from torch's global generator."""
    return Qwen2ForCausalLM(text_config())


def build_vlm(backbone: Qwen2ForCausalLM) -> LlavaOnevisionForConditionalGeneration:
    """A VLM whose text stack holds the backbone's weights; tower and projector are fresh."""
    vlm = LlavaOnevisionForConditionalGeneration(vlm_config())
    vlm.model.language_model.load_state_dict(backbone.model.state_dict())
    with torch.no_grad():
        vlm.model.image_newline.normal_(std=text_config().initializer_range)
    vlm.tie_weights()
    return vlm
