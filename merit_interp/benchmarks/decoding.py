"""The videos of items, decoded: every stage that looks at pixels gets them here.

    videos = ItemVideos(item_file, Scoring(max_frames=16), DecodingSettings(time_limit_s=60))
    video = videos.decoded(item)
    videos.reports([item])[0].problems

Decoding is done by a child process with a time limit for each video, and its frames are kept in a
cache. This file must not know models or what is done with the frames.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from merit_interp.benchmarks.decoding_process import decoding_process
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.frame_cache import FrameCache
from merit_interp.benchmarks.frame_sources import ARRAY_SUFFIXES
from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.benchmarks.reading import READING_VERSION, Reading
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.benchmarks.videos import Video, video_of
from merit_interp.errors import FailedItemsError, RunError, VideoError
from merit_interp.record_files import read_jsonl, write_whole
from merit_interp.records import DecodeReport
from merit_interp.scoring_settings import Scoring

DECODING = "decoding.jsonl"
"""A run's reports, a line an item."""
KEY_SHARE = 0.5
"""Share of the time limit in which the whole of a file is read, to know whether its frames are
kept; what takes longer is decoded each time."""
NAMED_FAILURES = 3
"""Failed items that the error names."""


class Decoder:
    """Decodes videos in the child process, or finds their frames in the cache.

    Args:
        settings: Time limit and cache.
    """

    def __init__(self, settings: DecodingSettings) -> None:
        self.settings = settings
        self._cache: FrameCache | None = None
        if settings.cache is not None:
            self._cache = FrameCache(settings.cache, int(settings.cache_gib * 2**30))

    def decode(self, path: Path, request: FrameRequest) -> Video:
        """The frames of a video.

        Raises:
            VideoError: It cannot be decoded, or not within the time limit.
        """
        return video_of(self.read(path, request))

    def read(self, path: Path, request: FrameRequest) -> Reading:
        """The frames of a video, and how they came about; raises as `decode`."""
        started = time.monotonic()
        key = None if self._cache is None else self._key(path, request)
        if self._cache is not None and key is not None:
            kept = self._cache.get(key)
            if kept is not None:
                return Reading.from_row(*kept)
        row, frames = decoding_process().ask(
            path, request, limit_s=self.settings.time_limit_s, spent_s=time.monotonic() - started
        )
        if self._cache is not None and key is not None:
            self._cache.put(key, row, frames)
        return Reading.from_row(row, frames)

    def _key(self, path: Path, request: FrameRequest) -> str | None:
        """Name of a video file's frames; None for what is read as quickly as a cache."""
        if path.suffix.lower() in ARRAY_SUFFIXES:
            return None
        also = (json.dumps(request.to_row()), _decoder_versions())
        try:
            return decoding_process().key(
                path, also, limit_s=KEY_SHARE * self.settings.time_limit_s
            )
        except VideoError:
            return None  # a file that cannot be read in time may still be decoded


@functools.cache
def _decoder_versions() -> str:
    versions = {name: importlib.metadata.version(name) for name in ("av", "decord", "pillow")}
    return json.dumps({**versions, "reading": READING_VERSION})


@dataclass(frozen=True)
class _Outcome:
    """What became of one clip."""

    requested: int
    seconds: float
    reading: Reading | None = None
    """Without its frames."""
    reason: str = ""
    pixels: str = ""
    """Checksum of its frames."""

    def report(self, item: Item, item_set: str) -> DecodeReport:
        if self.reading is None:
            return DecodeReport(
                item=item.id, video=item.video, item_set=item_set, requested=self.requested,
                status="failed", problems=(self.reason,), seconds=self.seconds,
                pixels=self.pixels,
            )  # fmt: skip
        decoded = len(self.reading.indices)
        status: Literal["ok", "short", "damaged"] = "ok"
        if self.reading.problems:
            status = "damaged"
        elif decoded < self.requested:
            status = "short"
        return DecodeReport(
            item=item.id, video=item.video, item_set=item_set, requested=self.requested,
            decoded=decoded, replaced=self.reading.replaced, duplicates=self.reading.duplicates,
            decoder=self.reading.decoder, status=status, problems=self.reading.problems,
            seconds=self.seconds, pixels=self.pixels,
        )  # fmt: skip


_Clip = tuple[str, float | None, float | None, float | None]


