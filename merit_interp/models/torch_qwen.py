"""Pixels of the families that pack patches: Qwen2-VL, Qwen2.5-VL, Qwen3-VL, GLM-4V.

    features = Qwen2Videos.of_directory(directory)(videos=[frames])
    features["pixel_values_videos"]     # (patches, 3 * temporal patch * patch * patch)
    features["video_grid_thw"]          # (videos, 3): temporal patches, rows, columns of patches

The size of a frame follows from its own and the checkpoint's limits (`smart_resize`, transformers'
own). Time is the slowest axis of the patches; an odd last frame fills its temporal patch twice.
Written after transformers 5.23, `video_processing_{qwen2_vl,qwen3_vl,glm4v}.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from PIL.Image import Resampling
from torch import Tensor
from transformers.models.glm4v.image_processing_pil_glm4v import smart_resize as resized_video
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as resized_frame
from transformers.utils.constants import (
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from merit_interp.models.torch_videos import TorchVideoProcessor
from merit_interp.tensor_shapes import Pixels


class PackedVideos(TorchVideoProcessor):
    """Frames cut into patches, patches of neighbouring frames joined, all in one flat table."""

    size_keys: ClassVar[frozenset[str]] = frozenset({"shortest_edge", "longest_edge"})

    resample: int = Resampling.BICUBIC
    patch_size: int
    temporal_patch_size: int = 2
    merge_size: int = 2
    max_video_tokens: int
    cap_pixels_per_frame: bool | None = None

    @property
    def factor(self) -> int:
        """Pixels of the side of a visual token: frames are multiples of it."""
        return self.patch_size * self.merge_size

    def packed(self, videos: Sequence[Pixels]) -> dict[str, Tensor]:
        """Patches of all videos, and the grid of each."""
        tables, grids = zip(*(self._patches(video) for video in videos), strict=True)
        return {"pixel_values_videos": torch.cat(tables), "video_grid_thw": torch.tensor(grids)}

    def _patches(self, video: Pixels) -> tuple[Tensor, tuple[int, int, int]]:
        if missing := -len(video) % self.temporal_patch_size:
            video = torch.cat([video, video[-1:].expand(missing, -1, -1, -1)])
        frames, channels, height, width = video.shape
        grid = (
            frames // self.temporal_patch_size,
            height // self.patch_size,
            width // self.patch_size,
        )
        blocks = video.reshape(
            grid[0], self.temporal_patch_size, channels,
            grid[1] // self.merge_size, self.merge_size, self.patch_size,
            grid[2] // self.merge_size, self.merge_size, self.patch_size,
        )  # fmt: skip
        # patches that become one visual token are neighbours
        ordered = blocks.permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
        return ordered.reshape(grid[0] * grid[1] * grid[2], -1), grid


class Qwen2Videos(PackedVideos):
    """Limits on the pixels of one frame."""

    size: Mapping[str, int] = {"shortest_edge": 128 * 28 * 28, "longest_edge": 28 * 28 * 768}
    image_mean: Sequence[float] = OPENAI_CLIP_MEAN
    image_std: Sequence[float] = OPENAI_CLIP_STD
    patch_size: int = 14
    max_video_tokens: int = 128000

    def __init__(self, **settings: Any) -> None:
        # older files name the limits themselves
        named = {"shortest_edge": "min_pixels", "longest_edge": "max_pixels"}
        size = dict(settings.pop("size", None) or self.size)
        for key, name in named.items():
            if (limit := settings.pop(name, None)) is not None:
                size[key] = limit
                size.pop(name, None)
        super().__init__(size=size, **settings)

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """Near the frame's own size, within the limits."""
        least, most = self.size["shortest_edge"], self.size["longest_edge"]
        if self.cap_pixels_per_frame:
            budget = int(self.max_video_tokens * self.factor**2 * 0.9)
            most = max(min(most, budget * self.temporal_patch_size // n_frames), int(least * 1.05))
        resized: tuple[int, int] = resized_frame(height, width, self.factor, least, most)
        return resized


class Glm4vVideos(PackedVideos):
    """Limits on the pixels of all frames together."""

    size: Mapping[str, int] = {"shortest_edge": 112 * 112, "longest_edge": 28 * 28 * 2 * 30000}
    image_mean: Sequence[float] = OPENAI_CLIP_MEAN
    image_std: Sequence[float] = OPENAI_CLIP_STD
    patch_size: int = 14

    def most_pixels(self, n_frames: int) -> int:
        """Most pixels of a video."""
        return self.size["longest_edge"]

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """Near the frames' own size, within the limits."""
        resized: tuple[int, int] = resized_video(
            n_frames,
            height,
            width,
            temporal_factor=self.temporal_patch_size,
            factor=self.factor,
            min_pixels=self.size["shortest_edge"],
            max_pixels=self.most_pixels(n_frames),
        )
        return resized


class Qwen3Videos(Glm4vVideos):
    """Limits on the pixels of all frames together, and on request on each frame's."""

    size: Mapping[str, int] = {"shortest_edge": 128 * 32 * 32, "longest_edge": 32 * 32 * 768}
    image_mean: Sequence[float] = IMAGENET_STANDARD_MEAN
    image_std: Sequence[float] = IMAGENET_STANDARD_STD
    patch_size: int = 16
    max_video_tokens: int = 768

    def most_pixels(self, n_frames: int) -> int:
        """Most pixels of a video."""
        most = self.size["longest_edge"]
        if not self.cap_pixels_per_frame:
            return most
        a_frame = min(self.max_video_tokens * self.factor**2, most // n_frames)
        return max(a_frame, int(self.size["shortest_edge"] * 1.05)) * n_frames
