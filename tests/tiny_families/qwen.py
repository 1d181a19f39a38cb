"""Tiny Qwen2-VL, Qwen2.5-VL, Qwen3-VL and GLM-4V with the backbones that they were made from.

    BUILDERS["qwen2_5_vl"](tmp_path, seed=0, dtype="float32")

A frame becomes whole squares of 16 pixels, one visual token each for two frames together. The
limits on pixels are such that frames of 64 x 48 are made smaller. Files are those that the hub has:
the first two have one preprocessor config for images and videos, with the older names of limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import (
    Glm4Config,
    Glm4ForCausalLM,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from tests.tiny_models import N_LAYERS, TinyPair, drawn, save_model, tiny_tokenizer

TOKEN_SIDE = 16
"""Pixels of the side of a visual token."""
_TEXT: dict[str, Any] = {
    "vocab_size": 416,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "bos_token_id": None,
}
_PATCHES = {"patch_size": TOKEN_SIDE // 2, "temporal_patch_size": 2, "merge_size": 2}
_TOWER: dict[str, Any] = {
    "patch_size": TOKEN_SIDE // 2,
    "temporal_patch_size": 2,
    "spatial_merge_size": 2,
    "num_heads": 2,
}


@dataclass(frozen=True)
class _Recipe:
    """What one family's pair is made of."""

    vlm: tuple[Any, PreTrainedConfig]
    """Class and config."""
    backbone: tuple[Any, PreTrainedConfig]
    tokenizer: Mapping[str, Any]
    """Arguments of `tiny_tokenizer`."""
    files: Mapping[str, Mapping[str, Any]]
    """Processor files."""


def _builder(recipe: Callable[[], _Recipe]) -> Callable[..., TinyPair]:
    def build(directory: Path, *, seed: int, dtype: str) -> TinyPair:
        made = recipe()
        pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
        save_model(drawn(*made.vlm, seed), pair.vlm, dtype)
        save_model(drawn(*made.backbone, seed + 1), pair.backbone, dtype)
        for checkpoint in (pair.vlm, pair.backbone):
            tiny_tokenizer(**made.tokenizer).save_pretrained(checkpoint)
        for name, content in made.files.items():
            (pair.vlm / name).write_text(json.dumps(content, indent=2))
        return pair

    return build


_QWEN_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
_QWEN_TEMPLATE = (
    "{%% for message in messages %%}%s<|im_start|>{{ message['role'] }}\n"
    "{%% if message['content'] is string %%}{{ message['content'] }}{%% else %%}"
    "{%% for content in message['content'] %%}"
    "{%% if content['type'] == 'image' %%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%% elif content['type'] == 'video' %%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%% elif 'text' in content %%}{{ content['text'] }}{%% endif %%}{%% endfor %%}{%% endif %%}"
    "<|im_end|>\n{%% endfor %%}"
    "{%% if add_generation_prompt %%}<|im_start|>assistant\n{%% endif %%}"
)
_SYSTEM = (
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
)


def _qwen_tokenizer(system: str) -> dict[str, Any]:
    return {
        "special": _QWEN_SPECIAL,
        "chat_template": _QWEN_TEMPLATE % system,
        "pad_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "extra_special_tokens": {},
    }


_QWEN_TOKENS = {
    "vision_start_token_id": 3, "vision_end_token_id": 4, "image_token_id": 6, "video_token_id": 7
}  # fmt: skip
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_QWEN2_FILES = {
    "preprocessor_config.json": {
        "min_pixels": 2 * TOKEN_SIDE**2,
        "max_pixels": 9 * TOKEN_SIDE**2,
        **_PATCHES,
        **_CLIP,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
    }
}


def _mrope(*sections: int, **changes: Any) -> dict[str, Any]:
    return {
        "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [*sections], **changes
    }  # fmt: skip


def _qwen2_vl() -> _Recipe:
    tower = {**_TOWER, "depth": 2, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2}
    config = Qwen2VLConfig(
        text_config={**_TEXT, "rope_parameters": _mrope(1, 1, 2)},
        vision_config=tower,
        tie_word_embeddings=True,
        **_QWEN_TOKENS,
    )
    return _Recipe(
        vlm=(Qwen2VLForConditionalGeneration, config),
        backbone=(Qwen2ForCausalLM, Qwen2Config(**_TEXT, tie_word_embeddings=True)),
        tokenizer=_qwen_tokenizer(_SYSTEM),
        files=_QWEN2_FILES,
    )


