"""Evidence that is published as numbers of frames becomes times.

    item, flags = with_frames(item, (854, 948), Path("clip.mp4"))

Only the video knows how long a frame of it lasts, so its header is read, and none of its frames.
This file must not know any benchmark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from merit_interp.benchmarks.items import Item


def with_frames(item: Item, frames: Sequence[int], video: Path) -> tuple[Item, tuple[str, ...]]:
    """The item with the times of frames as its evidence, and flags that say what was dropped.

    Args:
        item: Without evidence.
        frames: Numbers of frames of the video, from 0.
        video: The file, or a directory of frames whose rate is the item's.
    """
    rate, duration_s = (item.fps, None) if video.is_dir() else header_of(video)
    if not rate:
        return item, ("evidence frames were dropped: the video's rate cannot be read",)
    spans = [(frame / rate, (frame + 1) / rate) for frame in sorted(set(frames)) if frame >= 0]
    inside = [span for span in spans if duration_s is None or span[0] < duration_s]
    flags: tuple[str, ...] = ()
    if len(inside) < len(spans):
        flags += ("evidence frames past the end were dropped",)
    asked = [span for span in inside if _is_asked_about(span[0], item)]
    if len(asked) < len(inside):
        flags += ("evidence frames outside the part that is asked about were dropped",)
    if not asked:
        return item, flags
    return dataclasses.replace(item, evidence=tuple(asked), evidence_kind="frame"), flags


def _is_asked_about(time_s: float, item: Item) -> bool:
    return time_s >= (item.start_s or 0.0) and (item.end_s is None or time_s < item.end_s)


# rows are rarely in the order of their videos, and a header takes milliseconds: a few hundred KiB
@lru_cache(maxsize=4096)
def header_of(video: Path) -> tuple[float | None, float | None]:
    """Mean rate in frames per second and duration in seconds, as the file's header has them.

    Each is None where it cannot be read.
    """
    import av  # slow to load, and few benchmarks need it

    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                return None, None
            stream = container.streams.video[0]
            rate = float(stream.average_rate) if stream.average_rate else None
            # sound may go on after the pictures
            if stream.duration and stream.time_base:
                return rate, float(stream.duration * stream.time_base)
            duration = container.duration
    except (av.FFmpegError, OSError):
        return None, None
    return rate, duration / av.time_base if duration else None
