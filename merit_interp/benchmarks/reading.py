"""One video read: by the decoder that can, with all that was seen to be wrong with it.

    reading = read_video(Path("clip.mp4"), FrameRequest(max_frames=16))
    reading.frames.shape, reading.decoder, reading.problems

decord reads first. PyAV reads where decord cannot, where decord warns, and where the file's header
promises another number of frames than there are. This file loads no torch.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

from merit_interp.benchmarks.frame_sources import (
    ARRAY_SUFFIXES,
    ReadFrames,
    Source,
    open_array,
    open_frames,
)
from merit_interp.benchmarks.sampling import FrameRequest, chosen_frames
from merit_interp.benchmarks.video_files import (
    PacketTable,
    open_decord,
    open_pyav,
    packet_table,
)
from merit_interp.errors import VideoError

READING_VERSION = 3
"""Raised when the same file gives other frames: what was kept in caches does not hold then."""
_HEAD_BYTES = 512
MOST_REPLACED = 0.25
"""Share of a video's frames that may be missing or made from missing ones; with more, it is not the
video any more."""
NAMED_WARNINGS = 3
"""Different warnings of a decoder that a report quotes."""
FROZEN_FROM = 3
"""Repeats from which on a video of one picture is worth a word."""
_COUNT_SLACK = 2
"""Frames by which headers of good files are wrong."""

Warnings = Callable[[], str]
"""What decoders have printed since the last call."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Frames of a video, and how they came about."""

    frames: ndarray
    """(frames, height, width, 3) RGB."""
    spans_s: ndarray
    """(frames, 2) start and end of each of them, in seconds."""
    indices: tuple[int, ...]
    """Number of each in the source, from 0."""
    fps: float
    """Mean rate of the source."""
    n_source_frames: int
    n_clip_frames: int
    """Frames that these were chosen from."""
    duration_s: float
    """End of the source's last frame."""
    decoder: str
    """`decord`, `pyav`, `frames` or `array`."""
    replaced: int = 0
    """How many are the nearest frame that could be decoded."""
    doubtful: int = 0
    """How many of the others are made from frames that were lost."""
    problems: tuple[str, ...] = ()
    """All that was seen to be wrong, a line each."""
    duplicates: int = 0
    """How many are, in every pixel, the frame before them; many in a clip that stands still."""

    def without_frames(self) -> Reading:
        """The same without pixels, to be kept for long."""
        return dataclasses.replace(self, frames=self.frames[:0].copy())

    def to_row(self) -> dict[str, Any]:
        """All but the frames, as JSON values, and the frames' shape."""
        row = {name: value for name, value in vars(self).items() if name != "frames"}
        return {**row, "spans_s": self.spans_s.tolist(), "shape": list(self.frames.shape)}

    @classmethod
    def from_row(cls, row: dict[str, Any], frames: ndarray) -> Reading:
        """The reading of `to_row` and its frames."""
        values = {name: value for name, value in row.items() if name in cls.__dataclass_fields__}
        values["spans_s"] = np.asarray(row["spans_s"], dtype=np.float64).reshape(-1, 2)
        values["indices"] = tuple(row["indices"])
        values["problems"] = tuple(row["problems"])
        return cls(frames=frames, **values)


def read_video(path: Path, request: FrameRequest, warnings: Warnings = lambda: "") -> Reading:
    """Read the frames that are asked for.

    Args:
        path: Video file, directory of frames, or array of frames.
        request: Which frames.
        warnings: Where what the decoders print can be read.

    Raises:
        VideoError: The video is missing, empty, no video, too damaged, or has nothing in the bound.
    """
    path = Path(path)
    check_source(path)
    warnings()
    try:
        if path.is_dir():
            reading = _judged(path, _read(open_frames(path, request.source_fps), request))
        elif path.suffix.lower() in ARRAY_SUFFIXES:
            reading = _read(open_array(path, request.source_fps), request)
        else:
            reading = _read_file(path, request, warnings)
    except VideoError as error:
        if error.problem.startswith(str(path)):
            raise
        raise VideoError(f"{path}: {error.problem}", valid=error.valid) from None
    return _smaller(_with_duplicates(reading), request.max_side)


def check_source(path: Path) -> None:
    """Tell apart what decoders report with one text: missing, empty, no video.

    Raises:
        VideoError: It is one of these.
    """
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


def _read(source: Source, request: FrameRequest) -> Reading:
    indices, n_clip = chosen_frames(
        source.spans_s, source.fps, request, counts_from=source.counts_from
    )
    read: ReadFrames = source.read(indices)
    return Reading(
        frames=read.frames,
        spans_s=source.spans_s[indices],
        indices=tuple(indices),
        fps=source.fps,
        n_source_frames=len(source.spans_s),
        n_clip_frames=n_clip,
        duration_s=float(source.spans_s[-1, 1]),
        decoder=source.decoder,
        replaced=read.replaced,
        doubtful=read.doubtful,
        problems=read.problems,
    )


