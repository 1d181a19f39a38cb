"""Tiny pairs of llava_next_video, video_llava, internvl and video_llama_3.

    pair = BUILDERS["internvl"](directory, seed=0, dtype="float32")

Files lie as on the hub: Vicuna-like Llama below the first two, Qwen2 below the others, each with
the tokenizer class, special tokens and chat template of its family. A frame of 32 x 32 is 4 visual
tokens (16 and a class token for video_llava); video_llama_3 drops those that are as in the frame
before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    CLIPVisionConfig,
    InternVLConfig,
    InternVLVisionConfig,
    LlamaConfig,
    LlamaTokenizer,
    LlavaNextVideoConfig,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2Tokenizer,
    VideoLlama3Config,
    VideoLlavaConfig,
)
from transformers.models.video_llama_3.configuration_video_llama_3 import VideoLlama3VisionConfig

from tests.tiny_models import TinyPair, drawn, save_model

N_LAYERS = 4
IMAGE_SIZE = 32
PATCH_SIZE = 8

_CORPUS = (
    "USER: ASSISTANT: user assistant You are a helpful assistant. Time 0.0s: 1.5s Frame1: Frame12:",
    "Which shape comes right after the red circle? What colour is the square before it?",
    "A. the circle B. the square C. the triangle D. the star red green blue yellow yes no",
    "A B C D E F A B C D E F A B C D E F A B C D E F A B C D E F A B C D E F",
    "first then second third before after last appears moves left right person opens the door",
)

_VICUNA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>\n' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ part['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
_CHATML_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ 'IMAGE\n' }}"
    "{% elif part['type'] == 'video' %}{{ 'VIDEO\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 1024,
}
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": PATCH_SIZE,
}
_CLIP_PIXELS: dict[str, Any] = {
    "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": IMAGE_SIZE},
}


def _llava_next_video(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    tokenizer = _llama_tokenizer(
        extra_special_tokens={"image_token": "<image>", "video_token": "<video>"}
    )
    text = _llama_config(tokenizer)
    config = LlavaNextVideoConfig(
        vision_config=CLIPVisionConfig(**_VISION, image_size=IMAGE_SIZE),
        text_config=text,
        image_token_index=_id(tokenizer, "<image>"),
        video_token_index=_id(tokenizer, "<video>"),
        image_grid_pinpoints=[[IMAGE_SIZE, IMAGE_SIZE]],
    )
    tokenizer.chat_template = _VICUNA_TEMPLATE
    files = {
        "preprocessor_config.json": {
            **_CLIP_PIXELS,
            "image_grid_pinpoints": [[IMAGE_SIZE, IMAGE_SIZE]],
            "image_processor_type": "LlavaNextImageProcessor",
        },
        "video_preprocessor_config.json": {
            **_CLIP_PIXELS,
            "video_processor_type": "LlavaNextVideoVideoProcessor",
        },
        "processor_config.json": {
            "processor_class": "LlavaNextVideoProcessor",
            "num_additional_image_tokens": 1,
            "patch_size": PATCH_SIZE,
            "vision_feature_select_strategy": "default",
        },
    }
    return _written(directory, "LlavaNextVideo", config, text, tokenizer, files, seed, dtype)


def _video_llava(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    tokenizer = _llama_tokenizer()
    tokenizer.add_tokens([AddedToken(token, special=True) for token in ("<image>", "<video>")])
    text = _llama_config(tokenizer)
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION, image_size=IMAGE_SIZE),
        text_config=text,
        image_token_index=_id(tokenizer, "<image>"),
        video_token_index=_id(tokenizer, "<video>"),
    )
    tokenizer.chat_template = _VICUNA_TEMPLATE
    files = {
        # one file for images and videos, as its checkpoint has
        "preprocessor_config.json": {
            **_CLIP_PIXELS,
            "image_processor_type": "VideoLlavaImageProcessor",
        },
        "processor_config.json": {
            "processor_class": "VideoLlavaProcessor",
            "num_additional_image_tokens": 1,
            "patch_size": PATCH_SIZE,
            "vision_feature_select_strategy": "default",
        },
    }
    return _written(directory, "VideoLlava", config, text, tokenizer, files, seed, dtype)


def internvl_pair(
    directory: Path, *, seed: int, dtype: str, text_class: type[PreTrainedConfig] = Qwen2Config
) -> TinyPair:
    """InternVL3 over Qwen2; with `Qwen3Config`, InternVL3.5."""
    tokenizer = _qwen_tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    text = _qwen_config(text_class, tokenizer, tie_word_embeddings=True)
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(
            **_VISION, image_size=IMAGE_SIZE, attention_bias=True, layer_scale_init_value=1.0
        ),
        text_config=text,
        image_token_id=_id(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=True,
    )
    tokenizer.chat_template = _CHATML_TEMPLATE.replace("IMAGE", "<IMG_CONTEXT>").replace(
        "VIDEO", "<video>"
    )
    pixels = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    }
    files = {
        "preprocessor_config.json": {
            **pixels,
            "crop_to_patches": False,
            "image_processor_type": "GotOcr2ImageProcessorFast",
            "max_patches": 12,
            "min_patches": 1,
            "processor_class": "InternVLProcessor",
        },
        "video_preprocessor_config.json": {
            **pixels,
            "initial_shift": True,
            "processor_class": "InternVLProcessor",
            "video_processor_type": "InternVLVideoProcessor",
        },
        "processor_config.json": {"processor_class": "InternVLProcessor", "image_seq_length": 4},
    }
    return _written(directory, "InternVL", config, text, tokenizer, files, seed, dtype)


def _video_llama_3(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    tokenizer = _qwen_tokenizer(image_token="<|image_pad|>", video_token="<|video_pad|>")
    text = _qwen_config(Qwen2Config, tokenizer, tie_word_embeddings=False)
    config = VideoLlama3Config(
        vision_config=VideoLlama3VisionConfig(**_VISION),
        text_config=text,
        image_token_id=_id(tokenizer, "<|image_pad|>"),
        video_token_id=_id(tokenizer, "<|video_pad|>"),
    )
    tokenizer.chat_template = _CHATML_TEMPLATE.replace("IMAGE", "<|image_pad|>").replace(
        "VIDEO", "<|video_pad|>"
    )
    pixels = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "merge_size": 2,
        "patch_size": PATCH_SIZE,
        "processor_class": "VideoLlama3Processor",
        "resample": 3,
        "rescale_factor": 1 / 255,
        "temporal_patch_size": 1,
    }
    files = {
        "preprocessor_config.json": {
            **pixels,
            "image_processor_type": "VideoLlama3ImageProcessor",
            "merge_size": 1,
            "size": {"shortest_edge": IMAGE_SIZE**2, "longest_edge": 4 * IMAGE_SIZE**2},
        },
        "video_preprocessor_config.json": {
            **pixels,
            # of all frames together: at 8 frames each has IMAGE_SIZE squared
            "size": {"shortest_edge": 2 * PATCH_SIZE**2, "longest_edge": 8 * IMAGE_SIZE**2},
            "use_token_compression": True,
            "video_processor_type": "VideoLlama3VideoProcessor",
        },
        "processor_config.json": {"processor_class": "VideoLlama3Processor"},
    }
    return _written(directory, "VideoLlama3", config, text, tokenizer, files, seed, dtype)


BUILDERS: dict[str, Callable[..., TinyPair]] = {
    "llava_next_video": _llava_next_video,
    "video_llava": _video_llava,
    "internvl": internvl_pair,
    "video_llama_3": _video_llama_3,
}


_BACKBONES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def _written(
    directory: Path,
    name: str,
    config: PreTrainedConfig,
    text: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    files: dict[str, dict[str, Any]],
    seed: int,
    dtype: str,
) -> TinyPair:
    """Both models with their files; `name` is the prefix of the VLM's class."""
    pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
    vlm_class = getattr(transformers, f"{name}ForConditionalGeneration")
    backbone_class = getattr(transformers, _BACKBONES[text.model_type])
    save_model(drawn(vlm_class, config, seed), pair.vlm, dtype)
    save_model(drawn(backbone_class, text, seed + 1), pair.backbone, dtype)
    tokenizer.save_pretrained(pair.vlm)
    for file, content in files.items():
        (pair.vlm / file).write_text(json.dumps(content, indent=2))
    tokenizer.chat_template = None
    tokenizer.save_pretrained(pair.backbone)
    return pair


