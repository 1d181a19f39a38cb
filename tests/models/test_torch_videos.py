"""Frames resized and normalised on torch alone; parity with torchvision is in `tests/peers`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from merit_interp.errors import CheckpointError
from merit_interp.models import torch_videos
from merit_interp.models.torch_videos import TorchVideoProcessor

SETTINGS = {
    "size": {"height": 24, "width": 40},
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
    "resample": 3,
    "rescale_factor": 1 / 255,
}


def written(directory: Path, **changes: Any) -> Path:
    content = json.dumps({**SETTINGS, **changes})
    (directory / "video_preprocessor_config.json").write_text(content)
    return directory


def frames_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resample", [Image.Resampling.BICUBIC, Image.Resampling.BILINEAR])
@pytest.mark.parametrize("size", [(48, 80), (12, 20), (48, 20), (12, 80), (24, 40)])
def test_frames_are_resized_as_pillow_does_it_to_a_level(
    tmp_path: Path, resample: Image.Resampling, size: tuple[int, int]
) -> None:
    """Across and then down, each step rounded: smaller and larger along either side."""
    videos = TorchVideoProcessor.of_directory(written(tmp_path, resample=int(resample)))
    frames = frames_of(*size)
    found = videos(videos=[frames])["pixel_values_videos"][0]
    across = [Image.fromarray(frame).resize((40, size[0]), resample) for frame in frames]
    down = np.stack([np.asarray(frame.resize((40, 24), resample)) for frame in across])
    mean, std = (np.array(SETTINGS[name]) for name in ("image_mean", "image_std"))
    expected = ((down / 255 - mean) / std).transpose(0, 3, 1, 2)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1.01 / 255 / std.min())


def test_frames_of_the_right_size_are_not_touched(tmp_path: Path) -> None:
    frames = frames_of(24, 40)
    videos = TorchVideoProcessor.of_directory(written(tmp_path))
    assert np.array_equal(videos.resized(frames), frames)


def test_metadata_comes_back_where_it_is_asked_for(tmp_path: Path) -> None:
    videos = TorchVideoProcessor.of_directory(written(tmp_path))
    assert set(videos(videos=[frames_of(24, 40)])) == {"pixel_values_videos"}
    features = videos(videos=[frames_of(24, 40)], video_metadata=[], return_metadata=True)
    assert features["video_metadata"] == []


@pytest.mark.parametrize("changes", [{"resample": 0}, {"resample": 4}, {"do_rescale": False}])
def test_what_is_not_done_here_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="more or less than resize"):
        TorchVideoProcessor.of_directory(written(tmp_path, **changes))


def test_a_torch_without_the_filter_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NotImplementedError("lanczos")

    videos = TorchVideoProcessor.of_directory(written(tmp_path, resample=1))
    monkeypatch.setattr(torch_videos, "interpolate", refuse)
    with pytest.raises(CheckpointError, match=r"torch .* has no lanczos filter"):
        videos(videos=[frames_of(10, 10)])
