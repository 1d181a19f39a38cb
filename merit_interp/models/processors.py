"""A family's own processor: chat template, token expansion and pixels of a video.

    processor = video_processor_for(vlm.directory, vlm.family)
    text = processor.prompt("What happens next?")
    inputs = processor.inputs(text, frames, clip)     # input_ids, pixel_values_videos, ...

transformers' video processors need torchvision. Where it imports, the family's own is used;
elsewhere the same class gets a video processor on Pillow, for the families in
`PIL_VIDEO_PROCESSORS`: token ids are equal, pixels are within 1/255. `route` says which, for the
run's provenance. What is particular to one family is here and in the family table only. This file
must not know items or how frames were chosen: it samples nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin
from transformers.models.auto import processing_auto
from transformers.utils import import_utils
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from merit_interp.errors import CheckpointError
from merit_interp.models.families import Family
from merit_interp.models.tokenizers import load_tokenizer
from merit_interp.tensor_shapes import Frames, Pixels

Route = Literal["torchvision", "pil"]


@dataclass(frozen=True)
class Clip:
    """What a processor must be told of frames that somebody else sampled."""

    indices: tuple[int, ...]
    """Number of each frame in its source, from 0."""
    fps: float
    """Rate of the source, in frames per second."""
    n_source_frames: int
    duration_s: float


@dataclass(frozen=True, eq=False)
class VideoProcessor:
    """A family's processor for one video and one question at a time."""

    processor: ProcessorMixin
    route: Route
    """Which code makes the pixels: `torchvision` (the family's own) or `pil`."""

    def prompt(self, question: str) -> str:
        """The chat template around one video and one question, up to where the answer begins."""
        content = [{"type": "video"}, {"type": "text", "text": question}]
        conversation: Any = [{"role": "user", "content": content}]
        prompt: str = self.processor.apply_chat_template(
            conversation, tokenize=False, add_generation_prompt=True
        )
        return prompt

    def token_ids(self, text: str) -> list[int]:
        """Tokens of a prompt whose video placeholder is not expanded."""
        tokenizer = self.processor.tokenizer
        added = adds_special_tokens(tokenizer, text)
        return list(tokenizer(text, add_special_tokens=added)["input_ids"])

    def inputs(self, text: str, frames: Frames, clip: Clip) -> dict[str, Tensor]:
        """A prompt with its video's placeholder expanded, and the pixels; a batch of one.

        Args:
            text: As `prompt` returns it.
            frames: Decoded RGB frames.
            clip: Where they come from. Without it processors guess 24 frames per second.
        """
        metadata = VideoMetadata(
            total_num_frames=clip.n_source_frames,
            fps=clip.fps,
            duration=clip.duration_s,
            frames_indices=list(clip.indices),
            height=frames.shape[1],
            width=frames.shape[2],
        )
        features = self.processor(
            text=[text],
            videos=[frames],
            video_metadata=[metadata],
            do_sample_frames=False,
            add_special_tokens=adds_special_tokens(self.processor.tokenizer, text),
            return_tensors="pt",
        )
        return {name: value for name, value in features.items() if isinstance(value, Tensor)}


def adds_special_tokens(tokenizer: Any, text: str) -> bool:
    """Whether the tokenizer is to add its own special tokens: not where the template wrote them."""
    return tokenizer.bos_token is None or not text.startswith(tokenizer.bos_token)


def video_processor_for(directory: Path, family: Family) -> VideoProcessor:
    """The processor of a checkpoint directory.

    Raises:
        CheckpointError: Processor files are missing or torn, or torchvision is needed.
    """
    try:
        if import_utils.is_torchvision_available():
            auto: Any = transformers.AutoProcessor
            own = auto.from_pretrained(directory, local_files_only=True)
            own.tokenizer = load_tokenizer(directory)
            found = VideoProcessor(own, "torchvision")
        else:
            found = VideoProcessor(_pil_processor(directory, family), "pil")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{directory} has no processor that loads: {error}",
            valid="tokenizer, processor_config.json and video_preprocessor_config.json",
        ) from None
    if not found.processor.chat_template:
        raise CheckpointError(
            f"{directory} has no chat template", valid="chat_template.jinja beside the weights"
        )
    n_videos = found.prompt("?").count(getattr(found.processor, "video_token"))  # noqa: B009
    if n_videos != 1:
        raise CheckpointError(
            f"{directory}: its chat template makes {n_videos} placeholders of one video", valid="1"
        )
    for attribute in REQUIRED_ATTRIBUTES.get(family.model_type, ()):
        if getattr(found.processor, attribute, None) is None:
            raise CheckpointError(f"{directory}: processor_config.json has no {attribute}")
    return found


