"""Which frames of a video are taken: its bounds, and one of three ways to spread over them.

    request = FrameRequest(max_frames=16, sampling="fps", rate_fps=1.0)
    indices = chosen_frames(spans_s, request)

Pure numbers: this file must not open a video, and loads no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from merit_interp.errors import VideoError

Sampling = Literal["uniform", "fps", "segments"]


@dataclass(frozen=True)
class FrameRequest:
    """What is wanted of a video."""

    max_frames: int
    """Most frames to take; `segments` takes exactly as many."""
    sampling: Sampling = "uniform"
    """`uniform`: mid-points of equal segments, none twice. `fps`: the same with as many segments as
    the rate gives. `segments`: MVBench's mid-points, with repeats where frames are few."""
    rate_fps: float | None = None
    """Frames to take per second; for `fps`."""
    max_side: int | None = None
    """Longest side of a frame in pixels; larger ones are made smaller. None: as they are."""
    start_s: float | None = None
    """Frames are taken from here on, in seconds."""
    end_s: float | None = None
    """Frames are taken up to here, in seconds."""
    source_fps: float | None = None
    """Rate of a source that does not know its own: a directory of frames, an array."""

    def to_row(self) -> dict[str, Any]:
        """The request as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> FrameRequest:
        """The request of a JSON object."""
        return cls(**row)


def frames_within(spans_s: ndarray, request: FrameRequest) -> list[int]:
    """Frames whose mid-time lies in the bound; the nearest one where the bound is shorter.

    Args:
        spans_s: (frames, 2) start and end of each frame of the video, in seconds.
        request: Holds the bound.

    Raises:
        VideoError: The bound lies outside the video.
    """
    start = 0.0 if request.start_s is None else request.start_s
    end = float(spans_s[-1, 1]) if request.end_s is None else request.end_s
    times = spans_s.mean(axis=1)
    if request.start_s is None and request.end_s is None:
        return list(range(len(times)))
    inside = np.flatnonzero((times >= start) & (times <= end))
    if len(inside):
        return [int(i) for i in inside]
    if start >= spans_s[-1, 1] or end <= spans_s[0, 0]:
        raise VideoError(
            f"nothing between {start:g} s and {end:g} s",
            valid=f"{spans_s[0, 0]:g} to {spans_s[-1, 1]:g} s",
        )
    return [int(np.abs(times - (start + end) / 2).argmin())]


def chosen_frames(
    spans_s: ndarray, fps: float, request: FrameRequest, *, counts_from: int = 0
) -> tuple[list[int], int]:
    """Numbers of the frames to take, from 0, and of how many they were chosen.

    Args:
        spans_s: (frames, 2) start and end of each frame of the video, in seconds.
        fps: The video's mean rate.
        request: Bound and sampling.
        counts_from: As of `mvbench_frames`.

    Raises:
        VideoError: The bound lies outside the video.
    """
    candidates = frames_within(spans_s, request)
    if request.sampling == "segments":
        return mvbench_frames(len(spans_s), fps, request, counts_from), len(candidates)
    n_frames = request.max_frames
    if request.sampling == "fps":
        assert request.rate_fps is not None  # `Scoring` holds that
        length_s = spans_s[candidates[-1], 1] - spans_s[candidates[0], 0]
        n_frames = min(n_frames, max(1, round(float(length_s) * request.rate_fps)))
    return midpoints(candidates, n_frames), len(candidates)


def midpoints(candidates: Sequence[int], max_frames: int) -> list[int]:
    """All of them, or those at the mid-points of `max_frames` equal segments; none twice."""
    n = len(candidates)
    if n <= max_frames:
        return list(candidates)
    return [candidates[(2 * i + 1) * n // (2 * max_frames)] for i in range(max_frames)]


def mvbench_frames(
    n_source: int, fps: float, request: FrameRequest, counts_from: int = 0
) -> list[int]:
    """MVBench's frames: `int(start + seg / 2 + round(seg * i))` of N segments, repeats and all.

    Source: OpenGVLab/Ask-Anything, video_chat2/mvbench.ipynb, `get_index`: the bound in frames is
    the rounded product of time and rate, and ends at the last frame. Its numbers are kept where
    they are those of frames: a bound that begins in the last half of the last frame gives that
    frame and then the one before it, as there. Others, by which it fails, become the nearest ones.

    Args:
        n_source: Frames of the video.
        fps: Its rate.
        request: Bound, and how many segments.
        counts_from: Number of the first frame: 0 in a video, 1 in a directory, by its files' names.
            So the same second is one frame earlier in a directory.
    """
    last = counts_from + n_source - 1
    start = counts_from if request.start_s is None else round(request.start_s * fps)
    end = last if request.end_s is None else min(round(request.end_s * fps), last)
    start = max(start, counts_from)
    segment = (end - start) / request.max_frames
    # numpy's round, as there: halves to the even number
    chosen = [int(start + segment / 2 + np.round(segment * i)) for i in range(request.max_frames)]
    return [min(max(index, counts_from), last) - counts_from for index in chosen]
