"""Evidence that is published as numbers of frames becomes times.

    item, flags = with_frames(item, (854, 948), Path("clip.mp4"))

Only the video knows when a frame of it is shown, so its header and packets are read, of the stream
that is decoded later, and no frame. This file must not know any benchmark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from merit_interp.benchmarks.annotation_files import RowError
from merit_interp.benchmarks.items import Item, Span
from merit_interp.benchmarks.video_files import packet_table
from merit_interp.errors import VideoError


def frame_numbers(value: object, name: str) -> tuple[int, ...]:
    """A field's numbers of frames; a table with gaps holds them as floats.

    Args:
        value: What was read.
        name: Of the field, for the message.

    Raises:
        RowError: It is no list of whole numbers.
    """
    whole = isinstance(value, list) and all(
        type(number) is int or (isinstance(number, float) and number.is_integer())
        for number in value
    )
    if not isinstance(value, list) or not whole:
        raise RowError(f"field {name!r} is no list of frame numbers")
    return tuple(int(number) for number in value)


def with_frames(item: Item, frames: Sequence[int], video: Path) -> tuple[Item, tuple[str, ...]]:
    """The item with the times of frames as its evidence, and flags that say what was dropped.

    Args:
        item: Without evidence.
        frames: Numbers of frames of the video, from 0.
        video: The file, or a directory of frames whose rate is the item's.
    """
    numbers = [frame for frame in sorted(set(frames)) if frame >= 0]
    if video.is_dir():
        if not item.fps:
            return item, ("evidence frames were dropped: the frames have no rate",)
        spans = [(number / item.fps, (number + 1) / item.fps) for number in numbers]
    else:
        times = _TIMES.of(video)
        if times is None:
            return item, ("evidence frames were dropped: the video's times cannot be read",)
        spans = [_span(times, number) for number in numbers if number < len(times)]
    flags: tuple[str, ...] = ()
    if len(spans) < len(numbers):
        flags += ("evidence frames past the end were dropped",)
    asked = [span for span in spans if _is_asked_about(span[0], item)]
    if len(asked) < len(spans):
        flags += ("evidence frames outside the part that is asked about were dropped",)
    if not asked:
        return item, flags
    return dataclasses.replace(item, evidence=tuple(asked), evidence_kind="frame"), flags


def _span(times: npt.NDArray[np.float64], number: int) -> Span:
    return float(times[number, 0]), float(times[number, 1])


def _is_asked_about(time_s: float, item: Item) -> bool:
    return time_s >= (item.start_s or 0.0) and (item.end_s is None or time_s < item.end_s)


_MOST_FRAMES_HELD = 4_000_000


class _FrameTimes:
    """When the frames of videos are shown, held for a while: 64 MB at most.

    Rows are rarely in the order of their videos, and reading an hour's packets takes seconds.
    """

    def __init__(self) -> None:
        self._held: dict[Path, npt.NDArray[np.float64] | None] = {}
        self._n_frames = 0

    def of(self, video: Path) -> npt.NDArray[np.float64] | None:
        """(frames, 2) starts and ends in seconds; None where they cannot be read."""
        if video not in self._held:
            try:
                times = np.asarray(packet_table(video).spans_s, dtype=np.float64)
            except VideoError:
                times = None
            self._n_frames += 0 if times is None else len(times)
            if self._n_frames > _MOST_FRAMES_HELD:
                self._held.clear()
                self._n_frames = 0 if times is None else len(times)
            self._held[video] = times
        return self._held[video]


_TIMES = _FrameTimes()
