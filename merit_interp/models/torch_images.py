"""Pixels of the families that see a video as images in one table: SmolVLM and Gemma 4.

    features = SmolVlmVideos.of_directory(directory)(videos=[frames])
    features["pixel_values"]            # (videos, frames, 3, side, side)

Written after transformers 5.23, `video_processing_{smolvlm,gemma4}.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from PIL.Image import Resampling
from torch import Tensor
from transformers.models.gemma4.image_processing_pil_gemma4 import get_aspect_ratio_preserving_size
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.video_processing_smolvlm import get_resize_output_image_size
from transformers.utils import import_utils
from transformers.utils.constants import IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD

from merit_interp.models.torch_videos import TorchVideoProcessor
from merit_interp.tensor_shapes import Frames, Pixels, ResizedFrames

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number_in_words(number: int) -> str:
    """A number below a thousand million in English words, as the package num2words writes it."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens] + (f"-{_UNITS[rest]}" if rest else "")
    size, name = next(
        (size, name)
        for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred"))
        if number >= size
    )
    times, rest = divmod(number, size)
    words = f"{number_in_words(times)} {name}"
    if not rest:
        return words
    return f"{words}{' and' if rest < 100 else ','} {number_in_words(rest)}"


# SmolVLM's processor writes how many frames there are in words, and refuses to exist without the
# package num2words, of which it needs nothing else
if not import_utils.is_num2words_available():
    processing_smolvlm.num2words = number_in_words  # type: ignore[attr-defined]


class SmolVlmVideos(TorchVideoProcessor):
    """Frames resized to a longest edge, then to a square, whatever their shape."""

    size_keys: ClassVar[frozenset[str]] = frozenset({"longest_edge"})

    resample: int = Resampling.LANCZOS
    size: Mapping[str, int] = {"longest_edge": 4 * 364}
    max_image_size: Mapping[str, int] = {"longest_edge": 364}
    image_mean: Sequence[float] = IMAGENET_STANDARD_MEAN
    image_std: Sequence[float] = IMAGENET_STANDARD_STD
    num_frames: int | None = None
    fps: float | None = None

    def __init__(self, **settings: Any) -> None:
        # older files keep the size of a video's frames beside how it was to be sampled
        sampling = settings.get("video_sampling") or {}
        if "video_size" in sampling:
            settings.setdefault("size", sampling["video_size"])
        super().__init__(**settings)

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """The longer side is the longest edge; what comes after it is a square."""
        shape = torch.empty(height, width, device="meta")
        height, width = get_resize_output_image_size(shape, self.size["longest_edge"])
        return height, width

    def resized(self, frames: Frames) -> ResizedFrames:
        """Two steps, each rounded, as the family does it."""
        side = self.max_image_size["longest_edge"]
        return self.resized_to(super().resized(frames), side, side)

    def packed(self, videos: Sequence[Pixels]) -> dict[str, Tensor]:
        """Every frame is of one size, so nothing is padded and no pixel needs a mask."""
        return {"pixel_values": torch.stack(list(videos))}


class Gemma4Videos(TorchVideoProcessor):
    """Patches of each frame, padded to the most that a frame may have, and where each one lies."""

    needed: ClassVar[tuple[str, ...]] = ("image_mean", "image_std", "resample", "rescale_factor")
    size_keys: ClassVar[frozenset[str]] = frozenset()

    resample: int = Resampling.BICUBIC
    size: Mapping[str, int] = {}
    image_mean: Sequence[float] = (0.0, 0.0, 0.0)
    image_std: Sequence[float] = (1.0, 1.0, 1.0)
    patch_size: int = 16
    max_soft_tokens: int = 70
    pooling_kernel_size: int = 3

    def __init__(self, **settings: Any) -> None:
        settings.pop("size", None)  # the class has it, and ignores it
        super().__init__(**settings)

    @property
    def most_patches(self) -> int:
        """Patches of a frame with padding."""
        return self.max_soft_tokens * self.pooling_kernel_size**2

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """As many patches as a frame may have, at nearly its own aspect ratio."""
        resized: tuple[int, int] = get_aspect_ratio_preserving_size(
            height, width, self.patch_size, self.most_patches, self.pooling_kernel_size
        )
        return resized

    def packed(self, videos: Sequence[Pixels]) -> dict[str, Tensor]:
        """Frames of all videos one after the other."""
        patches, places = zip(*(self._patches(video) for video in videos), strict=True)
        tokens = [int((place[0, :, 0] >= 0).sum()) for place in places]
        return {
            "pixel_values_videos": torch.cat(patches),
            "video_position_ids": torch.cat(places),
            "num_frames_per_video": torch.tensor([len(video) for video in videos]),
            "num_soft_tokens_per_video": torch.tensor(
                [count // self.pooling_kernel_size**2 for count in tokens]
            ),
        }

    def _patches(self, video: Pixels) -> tuple[Tensor, Tensor]:
        frames, channels, height, width = video.shape
        rows, columns = height // self.patch_size, width // self.patch_size
        patches = (
            video.reshape(frames, channels, rows, self.patch_size, columns, self.patch_size)
            .permute(0, 2, 4, 3, 5, 1)
            .reshape(frames, rows * columns, -1)
        )
        grid = torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy")
        places = torch.stack(grid, dim=-1).reshape(1, -1, 2).repeat(frames, 1, 1)
        padding = (0, 0, 0, self.most_patches - rows * columns)
        return (
            torch.nn.functional.pad(patches, padding),
            torch.nn.functional.pad(places, padding, value=-1),
        )
