"""Tiny pairs of the families whose frames are images: SmolVLM, Gemma 3 and Gemma 4.

A frame is 4 visual tokens in SmolVLM and Gemma 3. In Gemma 4 it is 64, for its processor allows no
fewer than "at most 70" (of a square frame 8 x 8). Its text layers are those of the E2B and E4B
models in small: full-attention layers with larger heads, the last two layers on the keys and values
of the first two, per-layer inputs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    GemmaTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from tests.tiny_models import CORPUS, N_LAYERS, TinyPair, drawn, save_model

TEXT: dict[str, Any] = {
    "vocab_size": 448,  # more rows than the tokenizers have tokens, as real checkpoints do
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
PIXELS: dict[str, Any] = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "rescale_factor": 1 / 255,
}


def _write(directory: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content, indent=2))


# SmolVLM2: no video token, so its chat template's `<video>` is plain text

SMOLVLM_SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<image>",
    "<global-img>", "<row_1_col_1>", "<end_of_utterance>",
]  # fmt: skip
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}"
    "{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}"
    "{% elif line['type'] == 'video' %}{{ '<video>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


SMOLLM_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _smolvlm_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE that splits digits, as SmolLM2's."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SMOLVLM_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # line breaks and spaces that merge with what stands beside a video
    corpus = [*CORPUS, "User: You are provided\n\nFrame from Assistant: User: You are\n\nWhich"]
    backend.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        extra_special_tokens={
            "end_of_utterance_token": "<end_of_utterance>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "image_token": "<image>",
        },
        model_max_length=2048,
        padding_side="left",
    )
    tokenizer.chat_template = SMOLVLM_TEMPLATE
    return tokenizer


def smolvlm(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    """Llama under a SigLIP-like tower of 4 x 4 patches, four of them to a token; untied head."""
    pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
    ids = {name: SMOLVLM_SPECIAL.index(name) for name in SMOLVLM_SPECIAL}
    text = LlamaConfig(
        **TEXT,
        tie_word_embeddings=False,
        pad_token_id=ids["<|im_end|>"],
        bos_token_id=ids["<|im_start|>"],
        eos_token_id=ids["<end_of_utterance>"],
    )
    config = SmolVLMConfig(
        text_config=text,
        vision_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 32, "patch_size": 8,
        },
        image_token_id=ids["<image>"],
        scale_factor=2,
        pad_token_id=ids["<|im_end|>"],
    )  # fmt: skip
    save_model(drawn(SmolVLMForConditionalGeneration, config, seed), pair.vlm, dtype)
    save_model(drawn(LlamaForCausalLM, text, seed + 1), pair.backbone, dtype)
    tokenizer = _smolvlm_tokenizer()
    tokenizer.save_pretrained(pair.vlm)
    tokenizer.chat_template = SMOLLM_TEMPLATE
    tokenizer.save_pretrained(pair.backbone)
    frames = {
        **PIXELS,
        **HALF,
        "do_pad": True,
        "max_image_size": {"longest_edge": 32},
        "processor_class": "SmolVLMProcessor",
        "resample": 1,
        "size": {"longest_edge": 64},
    }
    _write(
        pair.vlm,
        {
            "preprocessor_config.json": {
                **frames,
                "do_image_splitting": True,
                "image_processor_type": "SmolVLMImageProcessor",
                "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 32}},
            },
            "video_preprocessor_config.json": {
                **frames,
                "size": {"longest_edge": 32},
                "video_processor_type": "SmolVLMVideoProcessor",
                "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 32}},
            },
            "processor_config.json": {"image_seq_len": 4, "processor_class": "SmolVLMProcessor"},
        },
    )
    return pair


# Gemma

GEMMA_FIRST = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
GEMMA3_SPECIAL = [
    "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>",
]  # fmt: skip
GEMMA4_SPECIAL = [
    "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>",
    "<|video|>",
]  # fmt: skip


def _gemma_template(start: str, end: str, video: str, image: str) -> str:
    return (
        "{{ bos_token }}{% for message in messages %}"
        "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        f"{{{{ '{start}' + role + '\n' }}}}"
        "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
        "{% for item in message['content'] %}"
        f"{{% if item['type'] == 'image' %}}{{{{ '{image}' }}}}"
        f"{{% elif item['type'] == 'video' %}}{{{{ '{video}' }}}}"
        "{% elif item['type'] == 'text' %}{{ item['text'] | trim }}{% endif %}"
        "{% endfor %}{% endif %}"
        f"{{{{ '{end}\n' }}}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{{{{ '{start}model\n' }}}}{{% endif %}}"
    )


def _gemma_tokenizer(special: list[str], names: Mapping[str, str], template: str) -> GemmaTokenizer:
    """BPE over characters with spaces as `▁` and bytes for what is unknown, as Gemma's."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=120,
        initial_alphabet=[*map(chr, range(33, 127)), "▁", "\n"],
        show_progress=False,
    )
    backend.train_from_iterator([*CORPUS, "a\n\nb\n\n\nc 00:01"], trainer)
    learned = json.loads(backend.to_str())["model"]
    tokens = [
        *GEMMA_FIRST,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *learned["vocab"],
        *special,
    ]
    tokenizer = GemmaTokenizer(
        vocab={token: number for number, token in enumerate(tokens)},
        merges=[tuple(merge) for merge in learned["merges"]],
        extra_special_tokens=dict(names),
        model_max_length=2048,
    )
    tokenizer.add_tokens(special, special_tokens=True)
    tokenizer.chat_template = template
    return tokenizer


