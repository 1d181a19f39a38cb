from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import CheckpointError
from merit_interp.models.families import BACKBONE_FAMILIES, VLM_FAMILIES
from merit_interp.models.processors import Clip, SeenVideo, VideoProcessor, video_processor_for
from merit_interp.models.tokenizers import token_ids
from tests.tiny_models import IMAGE_SIZE, TOKENS_PER_FRAME, tiny_vlm
from tests.videos_on_disk import frames_of_levels, shared_video

FAMILY = VLM_FAMILIES["llava_onevision"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vlm(tmp_path_factory.mktemp("checkpoint") / "vlm")


@pytest.fixture(scope="module")
def processor(directory: Path) -> VideoProcessor:
    return video_processor_for(directory, FAMILY)


def clip_of(n_frames: int) -> Clip:
    return Clip(tuple(range(n_frames)), 4.0, n_frames, n_frames / 4)


def test_a_prompt_is_the_families_own_template(processor: VideoProcessor) -> None:
    assert processor.route in ("torchvision", "torch")
    assert processor.template("What?") == (
        "<|im_start|>user\n<video>\nWhat?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_placeholder_grows_to_the_videos_tokens(processor: VideoProcessor) -> None:
    seen = processor.see(frames_of_levels(5, size=IMAGE_SIZE), clip_of(5))
    assert seen.text == processor.placeholder == processor.visual_token
    assert seen.runs == (5 * TOKENS_PER_FRAME + 1,)
    assert seen.token_inputs == {}
    assert seen.inputs["pixel_values_videos"].shape == (1, 5, 3, IMAGE_SIZE, IMAGE_SIZE)


def test_a_prompt_expanded_here_is_the_one_that_the_processor_expands(
    processor: VideoProcessor,
) -> None:
    frames = frames_of_levels(3, size=IMAGE_SIZE)
    question = "Which shape comes right after the circle?"
    seen = processor.see(frames, clip_of(3))
    (plain,) = token_ids(processor.tokenizer, [processor.prompt(question, seen)])
    ids, token_inputs = processor.expanded(plain, seen)
    own = processor.processor(
        text=[processor.template(question)],
        videos=[frames],
        do_sample_frames=False,
        return_tensors="pt",
    )
    assert ids == own["input_ids"][0].tolist()
    assert token_inputs == {}


def test_token_inputs_are_the_videos_and_zero_elsewhere(processor: VideoProcessor) -> None:
    visual = processor.processor.video_token_id
    seen = SeenVideo(text="", runs=(2, 1), token_inputs={"types": {visual: 2}}, inputs={})
    ids, token_inputs = processor.expanded([1, 7, visual, 2, visual, 3], seen)
    assert ids == [1, 7, visual, visual, 2, visual, 3]
    assert token_inputs == {"types": [0, 0, 2, 2, 0, 2, 0]}


def test_pixels_are_the_frames_resized_and_normalised(processor: VideoProcessor) -> None:
    video = decode_video(shared_video("nasa_13013.mp4"), max_frames=4)
    clip = Clip(video.indices, video.fps, video.n_source_frames, video.duration_s)
    pixels = processor.see(video.frames, clip).inputs["pixel_values_videos"][0]
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    for frame, made in zip(video.frames, pixels.numpy(), strict=True):
        resized = Image.fromarray(frame).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
        expected = (np.asarray(resized) / 255 - mean) / std
        # torchvision and Pillow round a resized pixel differently by at most one level
        np.testing.assert_allclose(made.transpose(1, 2, 0), expected, atol=1.01 / 255 / 0.26)


def test_frames_are_given_as_they_are_never_sampled_again(processor: VideoProcessor) -> None:
    frames = frames_of_levels(40, size=IMAGE_SIZE)
    seen = processor.see(frames, Clip(tuple(range(0, 400, 10)), 30.0, 400, 13.3))
    assert seen.inputs["pixel_values_videos"].shape[1] == 40


def changed(directory: Path, to: Path, name: str, **changes: Any) -> Path:
    """A copy of the checkpoint with one JSON file changed; None drops a field."""
    shutil.copytree(directory, to)
    content = json.loads((to / name).read_text())
    content = {k: v for k, v in {**content, **changes}.items() if v is not None}
    (to / name).write_text(json.dumps(content))
    return to


def test_an_incomplete_processor_is_one_clear_error(directory: Path, tmp_path: Path) -> None:
    copy = changed(directory, tmp_path / "vlm", "processor_config.json", num_image_tokens=None)
    with pytest.raises(CheckpointError, match="has no num_image_tokens"):
        video_processor_for(copy, FAMILY)
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text().replace("<video>", ""))
    with pytest.raises(CheckpointError, match="makes 0 placeholders of one video"):
        video_processor_for(copy, FAMILY)
    template.unlink()
    with pytest.raises(CheckpointError, match="no chat template"):
        video_processor_for(copy, FAMILY)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": None}, "has no size"),
        ({"size": {"shortest_edge": 32}}, "does more or less"),
        ({"do_center_crop": True, "crop_size": {"height": 8, "width": 8}}, "does more or less"),
        ({"do_normalize": False}, "does more or less"),
    ],
)
def test_what_pillow_does_not_do_here_is_refused(
    directory: Path, tmp_path: Path, processor: VideoProcessor, changes: dict[str, Any], says: str
) -> None:
    if processor.route != "torch":
        pytest.skip("torchvision is here, so its own processor does all that it is asked")
    copy = changed(directory, tmp_path / "vlm", "video_preprocessor_config.json", **changes)
    with pytest.raises(CheckpointError, match=says):
        video_processor_for(copy, FAMILY)


def test_a_checkpoint_without_processor_files_is_one_clear_error(
    directory: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(directory, tmp_path / "vlm")
    for name in (
        "processor_config.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
    ):
        (copy / name).unlink()
    with pytest.raises(CheckpointError, match="has no processor that loads"):
        video_processor_for(copy, FAMILY)


def test_a_family_that_needs_torchvision_says_so(
    directory: Path, processor: VideoProcessor
) -> None:
    if processor.route != "torch":
        pytest.skip("torchvision is here")
    with pytest.raises(CheckpointError, match="need torchvision"):
        video_processor_for(directory, BACKBONE_FAMILIES["qwen2"])
