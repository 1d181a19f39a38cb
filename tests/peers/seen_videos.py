"""What processors make of a few clips, as arrays in one file, with torchvision or without.

    python -m tests.peers.seen_videos TORCHVISION OUT.npz DIRECTORY...

Whether transformers finds torchvision is settled when it is imported, so the side with it is a
process of its own.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

CLIPS = {
    "wide": (8, 48, 64),
    "odd": (5, 64, 32),
    "large": (6, 270, 480),
    "long": (16, 90, 120),
    "one": (1, 40, 56),
}
"""Frames, height and width."""
_KEPT: list[Any] = []
SETTINGS = (
    "size", "image_mean", "image_std", "resample", "rescale_factor", "patch_size",
    "temporal_patch_size", "merge_size", "max_video_tokens", "cap_pixels_per_frame",
)  # fmt: skip
"""What files may leave out, so that the class says it."""
QUESTION = "What comes right after the circle?\nA. the square\nB. the star"


def frames_of(name: str) -> np.ndarray:
    """Smooth colours with noise and sharp edges, where ways to resize differ most."""
    n, height, width = CLIPS[name]
    random = np.random.default_rng(len(name))
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin((rows + i * columns) / (7 + i)) for i in range(3)]
    frames = 128 + 80 * np.stack(waves, axis=-1) + random.normal(0, 25, (n, height, width, 3))
    frames[:, height // 3 : height // 2, width // 3 : width // 2] = (250, 5, 40)
    return frames.clip(0, 255).astype(np.uint8)


def seen(directory: Path) -> dict[str, np.ndarray]:
    """Prompt tokens and what the forward takes of each clip, by `clip name`."""
    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.models.families import vlm_family
    from merit_interp.models.processors import Clip, video_processor_for
    from merit_interp.models.tokenizers import token_ids

    family = vlm_family(Checkpoint.open(directory).config)
    processor = video_processor_for(directory, family)
    arrays = {"route": np.array(processor.route), "std": np.array(image_std(processor.processor))}
    for name, (n, *_) in CLIPS.items():
        indices = tuple(range(1, 7 * n + 1, 7))
        video = processor.see(frames_of(name), Clip(indices, 29.97, 7 * n + 3, (7 * n + 3) / 29.97))
        (ids,) = token_ids(processor.tokenizer, [processor.prompt(QUESTION, video)])
        ids, token_inputs = processor.expanded(ids, video)
        arrays |= {f"{name} ids": np.array(ids)}
        arrays |= {f"{name} {key}": np.array(token_inputs[key]) for key in family.token_inputs}
        arrays |= {f"{name} {key}": video.inputs[key].numpy() for key in family.video_inputs}
    return arrays


def image_std(processor: Any) -> Sequence[float]:
    """What pixels were divided by."""
    parts = [getattr(processor, name, None) for name in ("video_processor", "image_processor")]
    std: Sequence[float] = next(part for part in parts if part is not None).image_std
    return std


def plain(value: Any) -> Any:
    """A setting as JSON has it; an empty one is none."""
    return list(value) if isinstance(value, tuple) else value or None


def differing_defaults() -> dict[str, str]:
    """Class attributes on torch alone that are not those of the family's own class."""
    import transformers
    from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING_NAMES

    from merit_interp.models.processors import TORCH_VIDEO_PROCESSORS

    found = {}
    for family, videos in TORCH_VIDEO_PROCESSORS.items():
        own = getattr(transformers, VIDEO_PROCESSOR_MAPPING_NAMES[family]["torchvision"])
        for name in SETTINGS:
            if hasattr(videos, name) and hasattr(own, name):
                ours, theirs = (plain(getattr(side, name)) for side in (videos, own))
                if ours != theirs:
                    found[f"{family}.{name}"] = f"{ours}, not {theirs}"
    return found


def use_torchvision(directory: Path) -> None:
    """Let this process find a torchvision built for another torch; only its resizing is used."""
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    sys.path.append(str(directory))
    _KEPT.append(operators)


def save(path: Path, checkpoints: Mapping[str, Path]) -> None:
    """One file with the arrays of every checkpoint."""
    arrays = {
        f"{family} {name}": value
        for family, directory in checkpoints.items()
        for name, value in seen(directory).items()
    }
    np.savez(path, **arrays)


def save_again(directory: Path) -> None:
    """Processor files as transformers itself saves them, in `saved/` beside the checkpoint."""
    from transformers import AutoProcessor

    saved = directory.parent / "saved"
    shutil.copytree(directory, saved)
    for file in [*saved.glob("*processor_config.json"), *saved.glob("chat_template.*")]:
        file.unlink()
    AutoProcessor.from_pretrained(directory).save_pretrained(saved)


if __name__ == "__main__":
    use_torchvision(Path(sys.argv[1]))
    directories = [Path(name) for name in sys.argv[3:]]
    save(Path(sys.argv[2]), {directory.parent.name: directory for directory in directories})
    for directory in directories:
        save_again(directory)
    print(json.dumps(differing_defaults()))