def _qwen2_5_vl() -> _Recipe:
    tower = {
        **_TOWER, "depth": 2, "hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 32,
        "window_size": 2 * TOKEN_SIDE, "fullatt_block_indexes": [1], "tokens_per_second": 2,
    }  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={**_TEXT, "rope_parameters": _mrope(1, 1, 2)},
        vision_config=tower,
        tie_word_embeddings=False,
        **_QWEN_TOKENS,
    )
    files = {
        name: {**content, "processor_class": "Qwen2_5_VLProcessor"}
        for name, content in _QWEN2_FILES.items()
    }
    return _Recipe(
        vlm=(Qwen2_5_VLForConditionalGeneration, config),
        backbone=(Qwen2ForCausalLM, Qwen2Config(**_TEXT, tie_word_embeddings=False)),
        tokenizer=_qwen_tokenizer(_SYSTEM),
        files=files,
    )


def _qwen3_vl() -> _Recipe:
    text = {**_TEXT, "head_dim": 16}
    tower = {
        **_TOWER, "depth": 3, "hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 32,
        "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1],
    }  # fmt: skip
    config = Qwen3VLConfig(
        text_config={**text, "rope_parameters": _mrope(4, 2, 2, mrope_interleaved=True)},
        vision_config=tower,
        tie_word_embeddings=True,
        **_QWEN_TOKENS,
    )
    shared = {
        **_PATCHES, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "processor_class": "Qwen3VLProcessor",
    }  # fmt: skip
    return _Recipe(
        vlm=(Qwen3VLForConditionalGeneration, config),
        backbone=(Qwen3ForCausalLM, Qwen3Config(**text, tie_word_embeddings=True)),
        tokenizer=_qwen_tokenizer(""),
        files={
            "preprocessor_config.json": {
                **shared,
                "size": {"shortest_edge": 512, "longest_edge": 2304},
                "image_processor_type": "Qwen2VLImageProcessorFast",
            },
            "video_preprocessor_config.json": {
                **shared,
                "size": {"shortest_edge": 1024, "longest_edge": 8 * 9 * TOKEN_SIDE**2},
                "video_processor_type": "Qwen3VLVideoProcessor",
            },
        },
    )


_GLM_SPECIAL = (
    "<|endoftext|>", "[gMASK]", "<|user|>", "<sop>", "<|system|>", "<|assistant|>",
    "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>",
    "<|image|>", "<|video|>",
)  # fmt: skip
_GLM_TEMPLATE = (
    "[gMASK]<sop>\n{% for message in messages %}"
    "{% if message['role'] == 'user' %}<|user|>\n{% else %}<|assistant|>\n{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'video' %}<|begin_of_video|><|video|><|end_of_video|>"
    "{% elif content['type'] == 'image' %}<|begin_of_image|><|image|><|end_of_image|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def _glm4v() -> _Recipe:
    text = {**_TEXT, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = Glm4vConfig(
        text_config={**text, "rope_parameters": _mrope(1, 1, 2, partial_rotary_factor=0.5)},
        vision_config={
            **_TOWER, "depth": 2, "hidden_size": 16, "intermediate_size": 24,
            "out_hidden_size": 32, "image_size": 32,
        },
        tie_word_embeddings=False,
        image_start_token_id=6, image_end_token_id=7, video_start_token_id=8,
        video_end_token_id=9, image_token_id=10, video_token_id=11,
    )  # fmt: skip
    backbone = Glm4Config(**text, head_dim=16, attention_bias=True, tie_word_embeddings=False)
    shared = {**_PATCHES, **_CLIP, "processor_class": "Glm4vProcessor"}
    return _Recipe(
        vlm=(Glm4vForConditionalGeneration, config),
        backbone=(Glm4ForCausalLM, backbone),
        tokenizer={
            "special": _GLM_SPECIAL, "chat_template": _GLM_TEMPLATE,
            "pad_token": "<|endoftext|>", "eos_token": "<|user|>", "extra_special_tokens": {},
        },
        files={
            "preprocessor_config.json": {
                **shared,
                "size": {"shortest_edge": 512, "longest_edge": 2304},
                "image_processor_type": "Glm4vImageProcessor",
            },
            "video_preprocessor_config.json": {
                **shared,
                "size": {"shortest_edge": 1024, "longest_edge": 8 * 9 * TOKEN_SIDE**2},
                "video_processor_type": "Glm4vVideoProcessor",
            },
        },
    )  # fmt: skip


BUILDERS: dict[str, Callable[..., TinyPair]] = {
    "qwen2_vl": _builder(_qwen2_vl),
    "qwen2_5_vl": _builder(_qwen2_5_vl),
    "qwen3_vl": _builder(_qwen3_vl),
    "glm4v": _builder(_glm4v),
}
