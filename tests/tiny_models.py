"""Tiny real checkpoints, written to disk: transformers' own classes, random weights, no network.

    pair = tiny_pair(tmp_path)
    vlm = load_vlm(pair.vlm)

An LLaVA-OneVision VLM over SigLIP and Qwen2, and a Qwen2 backbone that pairs with it: same text
shapes, other weights in every text tensor. Files lie as on the hub: safetensors (sharded on
request), a byte-level BPE tokenizer, processor configs, chat template.

A frame of 32 x 32 is 16 patches, pooled to 4 visual tokens; a video adds one newline token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    SiglipVisionConfig,
)
from transformers.utils import logging as transformers_logging

N_LAYERS = 4
IMAGE_SIZE = 32
PATCH_SIZE = 8
TOKENS_PER_FRAME = 4

PAD, END, START, IMAGE, VIDEO = "<|endoftext|>", "<|im_end|>", "<|im_start|>", "<image>", "<video>"
_SPECIAL = [PAD, END, START, IMAGE, VIDEO]

CORPUS = (
    "user assistant You are a helpful assistant. Answer with the letter of the right option.",
    "Which shape comes right after the red circle? What colour is the square before it?",
    "A. the circle B. the square C. the triangle D. the star red green blue yellow yes no",
    "first then second third before after last appears moves left right person opens the door",
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}{{ '<video>\n' }}"
    "{% elif part['type'] == 'image' %}{{ '<image>\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class TinyPair:
    """Two checkpoint directories that pair."""

    vlm: Path
    backbone: Path


def tiny_tokenizer(
    special: Sequence[str] = tuple(_SPECIAL),
    chat_template: str = CHAT_TEMPLATE,
    **settings: Any,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that reads any text; single letters are single tokens.

    Args:
        special: Its special tokens; they have the ids from 0 on, in this order.
        chat_template: Its chat template, in Jinja.
        settings: Further arguments of `PreTrainedTokenizerFast`: pad_token, eos_token, ...
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **{
            "pad_token": PAD,
            "eos_token": END,
            "extra_special_tokens": {"image_token": IMAGE, "video_token": VIDEO},
            "model_max_length": 1024,
            "padding_side": "left",
            **settings,
        },
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def tiny_text_config(**changes: Any) -> Qwen2Config:
    """The Qwen2 stack of both sides."""
    settings: dict[str, Any] = {
        "vocab_size": 416,  # more rows than the tokenizer has tokens, as real checkpoints do
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": N_LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "pad_token_id": _SPECIAL.index(PAD),
        "eos_token_id": _SPECIAL.index(END),
        "bos_token_id": None,
    }
    return Qwen2Config(**{**settings, **changes})


def tiny_vlm_config(**text_changes: Any) -> LlavaOnevisionConfig:
    """LLaVA-OneVision over a SigLIP tower of 4 x 4 patches."""
    text = tiny_text_config(**text_changes)
    return LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=24,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            vision_use_head=False,
        ),
        text_config=text,
        image_token_index=_SPECIAL.index(IMAGE),
        video_token_index=_SPECIAL.index(VIDEO),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[IMAGE_SIZE, IMAGE_SIZE]],
        vision_aspect_ratio="anyres_max_9",
        tie_word_embeddings=text.tie_word_embeddings,
    )


def tiny_vlm(
    directory: Path,
    *,
    seed: int = 0,
    dtype: str = "float32",
    max_shard_size: str = "1GB",
    **text_changes: Any,
) -> Path:
    """Write a VLM's checkpoint directory.

    Args:
        directory: Where to; made if missing.
        seed: Of the weights.
        dtype: Of the stored weights.
        max_shard_size: As in `save_pretrained`; "20KB" gives many shards.
        text_changes: Fields of the text config that differ.
    """
    model = drawn(LlavaOnevisionForConditionalGeneration, tiny_vlm_config(**text_changes), seed)
    save_model(model, directory, dtype, max_shard_size)
    tiny_tokenizer().save_pretrained(directory)
    for name, content in _PROCESSOR_FILES.items():
        (directory / name).write_text(json.dumps(content, indent=2))
    return directory


def tiny_backbone(
    directory: Path,
    *,
    seed: int = 1,
    dtype: str = "float32",
    max_shard_size: str = "1GB",
    **text_changes: Any,
) -> Path:
    """Write a backbone's checkpoint directory; arguments as `tiny_vlm`."""
    model = drawn(Qwen2ForCausalLM, tiny_text_config(**text_changes), seed)
    save_model(model, directory, dtype, max_shard_size)
    tiny_tokenizer().save_pretrained(directory)
    return directory


def tiny_pair(directory: Path, **settings: Any) -> TinyPair:
    """Write `vlm/` and `backbone/` below a directory, both with the same settings."""
    return TinyPair(
        vlm=tiny_vlm(directory / "vlm", **settings),
        backbone=tiny_backbone(directory / "backbone", **settings),
    )


def drawn(model_class: Any, config: Any, seed: int) -> PreTrainedModel:
    """A model whose every parameter is random, biases and norms too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = model_class(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.15)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save_model(
    model: PreTrainedModel, directory: Path, dtype: str, max_shard_size: str = "1GB"
) -> None:
    """Weights and config of a model, as `save_pretrained` lays them out."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    model.to(getattr(torch, dtype)).save_pretrained(directory, max_shard_size=max_shard_size)
    if shown:
        transformers_logging.enable_progress_bar()


_PIXELS = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "LlavaOnevisionProcessor",
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
}

_PROCESSOR_FILES: dict[str, dict[str, Any]] = {
    "preprocessor_config.json": {
        **_PIXELS,
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "do_pad": True,
        "image_grid_pinpoints": [[IMAGE_SIZE, IMAGE_SIZE]],
    },
    "video_preprocessor_config.json": {
        **_PIXELS,
        "video_processor_type": "LlavaOnevisionVideoProcessor",
        "do_sample_frames": False,
    },
    "processor_config.json": {
        "processor_class": "LlavaOnevisionProcessor",
        "image_token": IMAGE,
        "video_token": VIDEO,
        "num_image_tokens": (IMAGE_SIZE // PATCH_SIZE) ** 2,
        "vision_aspect_ratio": "anyres_max_9",
        "vision_feature_select_strategy": "full",
    },
}