def _pil_processor(directory: Path, family: Family) -> ProcessorMixin:
    """The family's processor class with a video processor on Pillow; no image processor."""
    pil_video = PIL_VIDEO_PROCESSORS.get(family.model_type)
    if pil_video is None:
        raise CheckpointError(
            f"videos of {family.model_type} need torchvision, which is not installed",
            valid=f"pip install torchvision, or {', '.join(PIL_VIDEO_PROCESSORS)}",
        )
    class_names: Any = processing_auto
    own: Any = getattr(transformers, class_names.PROCESSOR_MAPPING_NAMES[family.model_type])
    # transformers asks for its own torchvision classes here, and for nothing else
    unchecked = {"check_argument_for_proper_class": lambda self, name, argument: type(argument)}
    pil_class: Any = type(f"Pil{own.__name__}", (own,), unchecked)
    parts = {
        "tokenizer": load_tokenizer(directory),
        "video_processor": pil_video.of_directory(directory),
    }
    settings, options = own.get_processor_dict(directory, local_files_only=True)
    arguments = [parts.get(name) for name in own.get_attributes()]
    processor: ProcessorMixin = pil_class.from_args_and_dict(arguments, settings, **options)
    return processor


class PilVideoProcessor(VideoProcessorMixin):
    """Resize, rescale and normalise frames with Pillow, as transformers' torchvision one does."""

    resample: int
    size: Mapping[str, int]
    image_mean: Sequence[float]
    image_std: Sequence[float]
    rescale_factor: float

    @classmethod
    def of_directory(cls, directory: Path) -> PilVideoProcessor:
        """The settings of a checkpoint's video processor.

        Raises:
            CheckpointError: A setting is missing, or asks for what Pillow does not do here.
        """
        settings, _ = cls.get_video_processor_dict(directory, local_files_only=True)
        for name in ("size", "image_mean", "image_std", "resample", "rescale_factor"):
            if name not in settings:
                raise CheckpointError(f"{directory}: the video processor's config has no {name}")
        wrong = [
            name for name in ("do_resize", "do_rescale", "do_normalize")
            if not settings.get(name, True)
        ]  # fmt: skip
        if wrong or settings.get("do_center_crop") or set(settings["size"]) != {"height", "width"}:
            raise CheckpointError(
                f"{directory}: its video processor does more or less than resize to a height and "
                "width, rescale and normalise",
                valid="pip install torchvision",
            )
        return cls(**settings)

    def preprocess(self, videos: Sequence[Frames], **_: Any) -> BatchFeature:
        """Pixels of each video, (frames, 3, height, width) float32."""
        return BatchFeature(
            {"pixel_values_videos": [self._pixels(frames) for frames in videos]},
            tensor_type="pt",
        )

    def _pixels(self, frames: Frames) -> Pixels:
        size = (self.size["width"], self.size["height"])
        resized = np.stack(
            [
                np.asarray(Image.fromarray(frame).resize(size, Image.Resampling(self.resample)))
                for frame in frames
            ]
        )
        pixels = torch.from_numpy(resized).permute(0, 3, 1, 2).to(torch.float32)
        # one fused step, as transformers does it
        mean = torch.tensor(self.image_mean) / self.rescale_factor
        std = torch.tensor(self.image_std) / self.rescale_factor
        return ((pixels - mean[:, None, None]) / std[:, None, None]).contiguous()


PIL_VIDEO_PROCESSORS: Mapping[str, type[PilVideoProcessor]] = MappingProxyType(
    {"llava_onevision": PilVideoProcessor}
)
"""Families whose videos need no torchvision."""

REQUIRED_ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"llava_onevision": ("num_image_tokens",)}
)
"""What a family's processor cannot expand a video without, and transformers does not ask for."""
