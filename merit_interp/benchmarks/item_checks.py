"""Every fault of an items file at once, its videos included.

    check = check_items(Path("items.jsonl"))
    for fault in check.faults: print(fault)

This file must not know models; it decodes a few frames of each video and keeps none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.decoding import ItemVideos
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.items import Fault, Item, ItemFile, parse_items
from merit_interp.errors import VideoError
from merit_interp.scoring_settings import Scoring

PROBE_FRAMES = 4
"""Frames decoded of each video, spread over its length."""


@dataclass(frozen=True)
class ItemCheck:
    """What an items file holds, and all that is wrong with it."""

    n_items: int
    """Items whose fields could be read."""
    n_videos: int
    """Different videos among them."""
    skills: Mapping[str, int]
    """Items of each skill."""
    categories: Mapping[str, int]
    """Items of each category."""
    faults: tuple[Fault, ...]
    """In the order of their lines."""

    def to_row(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "n_items": self.n_items,
            "n_videos": self.n_videos,
            "skills": dict(self.skills),
            "categories": dict(self.categories),
            "faults": [vars(fault) for fault in self.faults],
        }


def check_items(
    path: Path,
    *,
    decoding: DecodingSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ItemCheck:
    """Check the text of every line and open the video of every item.

    Args:
        path: The items file.
        decoding: How videos are decoded; the defaults if not given.
        progress: Told how many items are done, and of how many.

    Raises:
        ItemError: The file cannot be read or holds nothing.
    """
    path = Path(path)
    parsed = parse_items(path)
    faults = list(parsed.faults)
    faulty = {fault.line for fault in faults}
    items = tuple(item for _, item in parsed.lines)
    file = ItemFile(path, items, parsed.sha256)
    videos = ItemVideos(file, Scoring(max_frames=PROBE_FRAMES), decoding)
    opened: dict[tuple[object, ...], _Opened | VideoError] = {}
    for done, (line, item) in enumerate(parsed.lines, start=1):
        # a line with faulty times or paths cannot be held against its video
        if line not in faulty:
            problems = _video_problems(videos, item, opened)
            faults += [Fault(line, item.id, problem) for problem in problems]
        if progress is not None:
            progress(done, len(parsed.lines))
    return ItemCheck(
        n_items=len(items),
        n_videos=len({item.video for item in items}),
        skills=Counter(item.skill for item in items),
        categories=Counter(item.category for item in items if item.category),
        faults=tuple(sorted(faults, key=lambda fault: fault.line)),
    )


@dataclass(frozen=True)
class _Opened:
    duration_s: float
    fps: float
    problems: tuple[str, ...]
    """What the decoder saw to be wrong with a video that can be used."""


def _video_problems(
    videos: ItemVideos, item: Item, opened: dict[tuple[object, ...], _Opened | VideoError]
) -> list[str]:
    bound = (item.video, item.start_s, item.end_s, item.fps)
    if bound not in opened:
        opened[bound] = _open(videos, item)
    video = opened[bound]
    if isinstance(video, VideoError):
        return [str(video)]
    # times are written by people and rounded: a frame's length is no fault
    slack_s = 1.0 / video.fps
    first_s = item.start_s or 0.0
    last_s = video.duration_s if item.end_s is None else item.end_s
    problems = list(video.problems)
    if last_s > video.duration_s + slack_s:
        problems.append(f"end_s {last_s:g} lies after the video's end at {video.duration_s:g} s")
    problems += [
        f"evidence {start:g} to {end:g} s lies outside {first_s:g} to {last_s:g} s"
        for start, end in item.evidence
        if start < first_s - slack_s or end > last_s + slack_s
    ]
    return problems


def _open(videos: ItemVideos, item: Item) -> _Opened | VideoError:
    try:
        video = videos.decoded(item)
    except VideoError as error:
        return error
    (report,) = videos.reports([item])
    return _Opened(video.duration_s, video.fps, report.problems)