def gemma3(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    """Gemma 3 over a SigLIP tower of 4 x 4 patches, pooled to 2 x 2; every other layer slides."""
    pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
    tokenizer = _gemma_tokenizer(
        GEMMA3_SPECIAL,
        {
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
        _gemma_template("<start_of_turn>", "<end_of_turn>", "<video>", "<start_of_image>"),
    )
    text = Gemma3TextConfig(
        **TEXT,
        query_pre_attn_scalar=8,
        sliding_window=24,
        layer_types=["sliding_attention", "full_attention"] * (N_LAYERS // 2),
    )
    config = Gemma3Config(
        text_config=text,
        vision_config=SiglipVisionConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            vision_use_head=False,
        ),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id,
    )
    save_model(drawn(Gemma3ForConditionalGeneration, config, seed), pair.vlm, dtype)
    save_model(drawn(Gemma3ForCausalLM, text, seed + 1), pair.backbone, dtype)
    for side in (pair.vlm, pair.backbone):
        tokenizer.save_pretrained(side)
    _write(
        pair.vlm,
        {
            "preprocessor_config.json": {
                **PIXELS,
                **HALF,
                "do_pan_and_scan": None,
                "image_processor_type": "Gemma3ImageProcessor",
                "image_seq_length": 4,
                "processor_class": "Gemma3Processor",
                "resample": 2,
                "size": {"height": 32, "width": 32},
            },
            "processor_config.json": {
                "image_seq_length": 4,
                "processor_class": "Gemma3Processor",
            },
        },
    )
    return pair


def gemma4_text_config(**changes: Any) -> Gemma4TextConfig:
    """Sliding and full attention in turn; the last two layers take the first two's keys, values."""
    settings: dict[str, Any] = {
        **TEXT,
        "global_head_dim": 16,
        "sliding_window": 96,
        "layer_types": ["sliding_attention", "full_attention"] * (N_LAYERS // 2),
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 4,
        "vocab_size_per_layer_input": TEXT["vocab_size"],
        "final_logit_softcapping": 30.0,
    }
    return Gemma4TextConfig(**{**settings, **changes})


def _scaled(model_class: Any, config: Any, seed: int) -> PreTrainedModel:
    """A drawn model whose layers' scalars, which are buffers, are drawn too."""
    model = drawn(model_class, config, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("layer_scalar"):
            buffer.uniform_(0.7, 1.3, generator=generator)
    return model


def gemma4(directory: Path, *, seed: int, dtype: str, **text_changes: Any) -> TinyPair:
    """Gemma 4 without an audio tower.

    Args:
        directory: Where to.
        seed: Of the VLM's weights.
        dtype: Of the stored weights.
        text_changes: Fields of both sides' text config that differ.
    """
    pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
    tokenizer = _gemma_tokenizer(
        GEMMA4_SPECIAL,
        {
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "image_token": "<|image|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
            "audio_token": "<|audio|>",
        },
        _gemma_template("<|turn>", "<turn|>", "\n\n<|video|>\n\n", "\n\n<|image|>\n\n"),
    )
    text = gemma4_text_config(**text_changes)
    config = Gemma4Config(
        text_config=text,
        vision_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "patch_size": 2,
            "pooling_kernel_size": 3, "position_embedding_size": 64,
        },
        audio_config=None,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        boa_token_id=tokenizer.boa_token_id,
        eoa_token_index=tokenizer.eoa_token_id,
        audio_token_id=tokenizer.audio_token_id,
    )  # fmt: skip
    save_model(_scaled(Gemma4ForConditionalGeneration, config, seed), pair.vlm, dtype)
    save_model(_scaled(Gemma4ForCausalLM, text, seed + 1), pair.backbone, dtype)
    for side in (pair.vlm, pair.backbone):
        tokenizer.save_pretrained(side)
    frames = {
        **PIXELS,
        "image_mean": [0.0, 0.0, 0.0],
        "image_std": [1.0, 1.0, 1.0],
        "max_soft_tokens": 70,
        "patch_size": 2,
        "pooling_kernel_size": 3,
        "processor_class": "Gemma4Processor",
        "resample": 3,
    }
    _write(
        pair.vlm,
        {
            "preprocessor_config.json": {
                **frames,
                "image_processor_type": "Gemma4ImageProcessor",
                "feature_extractor_type": "Gemma4AudioFeatureExtractor",
            },
            "video_preprocessor_config.json": {
                **frames,
                "video_processor_type": "Gemma4VideoProcessor",
            },
            "processor_config.json": {
                "image_seq_length": 70,
                "processor_class": "Gemma4Processor",
            },
        },
    )
    return pair


BUILDERS: dict[str, Callable[..., TinyPair]] = {
    "smolvlm": smolvlm,
    "gemma3": gemma3,
    "gemma4": gemma4,
}
