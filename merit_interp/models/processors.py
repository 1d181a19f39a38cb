"""A family's own processor: chat template, token expansion and pixels of a video.

    processor = video_processor_for(vlm.directory, vlm.family)
    seen = processor.see(frames, clip)
    (ids,) = token_ids(processor.tokenizer, [processor.prompt("What happens next?", seen)])
    ids, token_inputs = processor.expanded(ids, seen)     # with seen.inputs: pixels, ...

What a video is in a prompt is text first (SmolVLM and InternVL begin it with words, Qwen3-VL writes
times), and words are tokenized with what stands beside them. So a prompt is made whole and then
tokenized, with one visual token for each run of them, and the runs are drawn out after that.

transformers' video processors need torchvision. Where it imports, the family's own is used;
elsewhere the same class gets a video processor on torch alone, for the families in
`TORCH_VIDEO_PROCESSORS`: token ids and pixels are equal. `route` says which, for the run's
provenance. What is particular to one family is here and in the family table only. This file
must not know items or how frames were chosen: it samples nothing.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import transformers
from torch import Tensor
from transformers import AutoConfig, PreTrainedTokenizerBase, ProcessorMixin
from transformers.models.auto import processing_auto
from transformers.utils import import_utils
from transformers.video_utils import VideoMetadata

from merit_interp.errors import CheckpointError
from merit_interp.models.families import Family
from merit_interp.models.frame_lists import Gemma3Frames
from merit_interp.models.tokenizers import adds_special_tokens, load_tokenizer, token_ids
from merit_interp.models.torch_images import Gemma4Videos, SmolVlmVideos
from merit_interp.models.torch_llava import CroppedVideos, VideoLlama3Videos
from merit_interp.models.torch_qwen import Glm4vVideos, Qwen2Videos, Qwen3Videos
from merit_interp.models.torch_videos import TorchVideoProcessor
from merit_interp.tensor_shapes import Frames

Route = Literal["torchvision", "torch", "pillow"]


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

    text: str
    """What stands in a prompt for its one placeholder, a run of visual tokens written as one."""
    runs: tuple[int, ...]
    """Visual tokens of each run."""
    token_inputs: Mapping[str, Mapping[int, int]]
    """What else the forward takes for each token of the prompt, by its id; zero for all others."""
    inputs: Mapping[str, Tensor]
    """What the forward takes of the video itself, a batch of one: pixels, grid, ..."""


@dataclass(frozen=True, eq=False)
class VideoProcessor:
    """A family's processor for prompts with one video."""

    processor: ProcessorMixin
    route: Route
    """What makes the pixels: `torchvision` in the family's own processor; where that is missing
    `torch` here, or `pillow` in transformers' image processors."""
    visual_token: str
    """Text of the token that the forward puts a vector of the video in place of."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The processor's tokenizer."""
        tokenizer: PreTrainedTokenizerBase = self.processor.tokenizer
        return tokenizer

    @property
    def placeholder(self) -> str:
        """What the chat template writes for a video, or for an image where it knows no video."""
        return str(getattr(self.processor, f"{self._shown}_token"))

    @property
    def _shown(self) -> str:
        return "video" if getattr(self.processor, "video_token", None) else "image"

    @property
    def placeholders(self) -> tuple[str, ...]:
        """All texts that stand for an image or a video: a question must not hold them."""
        return (*self.processor.all_special_multimodal_tokens, self.visual_token)

    def prompt(self, question: str, seen: SeenVideo) -> str:
        """The prompt on a video, up to where the answer begins; for `expanded` when tokenized."""
        return self.template(question).replace(self.placeholder, seen.text)

    def template(self, question: str) -> str:
        """The chat template around the placeholder of a video and a question."""
        content = [{"type": self._shown}, {"type": "text", "text": question}]
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
        text = self.template("?")
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
        with warnings.catch_warnings():
            # GLM-4V's makes arrays of tensors in a way that numpy is going to forbid
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            features = self.processor(
                text=[text],
                videos=[frames],
                video_metadata=[metadata],
                do_sample_frames=False,
                add_special_tokens=adds_special_tokens(self.tokenizer, text),
                return_text_replacement_offsets=True,
                return_tensors="pt",
            )
        inputs = {name: value for name, value in features.items() if isinstance(value, Tensor)}
        ids = inputs.pop("input_ids")[0].tolist()
        inputs.pop("attention_mask", None)
        aligned = [name for name, value in inputs.items() if value.shape == (1, len(ids))]
        ((video,),) = features["text_replacement_offsets"]
        token_inputs = {name: inputs.pop(name)[0].tolist() for name in aligned}
        seen = self._seen(video["replacement"], ids, token_inputs, inputs)
        (shown,) = token_ids(self.tokenizer, [self.prompt("?", seen)])
        assert self.expanded(shown, seen)[0] == ids, "the processor changed more than the video"
        return seen

    def _seen(
        self,
        text: str,
        ids: Sequence[int],
        token_inputs: Mapping[str, Sequence[int]],
        inputs: Mapping[str, Tensor],
    ) -> SeenVideo:
        run = re.compile(f"(?:{re.escape(self.visual_token)})+")
        return SeenVideo(
            text=run.sub(self.visual_token, text),
            runs=tuple(len(found) // len(self.visual_token) for found in run.findall(text)),
            token_inputs={
                name: {token: value for token, value in zip(ids, values, strict=True) if value}
                for name, values in token_inputs.items()
            },
            inputs=inputs,
        )

    def expanded(
        self, ids: Sequence[int], seen: SeenVideo
    ) -> tuple[list[int], dict[str, list[int]]]:
        """A prompt's tokens with every visual token drawn out to its run, and the token inputs."""
        visual_id = self.tokenizer.convert_tokens_to_ids(self.visual_token)
        runs = iter(seen.runs)
        drawn = [i for token in ids for i in [token] * (next(runs) if token == visual_id else 1)]
        token_inputs = {
            name: [values.get(token, 0) for token in drawn]
            for name, values in seen.token_inputs.items()
        }
        return drawn, token_inputs


def video_processor_for(directory: Path, family: Family) -> VideoProcessor:
    """The processor of a checkpoint directory.

    Raises:
        CheckpointError: Processor files are missing or torn, or torchvision is needed.
    """
    without: Route = "pillow" if family.model_type in FRAME_LISTS else "torch"
    route: Route = "torchvision" if import_utils.is_torchvision_available() else without
    try:
        if route == "torch":
            own = _torch_processor(directory, family)
        else:
            auto: Any = FRAME_LISTS.get(family.model_type, transformers.AutoProcessor)
            own = auto.from_pretrained(directory, local_files_only=True)
            own.tokenizer = load_tokenizer(directory)
        config = AutoConfig.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, AttributeError) as error:  # a tokenizer lacks a named token
        raise CheckpointError(
            f"{directory} has no processor that loads: {error}",
            valid="tokenizer, processor_config.json and video_preprocessor_config.json",
        ) from None
    if not own.chat_template:
        raise CheckpointError(
            f"{directory} has no chat template", valid="chat_template.jinja beside the weights"
        )
    visual_id = getattr(config, family.video_token_id)
    found = VideoProcessor(own, route, str(own.tokenizer.convert_ids_to_tokens(visual_id)))
    _check_processor(found, directory, family)
    return found