def _read_file(path: Path, request: FrameRequest, warnings: Warnings) -> Reading:
    packets = packet_table(path)
    refused = None
    if packets.exact_in_decord and not _length_problems(packets):
        # a bound outside the video is so for every decoder
        chosen_frames(packets.spans_s, packets.fps, request)
        try:
            source = open_decord(path)
            if len(source.spans_s) == len(packets.pts):
                # decord has the same times in numbers of half the length
                source = dataclasses.replace(source, spans_s=packets.spans_s, fps=packets.fps)
            reading = _read(source, request)
            del source
        except VideoError as error:
            refused = error.problem.removeprefix(f"{path}: ")
        else:
            # decord's threads have ended with its reader, and their warnings are complete
            seen = warnings()
            if not seen and reading.n_source_frames == len(packets.pts):
                return reading
            return _read_around(path, request, packets, seen, warnings, refused)
    return _read_around(path, request, packets, warnings(), warnings, refused)


def _read_around(
    path: Path,
    request: FrameRequest,
    packets: PacketTable,
    seen: str,
    warnings: Warnings,
    refused: str | None,
) -> Reading:
    """By PyAV, which goes on behind damage; with what decord had against the file."""
    reading = _read(open_pyav(path, packets), request)
    warned = _warning_lines(seen + warnings())[:NAMED_WARNINGS]
    problems = [*_length_problems(packets), *reading.problems, *warned]
    if refused is not None and (problems or reading.replaced):
        problems.append(refused)
    reading = dataclasses.replace(reading, problems=tuple(problems))
    return _judged(path, reading, _missing_share(packets, request))


def _judged(path: Path, reading: Reading, missing: float = 0.0) -> Reading:
    """The reading with its counts of replaced and doubtful frames among its problems.

    Args:
        path: The video.
        reading: What was read of it.
        missing: Share of the asked-for video that is known to be missing in another way.

    Raises:
        VideoError: Too much is missing.
    """
    n_frames = len(reading.indices)
    counts = {
        "were replaced": reading.replaced,
        "are made from damaged ones": reading.doubtful,
    }
    told = [f"{count} of {n_frames} frames {what}" for what, count in counts.items() if count]
    problems = (*told, *reading.problems)
    if max(missing, sum(counts.values()) / n_frames) > MOST_REPLACED:
        raise VideoError(f"{path}: too damaged: {'; '.join(problems)}")
    return dataclasses.replace(reading, problems=problems)


def _length_problems(packets: PacketTable) -> list[str]:
    n_frames = len(packets.pts)
    if packets.stated_frames is not None:
        slack = max(_COUNT_SLACK, packets.stated_frames // 100)
        if abs(packets.stated_frames - n_frames) > slack:
            return [f"{n_frames} frames are there, {packets.stated_frames} by the file's header"]
        return []
    end = float(packets.spans_s[-1, 1]) + packets.late_s
    # other streams may be longer than the video's; a header without a count knows no better
    if packets.stated_s is not None and end < 0.9 * packets.stated_s - 1.0:
        return [f"frames end at {end:g} s, the file at {packets.stated_s:g} s by its header"]
    return []


def _missing_share(packets: PacketTable, request: FrameRequest) -> float:
    """Share of the asked-for video that the file has lost, where its header tells."""
    end = float(packets.spans_s[-1, 1])
    if not _length_problems(packets) or (request.end_s is not None and request.end_s <= end):
        return 0.0
    if packets.stated_frames is not None:
        return 1 - len(packets.pts) / packets.stated_frames
    return 1 - end / packets.stated_s if packets.stated_s else 0.0


def _warning_lines(text: str) -> list[str]:
    """Different lines without addresses, which differ from run to run."""
    lines = (re.sub(r" ?@ 0x[0-9a-f]+", "", line).strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _with_duplicates(reading: Reading) -> Reading:
    pairs = itertools.pairwise(zip(reading.indices, reading.frames, strict=True))
    # a frame that was asked for twice is no duplicate
    duplicates = sum(i != j and np.array_equal(one, other) for (i, one), (j, other) in pairs)
    problems = reading.problems
    if duplicates >= FROZEN_FROM and duplicates == len(reading.frames) - 1:
        problems = (*problems, f"all {len(reading.frames)} frames are the same picture")
    return dataclasses.replace(reading, duplicates=duplicates, problems=problems)


def _smaller(reading: Reading, max_side: int | None) -> Reading:
    height, width = reading.frames.shape[1:3]
    if max_side is None or max(height, width) <= max_side:
        return reading
    share = max_side / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    frames = np.stack(
        [
            np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
            for frame in reading.frames
        ]
    )
    return dataclasses.replace(reading, frames=frames)
