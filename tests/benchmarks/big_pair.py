"""A pair of several GB on disk: Qwen2.5-VL-7B's own config and shapes, with fewer layers.

    pair = big_pair(Path("/tmp/big"), BIG)    # or: python -m tests.benchmarks.big_pair /tmp/big

Shards are written tensor by tensor, a few MB at a time, so that no model is ever in memory. Values
are drawn from a seeded pool: equal seeds give equal files; the VLM is its backbone moved by a tenth
of the weights' own size. Key names are those on the hub.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from tests.tiny_models import TinyPair, tiny_tokenizer

SHARD_BYTES = 10**9
POOL = 2**22
"""Values drawn for all tensors together; 8 MiB of bfloat16."""
BF16_BYTES = 2


@dataclass(frozen=True)
class Size:
    """What of the published model is built."""

    layers: int
    blocks: int
    """Of the vision tower."""
    text: Mapping[str, int]
    vision: Mapping[str, int]

    @property
    def vlm(self) -> Qwen2_5_VLConfig:
        return Qwen2_5_VLConfig(
            text_config={
                **self.text,
                "num_hidden_layers": self.layers,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1e6,
                    "mrope_section": [
                        self.head_dim // 8,
                        3 * self.head_dim // 16,
                        3 * self.head_dim // 16,
                    ],
                },
            },
            vision_config={
                **self.vision,
                "depth": self.blocks,
                "fullatt_block_indexes": [self.blocks - 1],
                "out_hidden_size": self.text["hidden_size"],
            },
            tie_word_embeddings=False,
        )

    @property
    def backbone(self) -> Qwen2Config:
        return Qwen2Config(**self.text, num_hidden_layers=self.layers, tie_word_embeddings=False)

    @property
    def head_dim(self) -> int:
        return self.text["hidden_size"] // self.text["num_attention_heads"]


BIG = Size(
    layers=6,
    blocks=4,
    text={
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
    },
    vision={"hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16},
)
"""Widths of Qwen2.5-VL-7B-Instruct: 5.2 GB a VLM, its largest tensors 1.09 GB each."""

SMALL = Size(
    layers=2,
    blocks=1,
    text={
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 416,
        "max_position_embeddings": 1024,
    },
    vision={"hidden_size": 32, "intermediate_size": 48, "num_heads": 2},
)
"""The same in tiny, which loads in a test."""


def big_pair(
    directory: Path, size: Size, *, seed: int = 0, shard_bytes: int = SHARD_BYTES
) -> TinyPair:
    """Write `vlm/` and `backbone/` below a directory.

    Args:
        directory: Where to; made if missing.
        size: What is built.
        seed: Of the values.
        shard_bytes: Most bytes of a shard, unless one tensor is larger.
    """
    pair = TinyPair(vlm=directory / "vlm", backbone=directory / "backbone")
    draw = _Draw(seed)
    _write(pair.vlm, Qwen2_5_VLForConditionalGeneration, size.vlm, draw, 0.1, shard_bytes)
    _write(pair.backbone, Qwen2ForCausalLM, size.backbone, draw, 0.0, shard_bytes)
    return pair


class _Draw:
    """Seeded values of any tensor, block by block."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.weights, self.moves = torch.randn(2, POOL, generator=generator) * 0.02

    def blocks(self, name: str, n_values: int, moved: float) -> Iterator[torch.Tensor]:
        for start in range(0, n_values, POOL):
            turn = zlib.crc32(f"{name} {start}".encode()) % POOL
            values = self.weights.roll(turn) + moved * self.moves.roll(turn // 2)
            yield values[: n_values - start].bfloat16()


def _write(
    directory: Path,
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    draw: _Draw,
    moved: float,
    shard_bytes: int,
) -> None:
    directory.mkdir(parents=True)
    with torch.device("meta"):
        model = model_class(config)
    tensors = {_on_disk(name): tuple(t.shape) for name, t in model.state_dict().items()}
    shards = _shards(tensors, shard_bytes)
    index: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        _write_shard(directory / file, {name: tensors[name] for name in names}, draw, moved)
        index |= dict.fromkeys(names, file)
    total = sum(map(_n_bytes, tensors.values()))
    (directory / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
    )
    config.architectures = [model_class.__name__]
    config.dtype = "bfloat16"
    config.save_pretrained(directory)
    tiny_tokenizer().save_pretrained(directory)


def _on_disk(name: str) -> str:
    """The hub's name of a tensor."""
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def _n_bytes(shape: tuple[int, ...]) -> int:
    return BF16_BYTES * torch.Size(shape).numel()


def _shards(tensors: Mapping[str, tuple[int, ...]], most: int) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in tensors.items():
        if shards[-1] and filled + _n_bytes(shape) > most:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += _n_bytes(shape)
    return shards


def _write_shard(
    path: Path, tensors: Mapping[str, tuple[int, ...]], draw: _Draw, moved: float
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + _n_bytes(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors.items():
            for block in draw.blocks(name, torch.Size(shape).numel(), moved):
                file.write(block.view(torch.uint8).numpy().data)


if __name__ == "__main__":
    print(big_pair(Path(sys.argv[1]), BIG))
