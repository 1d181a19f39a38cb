"""Videos as a few RGB frames and the times that they stand for.

    video = decode_video(Path("clip.mp4"), max_frames=16)
    video.frames.shape, video.times_s

A file is read by decord; a directory of frames by Pillow, at a rate that the item must name. What
cannot be read is a `VideoError` with the reason. This file must not know items or models.

decord brings its own libav and must be imported after torch, or the process crashes (decord #293,
lmms-eval #1432); the shape annotations below import torch, and decord is imported on first use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from merit_interp.errors import VideoError
from merit_interp.tensor_shapes import Frame, Frames, FrameTimes, SourceSpans

FRAME_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
_HEAD_BYTES = 512


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
    """What read it: `decord` or `frames`."""


@dataclass(frozen=True, eq=False)
class _Source:
    """An opened video: when each of its frames is shown, and how to read some of them."""

    spans_s: SourceSpans
    fps: float
    backend: str
    read: Callable[[Sequence[int]], Frames]


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
        path: Video file, or directory of frames in the order of their numbers.
        max_frames: Most frames to take.
        start_s: Frames are taken from here on, in seconds.
        end_s: Frames are taken up to here, in seconds.
        fps: Rate of a directory of frames.

    Raises:
        VideoError: The video is missing, empty, no video, damaged, or has nothing in the bound.
    """
    path = Path(path)
    _check_source(path)
    source = _open_frames(path, fps) if path.is_dir() else _open_decord(path)
    candidates = _within(source.spans_s, start_s, end_s, path)
    indices = _sampled(candidates, max_frames)
    spans = source.spans_s[indices]
    return Video(
        frames=source.read(indices),
        times_s=spans.mean(axis=1),
        spans_s=tuple((float(start), float(end)) for start, end in spans),
        indices=tuple(indices),
        fps=source.fps,
        n_source_frames=len(source.spans_s),
        n_clip_frames=len(candidates),
        duration_s=float(source.spans_s[-1, 1]),
        backend=source.backend,
    )


def _check_source(path: Path) -> None:
    """Tell apart what decord reports with one text: missing, empty, no video."""
    try:
        if path.is_dir():
            return
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise VideoError(f"{path}: {error.strerror}", valid="a video file") from None
    if not head:
        raise VideoError(f"{path}: the file is empty", valid="a video file")
    if _is_text(head):
        shown = head[:40].decode(errors="ignore").strip()
        raise VideoError(f"{path}: the file is text ({shown!r})", valid="a video file")


def _is_text(head: bytes) -> bool:
    # a character cut at the end of the head is no sign of binary content
    text = head.decode("utf-8", errors="replace").rstrip("\ufffd")
    return "\ufffd" not in text and all(c.isprintable() or c in "\t\r\n\f" for c in text)


def _within(
    spans_s: SourceSpans, start_s: float | None, end_s: float | None, path: Path
) -> list[int]:
    """Frames whose mid-time lies in the bound; the nearest one where the bound is shorter."""
    start = 0.0 if start_s is None else start_s
    end = float(spans_s[-1, 1]) if end_s is None else end_s
    times = spans_s.mean(axis=1)
    if start_s is None and end_s is None:
        return list(range(len(times)))
    inside = np.flatnonzero((times >= start) & (times <= end))
    if len(inside):
        return [int(i) for i in inside]
    if start >= spans_s[-1, 1] or end <= spans_s[0, 0]:
        raise VideoError(
            f"{path}: nothing between {start:g} s and {end:g} s",
            valid=f"{spans_s[0, 0]:g} to {spans_s[-1, 1]:g} s",
        )
    return [int(np.abs(times - (start + end) / 2).argmin())]


def _sampled(candidates: Sequence[int], max_frames: int) -> list[int]:
    n = len(candidates)
    if n <= max_frames:
        return list(candidates)
    return [candidates[(2 * i + 1) * n // (2 * max_frames)] for i in range(max_frames)]


@cache
def _decord() -> Any:
    # decord reads it once, when it is imported; long videos need more than its own 10240
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "20480")
    import torch  # noqa: F401  (before decord, see above)

    try:
        import decord
    except ImportError as error:
        raise VideoError(
            f"decord cannot be imported: {error}", valid="pip install decord"
        ) from None
    return decord


def _open_decord(path: Path) -> _Source:
    decord = _decord()
    errors = (RuntimeError, decord.DECORDError)
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0))
        n_frames = len(reader)
        spans = reader.get_frame_timestamp(np.arange(n_frames)).astype(np.float64)
        fps = float(reader.get_avg_fps())
    except errors as error:
        raise VideoError(f"{path}: decord cannot open it: {_reason(error)}") from None
    if not (n_frames and fps > 0 and spans[-1, 1] > 0):
        raise VideoError(f"{path}: the video has no frames, or they have no times")

    def read(indices: Sequence[int]) -> Frames:
        try:
            frames: ndarray = reader.get_batch(list(indices)).asnumpy()
            # without a seek the decoder thread goes on and fills the memory (decord #208)
            reader.seek(0)
        except errors as error:
            raise VideoError(f"{path}: decord cannot decode it: {_reason(error)}") from None
        return frames

    return _Source(spans, fps, "decord", read)


def _reason(error: Exception) -> str:
    """Message of decord without time, source line and addresses, which differ from run to run."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = re.sub(r"^\[[\d:]+\] \S+?:\d+: ", "", lines[0])
    text = re.sub(r"\s*\([^()]* vs\. [^()]*\)", "", text)
    return text.rpartition("ERROR ")[2].strip()


def _open_frames(path: Path, fps: float | None) -> _Source:
    names = sorted(
        (file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES),
        key=lambda file: [
            int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)
        ],
    )
    if not names:
        raise VideoError(
            f"{path}: the directory holds no frames",
            valid=f"images named by number ({', '.join(sorted(FRAME_SUFFIXES))})",
        )
    if not fps:
        raise VideoError(
            f"{path}: a directory of frames does not know its rate", valid="an item with fps"
        )
    edges = np.arange(len(names) + 1) / fps
    spans = np.stack([edges[:-1], edges[1:]], axis=1)

    def read(indices: Sequence[int]) -> Frames:
        frames = [_read_frame(names[i]) for i in indices]
        sizes = {frame.shape for frame in frames}
        if len(sizes) > 1:
            raise VideoError(f"{path}: its frames have {len(sizes)} sizes", valid="one size")
        return np.stack(frames)

    return _Source(spans, fps, "frames", read)


def _read_frame(path: Path) -> Frame:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise VideoError(f"{path}: the frame cannot be read: {error}") from None
