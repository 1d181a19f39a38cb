"""Videos that hold a claim about frames to account: shuffled, reversed, black, one frame alone.

    shown = controlled_frames("reversed", video.frames, absent, seed=0)

Each is a row of the same table as the real video. Evidence goes where its frame goes; in a video
without the frames (black, or one frame everywhere) it stays where it was, and a claim that still
finds it there is a claim about places. This file must not know models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from merit_interp.attribution.baselines import baseline_frames
from merit_interp.tensor_shapes import Frames

Control = Literal["shuffled", "reversed", "black", "single_frame"]
CONTROLS: tuple[Control, ...] = ("shuffled", "reversed", "black", "single_frame")


@dataclass(frozen=True, eq=False)
class ControlledFrames:
    """What a control shows, and what of the video stands at each place."""

    frames: Frames
    baseline: Frames
    """Each shown frame's own baseline: it goes where the frame goes. For a black video against
    black, the video's mean frame."""
    order: tuple[int, ...]
    """Which of the video's frames stands at each place, for the evidence."""


def controlled_frames(
    control: Control, frames: Frames, baseline: Frames, *, seed: int
) -> ControlledFrames:
    """A control's version of a video.

    Args:
        control: Which; `shuffled` never leaves all frames in place where there are two or more.
        frames: The video.
        baseline: The video's baseline frames.
        seed: Of the shuffle.
    """
    places = list(range(len(frames)))
    match control:
        case "shuffled":
            order = _shuffled(places, seed)
        case "reversed":
            order = places[::-1]
        case "black":
            black = np.zeros_like(frames)
            if np.array_equal(black, baseline):
                # against itself nothing would be left to attribute
                baseline = baseline_frames("mean", frames)
            return ControlledFrames(black, baseline, tuple(places))
        case "single_frame":
            # the middle one: chosen by its place, so never for what it shows
            middle = frames[len(frames) // 2]
            everywhere = np.broadcast_to(middle, frames.shape).copy()
            return ControlledFrames(everywhere, baseline, tuple(places))
    return ControlledFrames(frames[order], baseline[order], tuple(order))


def _shuffled(places: Sequence[int], seed: int) -> list[int]:
    generator = np.random.default_rng(seed)
    order = list(places)
    while len(order) > 1 and order == list(places):
        order = [int(place) for place in generator.permutation(len(places))]
    return order


def item_seed(seed: int, item: str) -> int:
    """A seed of an item's own, the same in every run and for every model."""
    digest = hashlib.sha256(f"{seed}:{item}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
