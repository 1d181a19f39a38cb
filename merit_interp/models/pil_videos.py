"""Videos as pixels without torchvision: what transformers' video processors do, on Pillow.

    pil_video = PilVideoProcessor.of_directory(vlm.directory)
    features = pil_video(videos=[frames])          # "pixel_values_videos": (1, frames, 3, h, w)

Each family's own class needs torchvision; a class here stands in for it with the same settings, the
same defaults and the same outputs: pixels are within 1/255 of its own. A family that resizes or
packs otherwise is a subclass in a file of its own (`pil_qwen`). This file must not know models,
prompts or how frames were chosen: nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from merit_interp.errors import CheckpointError
from merit_interp.tensor_shapes import Frames, Pixels, ResizedFrames


class PilVideoProcessor(VideoProcessorMixin):
    """Resize, rescale and normalise frames with Pillow, as transformers' torchvision one does.

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
    def of_directory(cls, directory: Path) -> PilVideoProcessor:
        """The video processor of a checkpoint's files.

        Raises:
            CheckpointError: A setting is missing, or asks for what Pillow does not do here.
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
        mean = torch.tensor(self.image_mean) / self.rescale_factor
        std = torch.tensor(self.image_std) / self.rescale_factor
        return ((pixels - mean[:, None, None]) / std[:, None, None]).contiguous()

    def resized(self, frames: Frames) -> ResizedFrames:
        """Frames of the size that the model takes."""
        height, width = self.target_size(*frames.shape[:3])
        return self.resized_to(frames, height, width)

    def resized_to(self, frames: Frames, height: int, width: int) -> ResizedFrames:
        """Frames of a size, by the settings' filter."""
        filtered = Image.Resampling(self.resample)
        # rows first, as torch does it: Pillow by itself takes the order that costs less, and
        # what is rounded in between then differs by several levels
        stretched = [
            Image.fromarray(frame).resize((width, frame.shape[0]), filtered) for frame in frames
        ]
        return np.stack(
            [np.asarray(frame.resize((width, height), filtered)) for frame in stretched]
        )
