"""Pixels of LLaVA-NeXT-Video, Video-LLaVA (frames cut to their middle) and VideoLLaMA3 (patches).

    features = VideoLlama3Videos.of_directory(directory)(videos=[frames])
    features["video_compression_mask"]     # which of the encoder's vectors become tokens

Written after transformers 5.23, `video_processing_{llava_next_video,video_llava,video_llama_3}.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor
from transformers.image_transforms import get_resize_output_image_size
from transformers.image_utils import ChannelDimension
from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import smart_resize
from transformers.utils.constants import (
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from merit_interp.errors import CheckpointError
from merit_interp.models.torch_qwen import Qwen2Videos
from merit_interp.models.torch_videos import TorchVideoProcessor
from merit_interp.tensor_shapes import Frames, Pixels, ResizedFrames

LEAST_CHANGE = 0.1
"""Mean change of a token's normalised pixels since the frame before, times 255, that keeps it."""


class CroppedVideos(TorchVideoProcessor):
    """Frames resized to a shortest edge, then cut to their middle."""

    size_keys: ClassVar[frozenset[str]] = frozenset({"shortest_edge"})
    crops: ClassVar[bool] = True

    resample: int = Resampling.BICUBIC
    size: Mapping[str, int] = {"shortest_edge": 224}
    crop_size: Mapping[str, int] = {"height": 224, "width": 224}
    do_center_crop: bool = True
    image_mean: Sequence[float] = OPENAI_CLIP_MEAN
    image_std: Sequence[float] = OPENAI_CLIP_STD

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """The shorter side is the shortest edge; the other is rounded down."""
        height, width = get_resize_output_image_size(
            np.empty((height, width, 3), dtype=np.uint8),
            self.size["shortest_edge"],
            default_to_square=False,
            input_data_format=ChannelDimension.LAST,
        )
        return height, width

    def resized(self, frames: Frames) -> ResizedFrames:
        """Frames of the crop's size.

        Raises:
            CheckpointError: The crop is larger than the shortest edge.
        """
        whole = super().resized(frames)
        if not self.do_center_crop:
            return whole
        height, width = self.crop_size["height"], self.crop_size["width"]
        top, left = (whole.shape[1] - height) // 2, (whole.shape[2] - width) // 2
        if min(top, left) < 0:
            raise CheckpointError(
                f"a video processor cuts {height} x {width} out of frames of "
                f"{whole.shape[1]} x {whole.shape[2]}",
                valid="a crop_size within size, or pip install torchvision",
            )
        return whole[:, top : top + height, left : left + width]


class VideoLlama3Videos(Qwen2Videos):
    """No temporal patches, and a limit on the pixels of all frames together.

    Tokens whose pixels changed little since the frame before are dropped: `video_compression_mask`
    is False there. Of each frame one token is kept at least.
    """

    image_mean: Sequence[float] = IMAGENET_STANDARD_MEAN
    image_std: Sequence[float] = IMAGENET_STANDARD_STD
    temporal_patch_size: int = 1
    use_token_compression: bool = True

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """Near the frame's own size, within its share of the limit."""
        height, width = smart_resize(
            height,
            width,
            factor=self.factor,
            min_pixels=self.size["shortest_edge"],
            max_pixels=self.size["longest_edge"] // n_frames,
        )
        return height, width

    def packed(self, videos: Sequence[Pixels]) -> dict[str, Tensor]:
        """Patches and grids, and of every token whether it is kept."""
        features = super().packed(videos)
        grids = features["video_grid_thw"]
        tables = torch.split(features["pixel_values_videos"], grids.prod(dim=1).tolist())
        kept = [
            self._kept(table.reshape(grid[0], -1, self.merge_size**2 * table.shape[1]))
            for table, grid in zip(tables, grids.tolist(), strict=True)
        ]
        return {
            **features,
            "video_merge_sizes": torch.full((len(grids),), self.merge_size),
            "video_compression_mask": torch.cat([mask.flatten() for mask in kept]),
        }

    def _kept(self, tokens: Tensor) -> Tensor:
        """(frames, tokens) from the pixels of each token, (frames, tokens, values)."""
        kept = torch.ones(tokens.shape[:2], dtype=torch.bool)
        if self.use_token_compression:
            kept[1:] = (tokens[1:] - tokens[:-1]).abs().mean(dim=-1) * 255 > LEAST_CHANGE
            kept[~kept.any(dim=1), 0] = True
        return kept
