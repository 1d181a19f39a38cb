"""Rendered clips are real videos: frames, times and colours come back through decord."""

import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")  # before decord, or decord may crash

from merit_interp.microworld.renderer import (
    COLOUR_VALUES,
    FRAME_SIZE,
    OTHER_LOOKS,
    SEARCH_LOOKS,
    frame_span,
    read_frames,
    read_pixels,
    render_bank,
    write_clip,
)
from merit_interp.microworld.world import EVENTS, draw_clip


@pytest.mark.parametrize("looks", [SEARCH_LOOKS, *OTHER_LOOKS])
@pytest.mark.parametrize("length", [6, 8, 10])
def test_frames_times_and_colours(tmp_path: Path, looks: object, length: int) -> None:
    import decord

    clip = draw_clip(random.Random(length), length)
    path = tmp_path / "clip.mp4"
    write_clip(clip, random.Random(5), looks, path)  # type: ignore[arg-type]
    frames = read_frames(path)
    assert frames.shape == (length, FRAME_SIZE, FRAME_SIZE, 3)
    times = decord.VideoReader(str(path)).get_frame_timestamp(range(length))
    assert times.tolist() == [list(frame_span(i)) for i in range(length)]
    for event, frame in zip(clip, frames, strict=True):
        assert dominant_colour(frame) == event.colour


def dominant_colour(frame: np.ndarray) -> str:
    """The named colour nearest to the pixels that are not grey."""
    pixels = frame.reshape(-1, 3).astype(float)
    vivid = pixels[pixels.max(-1) - pixels.min(-1) > 60]
    assert len(vivid) > 100
    mean = np.median(vivid, axis=0)
    return min(COLOUR_VALUES, key=lambda name: float(np.abs(mean - COLOUR_VALUES[name]).sum()))


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    clip = draw_clip(random.Random(0), 8)
    for name in ("a", "b"):
        write_clip(clip, random.Random(1), SEARCH_LOOKS, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_pixels_and_bank_go_the_same_way(tmp_path: Path) -> None:
    clip = draw_clip(random.Random(0), 8)
    write_clip(clip, random.Random(1), SEARCH_LOOKS, tmp_path / "clip.mp4")
    pixels = read_pixels(tmp_path / "clip.mp4")
    assert pixels.shape == (8, 3, 32, 32)
    assert pixels.dtype == np.float32
    assert -1 <= pixels.min() < pixels.max() <= 1
    bank = render_bank(EVENTS[:5], 2, 0, tmp_path / "bank.mp4")
    assert bank.shape == (5, 2, 32, 32, 3)
    assert (bank[:, 0] != bank[:, 1]).any()
