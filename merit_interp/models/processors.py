"""A family's own processor: chat template, token expansion and pixels of a video.

    processor = video_processor_for(vlm.directory, vlm.family)
    seen = processor.see(frames, clip)
    (ids,) = token_ids(processor.tokenizer, [processor.prompt("What happens next?")])
    ids, token_inputs = processor.expanded(ids, seen)     # with seen.inputs: pixels, ...

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

import transformers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, ProcessorMixin
from transformers.models.auto import processing_auto
from transformers.utils import import_utils
from transformers.video_utils import VideoMetadata

from merit_interp.errors import CheckpointError
from merit_interp.models.families import Family
from merit_interp.models.pil_llava import CroppedVideos, VideoLlama3Videos
from merit_interp.models.pil_qwen import Glm4vVideos, Qwen2Videos, Qwen3Videos
from merit_interp.models.pil_videos import PilVideoProcessor
from merit_interp.models.tokenizers import adds_special_tokens, load_tokenizer, token_ids
from merit_interp.tensor_shapes import Frames

Route = Literal["torchvision", "pil"]


@dataclass(frozen=True)
class Clip:
    """What a processor must be told of frames that somebody else sampled."""

    indices: tuple[int, ...]
    """Number of each frame in its source, from 0."""
    fps: float
    """Rate of the source, in frames per second."""
    n_frames: int
    """Frames of the source, or of its part that was asked for: what was sampled from."""
    duration_s: float
    """Of the source."""


@dataclass(frozen=True, eq=False)
class SeenVideo:
    """What a processor makes of a video, whatever is asked about it."""

    tokens: tuple[int, ...]
    """What stands in a prompt for its one placeholder."""
    token_inputs: Mapping[str, tuple[int, ...]]
    """What else the forward takes for each of these tokens; zero for all others of the prompt."""
    inputs: Mapping[str, Tensor]
    """What the forward takes of the video itself, a batch of one: pixels, grid, ..."""


@dataclass(frozen=True, eq=False)
class VideoProcessor:
    """A family's processor for prompts with one video."""

    processor: ProcessorMixin
    route: Route
    """Which code makes the pixels: `torchvision` (the family's own) or `pil`."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The processor's tokenizer."""
        tokenizer: PreTrainedTokenizerBase = self.processor.tokenizer
        return tokenizer

    @property
    def placeholder(self) -> str:
        """What the chat template writes for a video."""
        return str(getattr(self.processor, "video_token"))  # noqa: B009  (not in the base class)

    @property
    def placeholders(self) -> tuple[str, ...]:
        """All texts that stand for an image or a video: a question must not hold them."""
        return tuple(self.processor.all_special_multimodal_tokens)

    def prompt(self, question: str) -> str:
        """The chat template around one video and one question, up to where the answer begins."""
        content = [{"type": "video"}, {"type": "text", "text": question}]
        conversation: Any = [{"role": "user", "content": content}]
        return str(
            self.processor.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=True
            )
        )

    def see(self, frames: Frames, clip: Clip) -> SeenVideo:
        """Make pixels of frames, and find out what a prompt's placeholder becomes.

        Args:
            frames: Decoded RGB frames.
            clip: Where they come from. Without it processors guess 24 frames per second.
        """
        text = self.prompt("?")
        # some processors refuse a video that is shorter than a temporal patch, which all others
        # fill with its last frame
        video_processor = getattr(self.processor, "video_processor", None)
        least = getattr(video_processor, "temporal_patch_size", 1)
        places = [*range(len(frames)), *[len(frames) - 1] * (least - len(frames))]
        frames = frames[places]
        metadata = VideoMetadata(
            # with the number of sampled frames it says their rate (`sampled_fps`)
            total_num_frames=clip.n_frames,
            fps=clip.fps,
            duration=clip.duration_s,
            frames_indices=[clip.indices[place] for place in places],
            height=frames.shape[1],
            width=frames.shape[2],
        )
        features = self.processor(
            text=[text],
            videos=[frames],
            video_metadata=[metadata],
            do_sample_frames=False,
            add_special_tokens=adds_special_tokens(self.tokenizer, text),
            return_tensors="pt",
        )
        inputs = {name: value for name, value in features.items() if isinstance(value, Tensor)}
        ids = inputs.pop("input_ids")[0].tolist()
        inputs.pop("attention_mask", None)
        (plain,) = token_ids(self.tokenizer, [text])
        start = self._place(plain)
        end = len(ids) - (len(plain) - start - 1)
        aligned = [name for name, value in inputs.items() if value.shape[1:] == (len(ids),)]
        seen = SeenVideo(
            tokens=tuple(ids[start:end]),
            token_inputs={name: tuple(inputs.pop(name)[0, start:end].tolist()) for name in aligned},
            inputs=inputs,
        )
        assert self.expanded(plain, seen)[0] == ids, "the processor changed more than the video"
        return seen

    def _place(self, ids: Sequence[int]) -> int:
        placeholder_id: Any = self.tokenizer.convert_tokens_to_ids(self.placeholder)
        return list(ids).index(placeholder_id)

    def expanded(
        self, ids: Sequence[int], seen: SeenVideo
    ) -> tuple[list[int], dict[str, list[int]]]:
        """A prompt's tokens with a video in place of its placeholder, and the token inputs."""
        place = self._place(ids)
        before, after = [0] * place, [0] * (len(ids) - place - 1)
        token_inputs = {
            name: [*before, *values, *after] for name, values in seen.token_inputs.items()
        }
        return [*ids[:place], *seen.tokens, *ids[place + 1 :]], token_inputs


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
    n_videos = found.prompt("?").count(found.placeholder)
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


PIL_VIDEO_PROCESSORS: Mapping[str, type[PilVideoProcessor]] = MappingProxyType(
    {
        "glm4v": Glm4vVideos,
        "internvl": PilVideoProcessor,
        "llava_next_video": CroppedVideos,
        "llava_onevision": PilVideoProcessor,
        "qwen2_5_vl": Qwen2Videos,
        "qwen2_vl": Qwen2Videos,
        "qwen3_vl": Qwen3Videos,
        "video_llama_3": VideoLlama3Videos,
        "video_llava": CroppedVideos,
    }
)
"""Families whose videos need no torchvision."""

REQUIRED_ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"llava_onevision": ("num_image_tokens",)}
)
"""What a family's processor cannot expand a video without, and transformers does not ask for."""