def _llama_config(tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    """Vicuna's: as many key-value heads as heads, no biases, an output embedding of its own."""
    return LlamaConfig(
        **_TEXT,
        vocab_size=_n_rows(tokenizer),
        num_key_value_heads=4,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=_id(tokenizer, "<pad>"),
    )


def _qwen_config(
    text_class: type[PreTrainedConfig],
    tokenizer: PreTrainedTokenizerBase,
    *,
    tie_word_embeddings: bool,
) -> PreTrainedConfig:
    return text_class(
        **_TEXT,
        vocab_size=_n_rows(tokenizer),
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=tie_word_embeddings,
        bos_token_id=None,
        eos_token_id=_id(tokenizer, "<|im_end|>"),
        pad_token_id=_id(tokenizer, "<|endoftext|>"),
    )


def _n_rows(tokenizer: PreTrainedTokenizerBase) -> int:
    """More rows than the tokenizer has tokens, as real checkpoints have."""
    return len(tokenizer) // 32 * 32 + 64


def _id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    token_id = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(token_id, int)
    return token_id


def _llama_tokenizer(**settings: Any) -> LlamaTokenizer:
    """Pieces with a mark for the space before a word, bytes for the rest; adds <s>."""
    marks = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    vocab, merges = _trained(marks, sorted({*"".join(_CORPUS), "▁"} - {" "}))
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *vocab]
    return LlamaTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=merges,
        add_bos_token=True,
        pad_token="<pad>",
        padding_side="left",
        model_max_length=1024,
        **settings,
    )


def _qwen_tokenizer(**special_tokens: str) -> Qwen2Tokenizer:
    """Byte-level BPE; the chat's tokens and those named here are special."""
    bytes_of_words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocab, merges = _trained(bytes_of_words, sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Qwen2Tokenizer(
        vocab={token: number for number, token in enumerate(vocab)},
        merges=merges,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=special_tokens,
        padding_side="left",
        model_max_length=1024,
    )
    tokenizer.add_tokens([AddedToken("<|im_start|>", special=True)])
    return tokenizer


def _trained(
    pre_tokenizer: pre_tokenizers.PreTokenizer, alphabet: list[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens in the order of their ids, and the merges."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 120, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(_CORPUS, trainer)
    model = json.loads(backend.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), [
        (left, right) for left, right in model["merges"]
    ]
