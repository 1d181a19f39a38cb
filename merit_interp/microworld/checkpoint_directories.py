"""Writes the pair as ordinary checkpoint directories, as transformers' save_pretrained would.

    write_pair(backbone, vlm, Path("out"))      # out/backbone, out/vlm

torchvision may be absent, and LLaVA-OneVision's processor cannot be constructed without it, so the
processor's JSON files are written from their values. It must not know training or clips.
"""

from pathlib import Path
from typing import Any

from transformers import LlavaOnevisionForConditionalGeneration, Qwen2ForCausalLM

from merit_interp.microworld.pair_configs import IMAGE_SIZE, PATCH_COUNT
from merit_interp.microworld.tokenizer import (
    IMAGE_TOKEN,
    TEXT_CHAT_TEMPLATE,
    VIDEO_CHAT_TEMPLATE,
    VIDEO_TOKEN,
    build_tokenizer,
)
from merit_interp.record_files import write_json

_PIXELS: dict[str, Any] = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
}
_IMAGE_PROCESSOR: dict[str, Any] = {
    **_PIXELS,
    "do_pad": True,
    "image_grid_pinpoints": [[IMAGE_SIZE, IMAGE_SIZE]],
    "image_processor_type": "LlavaOnevisionImageProcessor",
}
_VIDEO_PROCESSOR: dict[str, Any] = {
    **_PIXELS,
    "default_to_square": False,
    "do_sample_frames": False,
    "video_processor_type": "LlavaOnevisionVideoProcessor",
}
_PROCESSOR: dict[str, Any] = {
    "image_token": IMAGE_TOKEN,
    "num_image_tokens": PATCH_COUNT,
    "processor_class": "LlavaOnevisionProcessor",
    "video_token": VIDEO_TOKEN,
    "vision_aspect_ratio": "anyres_max_9",
    "vision_feature_select_strategy": "full",
}


def write_pair(
    backbone: Qwen2ForCausalLM, vlm: LlavaOnevisionForConditionalGeneration, out: Path
) -> None:
    """Writes `out/backbone` and `out/vlm`."""
    write_backbone(backbone, out / "backbone")
    write_vlm(vlm, out / "vlm")


def write_backbone(backbone: Qwen2ForCausalLM, directory: Path) -> None:
    """Writes the backbone with its tokenizer; a prompt is "<transcript> <question>"."""
    backbone.save_pretrained(directory)
    build_tokenizer(TEXT_CHAT_TEMPLATE).save_pretrained(directory)


def write_vlm(vlm: LlavaOnevisionForConditionalGeneration, directory: Path) -> None:
    """Writes the VLM with its tokenizer and the files of its processor."""
    vlm.save_pretrained(directory)
    tokenizer = build_tokenizer(VIDEO_CHAT_TEMPLATE)
    tokenizer._set_processor_class("LlavaOnevisionProcessor")
    tokenizer.save_pretrained(directory)
    shared = {"processor_class": "LlavaOnevisionProcessor"}
    write_json(directory / "preprocessor_config.json", {**_IMAGE_PROCESSOR, **shared})
    write_json(directory / "video_preprocessor_config.json", {**_VIDEO_PROCESSOR, **shared})
    nested = {"image_processor": _IMAGE_PROCESSOR, "video_processor": _VIDEO_PROCESSOR}
    write_json(directory / "processor_config.json", {**nested, **_PROCESSOR})