def _check_processor(found: VideoProcessor, directory: Path, family: Family) -> None:
    """It does with a video what the family's row says."""
    n_videos = found.template("?").count(found.placeholder)
    if n_videos != 1:
        raise CheckpointError(
            f"{directory}: its chat template makes {n_videos} placeholders of one video", valid="1"
        )
    joined = getattr(getattr(found.processor, "video_processor", None), "temporal_patch_size", 1)
    if joined != family.frames_per_unit:
        raise CheckpointError(
            f"{directory}: its processor joins {joined} frames in a temporal patch",
            valid=f"{family.frames_per_unit}, as every {family.model_type} that is known here",
        )
    for attribute in REQUIRED_ATTRIBUTES.get(family.model_type, ()):
        if getattr(found.processor, attribute, None) is None:
            raise CheckpointError(f"{directory}: processor_config.json has no {attribute}")


def _torch_processor(directory: Path, family: Family) -> ProcessorMixin:
    """The family's processor class with a video processor on torch alone; no image processor."""
    video_class = TORCH_VIDEO_PROCESSORS.get(family.model_type)
    if video_class is None:
        raise CheckpointError(
            f"videos of {family.model_type} need torchvision, which is not installed",
            valid=f"pip install torchvision, or {', '.join(TORCH_VIDEO_PROCESSORS)}",
        )
    class_names: Any = processing_auto
    own: Any = getattr(transformers, class_names.PROCESSOR_MAPPING_NAMES[family.model_type])
    # transformers asks for its own torchvision classes here, and for nothing else
    unchecked = {"check_argument_for_proper_class": lambda self, name, argument: type(argument)}
    own_class: Any = type(f"Torch{own.__name__}", (own,), unchecked)
    parts = {
        "tokenizer": load_tokenizer(directory),
        "video_processor": video_class.of_directory(directory),
    }
    settings, options = own.get_processor_dict(directory, local_files_only=True)
    arguments = [parts.get(name) for name in own.get_attributes()]
    processor: ProcessorMixin = own_class.from_args_and_dict(arguments, settings, **options)
    return processor


TORCH_VIDEO_PROCESSORS: Mapping[str, type[TorchVideoProcessor]] = MappingProxyType(
    {
        "gemma4": Gemma4Videos,
        "glm4v": Glm4vVideos,
        "internvl": TorchVideoProcessor,
        "llava_next_video": CroppedVideos,
        "llava_onevision": TorchVideoProcessor,
        "qwen2_5_vl": Qwen2Videos,
        "qwen2_vl": Qwen2Videos,
        "qwen3_vl": Qwen3Videos,
        "smolvlm": SmolVlmVideos,
        "video_llama_3": VideoLlama3Videos,
        "video_llava": CroppedVideos,
    }
)
"""Families whose videos need no torchvision."""

FRAME_LISTS: Mapping[str, type[ProcessorMixin]] = MappingProxyType({"gemma3": Gemma3Frames})
"""Families whose processors have no video route: its frames are images. transformers' own image
processors need no torchvision."""

REQUIRED_ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"llava_next_video": ("patch_size",), "llava_onevision": ("num_image_tokens",)}
)
"""What a family's processor cannot expand a video without, and transformers does not ask for."""
