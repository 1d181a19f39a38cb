"""Tiny checkpoints of every VLM family with a backbone that pairs, written by one function.

    pair = tiny_family_pair("qwen2_5_vl", tmp_path)
    vlm = load_vlm(pair.vlm)

transformers' own classes with tiny configs and random weights, and files as on the hub; four text
layers of width 32 each. `FAMILIES` names those that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.tiny_families import images, llava, qwen
from tests.tiny_models import TinyPair, tiny_backbone, tiny_vlm

Builder = Callable[..., TinyPair]
"""(directory, *, seed, dtype) -> the pair below it."""


def _llava_onevision(directory: Path, *, seed: int, dtype: str) -> TinyPair:
    return TinyPair(
        vlm=tiny_vlm(directory / "vlm", seed=seed, dtype=dtype),
        backbone=tiny_backbone(directory / "backbone", seed=seed + 1, dtype=dtype),
    )


BUILDERS: dict[str, Builder] = {
    "llava_onevision": _llava_onevision,
    **images.BUILDERS,
    **llava.BUILDERS,
    **qwen.BUILDERS,
}

FAMILIES: tuple[str, ...] = tuple(BUILDERS)


def tiny_family_pair(
    name: str, directory: Path, *, seed: int = 0, dtype: str = "float32"
) -> TinyPair:
    """Write `vlm/` and `backbone/` of one family below a directory.

    Args:
        name: `model_type` of the VLM.
        directory: Where to; made if missing.
        seed: Of the VLM's weights; the backbone has others.
        dtype: Of the stored weights.
    """
    return BUILDERS[name](directory, seed=seed, dtype=dtype)
