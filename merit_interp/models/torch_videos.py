"""Videos as pixels without torchvision: what transformers' video processors do, on torch alone.

    videos = TorchVideoProcessor.of_directory(vlm.directory)
    features = videos(videos=[frames])          # "pixel_values_videos": (1, frames, 3, h, w)

Each family's own class needs torchvision; a class here stands in for it with the same settings, the
same defaults and the same outputs, bit for bit (`tests/peers/test_torchvision_parity.py`). A family
that resizes or packs otherwise is a subclass in a file of its own (`torch_qwen`). This file must
not know models, prompts or how frames were chosen: nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from PIL.Image import Resampling
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import BatchFeature
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from merit_interp.errors import CheckpointError
from merit_interp.tensor_shapes import Frames, Pixels, ResizedFrames

FILTERS: Mapping[int, str] = MappingProxyType(
    {
        Resampling.BICUBIC: "bicubic",
        Resampling.BILINEAR: "bilinear",
        Resampling.LANCZOS: "lanczos",
    }
)
"""Names that torch has for Pillow's filters, whose numbers the files hold."""


class TorchVideoProcessor(VideoProcessorMixin):
    """Resize, rescale and normalise frames, as transformers' own does with torchvision.

    Class attributes of a subclass are the defaults of the family's own class: what the checkpoint's
    files do not say. A subclass says with `target_size` how large frames become and with `packed`
    what the forward takes.
    """

    needed: ClassVar[tuple[str, ...]] = (
        "size", "image_mean", "image_std", "resample", "rescale_factor"
    )  # fmt: skip
    """Settings that files or class must give."""
    size_keys: ClassVar[frozenset[str]] = frozenset({"height", "width"})
    """Keys of `size` that say how large frames become."""
    crops: ClassVar[bool] = False
    """Whether `resized` can cut frames to their middle."""

    resample: int
    size: Mapping[str, int]
    image_mean: Sequence[float]
    image_std: Sequence[float]
    rescale_factor: float

    @classmethod
    def of_directory(cls, directory: Path) -> TorchVideoProcessor:
        """The video processor of a checkpoint's files.

        Raises:
            CheckpointError: A setting is missing, or asks for what is not done here.
        """
        settings, _ = cls.get_video_processor_dict(directory, local_files_only=True)
        made = cls(**settings)
        for name in cls.needed:
            if getattr(made, name, None) is None:
                raise CheckpointError(f"{directory}: the video processor's config has no {name}")
        wrong = [
            name for name in ("do_resize", "do_rescale", "do_normalize")
            if not settings.get(name, True)
        ]  # fmt: skip
        if made.resample not in FILTERS:
            wrong.append("resample")
        if settings.get("do_center_crop") and not cls.crops:
            wrong.append("do_center_crop")
        if wrong or set(made.size) != cls.size_keys:
            raise CheckpointError(
                f"{directory}: its video processor does more or less than resize to a "
                f"{' and '.join(sorted(cls.size_keys))}, rescale and normalise",
                valid="pip install torchvision",
            )
        return made

    def preprocess(
        self,
        videos: Sequence[Frames],
        video_metadata: Sequence[VideoMetadata] | None = None,
        return_metadata: bool = False,
        **_: Any,
    ) -> BatchFeature:
        """What the family's forward takes of the videos, and where asked for their metadata."""
        features = BatchFeature(self.packed([self.pixels(frames) for frames in videos]))
        if return_metadata:
            features["video_metadata"] = video_metadata
        return features

    def target_size(self, n_frames: int, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels that frames are resized to."""
        return self.size["height"], self.size["width"]

    def packed(self, videos: Sequence[Pixels]) -> dict[str, Tensor]:
        """The forward's arguments from each video's (frames, 3, height, width) pixels."""
        return {"pixel_values_videos": torch.stack(list(videos))}

    def pixels(self, frames: Frames) -> Pixels:
        """A video's frames resized and normalised, (frames, 3, height, width) float32."""
        pixels = torch.from_numpy(self.resized(frames)).permute(0, 3, 1, 2).to(torch.float32)
        # one fused step, as transformers does it
        mean = torch.tensor(self.image_mean) * (1.0 / self.rescale_factor)
        std = torch.tensor(self.image_std) * (1.0 / self.rescale_factor)
        return ((pixels - mean[:, None, None]) / std[:, None, None]).contiguous()

    def resized(self, frames: Frames) -> ResizedFrames:
        """Frames of the size that the model takes."""
        height, width = self.target_size(*frames.shape[:3])
        return self.resized_to(frames, height, width)

    def resized_to(self, frames: Frames, height: int, width: int) -> ResizedFrames:
        """Frames of a size, by the settings' filter.

        Raises:
            CheckpointError: This version of torch lacks the filter.
        """
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
        mode = FILTERS[self.resample]
        try:
            # what torchvision calls; Pillow's own rounds otherwise, by a level here and there
            resized = interpolate(pixels, size=(height, width), mode=mode, antialias=True)
        except NotImplementedError:
            raise CheckpointError(
                f"torch {torch.__version__} has no {mode} filter to resize frames by",
                valid="torch 2.13 or later",
            ) from None
        return resized.permute(0, 2, 3, 1).numpy()