class ItemVideos:
    """Decodes the videos of one items file, and reports on each item.

    Args:
        item_file: Where the items are from; their videos lie beside it.
        scoring: Which frames are taken.
        settings: How they are decoded.
    """

    def __init__(
        self,
        item_file: ItemFile,
        scoring: Scoring,
        settings: DecodingSettings | None = None,
    ) -> None:
        self.item_file = item_file
        self.scoring = scoring
        self._decoder = Decoder(settings or DecodingSettings())
        self._outcomes: dict[_Clip, _Outcome] = {}

    def decoded(self, item: Item) -> Video:
        """The frames of an item's video.

        Raises:
            VideoError: It cannot be decoded, or lies where an items file may not point to.
        """
        request = self.request(item)
        started = time.monotonic()
        try:
            reading = self._decoder.read(self._path(item), request)
        except VideoError as error:
            seconds = round(time.monotonic() - started, 4)
            outcome = _Outcome(request.max_frames, seconds, reason=str(error))
            self._outcomes.setdefault(_clip(item), outcome)
            raise
        seconds = round(time.monotonic() - started, 4)
        # a video that is decoded again later is no other
        if _clip(item) not in self._outcomes:
            # by a rate there are as many as the clip is long
            requested = len(reading.indices) if request.sampling == "fps" else request.max_frames
            self._outcomes[_clip(item)] = _Outcome(
                requested, seconds, reading.without_frames(), pixels=_checksum(reading)
            )
        return video_of(reading)

    def request(self, item: Item) -> FrameRequest:
        """Which frames are taken of an item's video."""
        return FrameRequest(
            self.scoring.max_frames,
            sampling=self.scoring.sampling,
            rate_fps=self.scoring.fps,
            max_side=self.scoring.max_side,
            start_s=item.start_s,
            end_s=item.end_s,
            source_fps=item.fps,
        )

    def reports(self, items: Iterable[Item], item_set: str = "") -> list[DecodeReport]:
        """What became of each item whose video was decoded, in their order."""
        return [
            self._outcomes[_clip(item)].report(item, item_set)
            for item in items
            if _clip(item) in self._outcomes
        ]

    def _path(self, item: Item) -> Path:
        """Where the item's video is.

        Raises:
            VideoError: A relative path, or a link that it goes through, leaves the items' folder,
                or it is no path.
        """
        if not Path(item.video).is_absolute():
            folder = self.item_file.path.parent
            valid = "a path inside it, or an absolute path"
            if Path(os.path.normpath(item.video)).parts[:1] == ("..",):
                raise VideoError(
                    f"video {item.video!r} leaves the folder of the items file", valid=valid
                )
            try:
                real = (folder / item.video).resolve()
            except (OSError, RuntimeError, ValueError) as error:
                # links in a circle, a name that is too long, a byte that no name may have
                raise VideoError(f"video {item.video!r}: no such path: {error}") from None
            if not real.is_relative_to(folder.resolve()):
                raise VideoError(
                    f"video {item.video!r} is a link out of the items file's folder, to {real}",
                    valid=valid,
                )
        return self.item_file.video_path(item)


def _clip(item: Item) -> _Clip:
    return item.video, item.start_s, item.end_s, item.fps


def _checksum(reading: Reading) -> str:
    frames = np.ascontiguousarray(reading.frames)
    return f"{zlib.crc32(frames.reshape(-1).data):08x}"


def refuse_failures(
    videos: ItemVideos,
    items: Sequence[Item],
    failures: Mapping[int, str],
    max_failed: float,
    wanted: str = "scored",
) -> None:
    """End a run of which more items failed than it may go on with.

    Args:
        videos: What decoded them.
        items: All items of the run.
        failures: Why an item failed, by its place in `items`; not all for their videos.
        max_failed: Share of items that may fail.
        wanted: What the others would be.

    Raises:
        FailedItemsError: More did; it has what became of each.
    """
    if _may_fail(len(failures), len(items), max_failed):
        return
    named = [
        f"{items[place].id} ({reason})" for place, reason in list(failures.items())[:NAMED_FAILURES]
    ]
    more = len(failures) - len(named)
    reports = {report.item: report for report in videos.reports(items)}
    for place, reason in failures.items():
        item = items[place]
        known = reports.get(item.id) or DecodeReport(item=item.id, video=item.video, requested=0)
        reports[item.id] = dataclasses.replace(known, status="failed", problems=(reason,))
    # no run was begun on these frames, and another one may be on others
    rows = [{**report.to_row(), "pixels": None} for report in reports.values()]
    raise FailedItemsError(
        f"{len(failures)} of {len(items)} items cannot be {wanted}: "
        f"{', '.join(named)}{f' and {more} more' if more else ''}",
        rows=rows,
        valid=f"items that `items check` accepts, or --max-failed "
        f"{_share_to_allow(len(failures), len(items)):g} or more",
    )


def _may_fail(n_failed: int, n_items: int, max_failed: float) -> bool:
    return n_failed <= max_failed * n_items


def _share_to_allow(n_failed: int, n_items: int) -> float:
    """The least share in thousandths with which a run of so many failed items goes on."""
    least = n_failed * 1000 // n_items
    # rounded up, and beyond what a product of floats may lose: 0.29 of 100 is less than 29
    shares = (thousandths / 1000 for thousandths in range(least, 1001))
    return next(share for share in shares if _may_fail(n_failed, n_items, share))


def write_reports(run: Path, sets: Mapping[str, tuple[ItemVideos, Sequence[Item]]]) -> None:
    """Write a run's decoding.jsonl: a line for each item of each set whose video was opened.

    Raises:
        RunError: It cannot be written, or the run was begun on other frames of a video.
    """
    reports = [
        report for name, (videos, items) in sets.items() for report in videos.reports(items, name)
    ]
    _refuse_other_frames(run, reports)
    lines = [json.dumps(report.to_row(), ensure_ascii=False) + "\n" for report in reports]
    write_whole(run / DECODING, "".join(lines).encode())


def _refuse_other_frames(run: Path, reports: Iterable[DecodeReport]) -> None:
    """Refuse to go on with a run whose records are of other frames, as of a video since replaced.

    Raises:
        RunError: The frames of an item are not those of the run's own decoding.jsonl.
    """
    before = {
        (row["item_set"], row["item"], row["video"]): row.get("pixels")
        for row in read_jsonl(run / DECODING)
    }
    changed = [
        report
        for report in reports
        if before.get((report.item_set, report.item, report.video), report.pixels)
        not in (None, report.pixels)
    ]
    if not changed:
        return
    first = changed[0]
    now = "its frames are not those of then"
    if not first.pixels:
        now = f"it cannot be read now ({first.problems[0]})"
    more = len({report.video for report in changed}) - 1
    raise RunError(
        f"{run} was begun on another {first.video} (item {first.item}): {now}"
        + (f"; {more} more changed too" if more else ""),
        valid="--resume with the videos as they were, --overwrite, or another --out",
    )
