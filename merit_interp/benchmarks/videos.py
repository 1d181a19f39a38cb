"""Videos as a few RGB frames and the times that they stand for.

    video = decode_video(Path("clip.mp4"), max_frames=16)
    video.frames.shape, video.times_s

`decode_video` decodes in this process; `decoding.Decoder` does it in another one, with a time
limit and a cache. What cannot be read is a `VideoError` with the reason. This file must not know
items or models.

decord brings its own libav and must be imported after torch, or the process crashes (decord #293,
lmms-eval #1432); the shape annotations below import torch, and decord is imported on first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from merit_interp.benchmarks.reading import Reading, read_video
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.tensor_shapes import Frames, FrameTimes


@dataclass(frozen=True, eq=False)
class Video:
    """Frames sampled from a clip, each with its own time in the source."""

    frames: Frames
    times_s: FrameTimes
    """Mid-time of each sampled frame."""
    spans_s: tuple[tuple[float, float], ...]
    """Start and end of each sampled frame."""
    indices: tuple[int, ...]
    """Number of each sampled frame in the source, from 0."""
    fps: float
    """Mean rate of the source, in frames per second."""
    n_source_frames: int
    n_clip_frames: int
    """Frames that these were sampled from: those of the source, or of the part between bounds."""
    duration_s: float
    """End of the source's last frame."""
    backend: str
    """What read it: `decord`, `pyav`, `frames` or `array`."""


def video_of(reading: Reading) -> Video:
    """The video of what was read."""
    return Video(
        frames=reading.frames,
        times_s=reading.spans_s.mean(axis=1),
        spans_s=tuple((float(start), float(end)) for start, end in reading.spans_s),
        indices=reading.indices,
        fps=reading.fps,
        n_source_frames=reading.n_source_frames,
        n_clip_frames=reading.n_clip_frames,
        duration_s=reading.duration_s,
        backend=reading.decoder,
    )


def decode_video(
    path: Path,
    *,
    max_frames: int,
    start_s: float | None = None,
    end_s: float | None = None,
    fps: float | None = None,
) -> Video:
    """Sample frames of a video, or of the part of it between two times.

    All frames where there are no more than `max_frames`, else the frames at the mid-points of
    `max_frames` equal segments; none is taken twice.

    Args:
        path: Video file, directory of frames in the order of their numbers, or array of frames.
        max_frames: Most frames to take.
        start_s: Frames are taken from here on, in seconds.
        end_s: Frames are taken up to here, in seconds.
        fps: Rate of a directory or an array of frames.

    Raises:
        VideoError: The video is missing, empty, no video, damaged, or has nothing in the bound.
    """
    request = FrameRequest(max_frames, start_s=start_s, end_s=end_s, source_fps=fps)
    return video_of(read_video(Path(path), request))
