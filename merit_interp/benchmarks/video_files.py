"""Video files by two decoders that give the same frames at the same times: decord and PyAV.

    source = open_decord(path)
    source.read([0, 7]).frames

decord is the quicker one, but it knows no AV1, stops at a damaged packet, and may turn for ever
where a file promises more frames than it has. PyAV reads around damage and says what it replaced.

Source of the decoders' faults: dmlc/decord issues 83, 208, 276, 321, 373, and our own trials. This
file loads no torch; where torch is in the process, it must have been imported before decord.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from merit_interp.benchmarks.frame_sources import ReadFrames, Source
from merit_interp.errors import VideoError

FAR_FRAMES = 8
"""A key frame as near as this is not sought: the frames before it are decoded on the way."""


@cache
def _decord() -> Any:
    # decord reads it once, when it is imported; long videos need more than its own 10240
    os.environ.setdefault("DECORD_EOF_RETRY_MAX", "20480")
    try:
        import decord
    except ImportError as error:
        raise VideoError(
            f"decord cannot be imported: {error}", valid="pip install decord"
        ) from None
    return decord


def open_decord(path: Path) -> Source:
    """A video file by decord.

    Raises:
        VideoError: decord cannot open it, or it has no frames.
    """
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

    def read(indices: Sequence[int]) -> ReadFrames:
        try:
            frames: ndarray = reader.get_batch(list(indices)).asnumpy()
            # without a seek the decoder thread goes on and fills the memory (decord #208)
            reader.seek(0)
        except errors as error:
            raise VideoError(f"{path}: decord cannot decode it: {_reason(error)}") from None
        return ReadFrames(frames)

    return Source(spans, fps, "decord", read)


def _reason(error: Exception) -> str:
    """Message of decord without time, source line and addresses, which differ from run to run."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = lines[0]
    while (shorter := re.sub(r"^\[[\d:]+\] \S+?:\d+: ", "", text)) != text:
        text = shorter
    text = re.sub(r"\s*\([^()]* vs\. [^()]*\)", "", text)
    return text.rpartition("ERROR ")[2].strip()


@dataclass(frozen=True)
class PacketTable:
    """What a file's header and packets say of its video stream, without a frame decoded."""

    pts: list[int]
    """When each frame is shown, ascending, in the stream's own unit."""
    spans_s: ndarray
    """(frames, 2) the same in seconds from the first frame on: start and end."""
    key_pts: list[int]
    """Of frames that decoding can begin at, ascending."""
    fps: float
    stated_frames: int | None
    """Frames by the header, where it says."""
    stated_s: float | None
    """End by the header in seconds, where it says; from the first frame on or from the stream's
    zero, which formats do differently."""
    late_s: float
    """When the first frame is shown, after the stream's zero."""
    exact_in_decord: bool
    """Whether decord gives the frame that is asked for."""
    by_count: bool
    """Whether the file does not say when its frames are shown: `pts` are their numbers then, and
    only reading from the start finds them."""


EXACT_CONTAINERS = frozenset({"avi", "matroska", "mov", "mp4", "webm"})
"""Others have no index, and decord counts frames from where it happened to land."""


def packet_table(path: Path) -> PacketTable:
    """Read a video file's header and packets.

    Raises:
        VideoError: It is no video file, or has no video in it.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            seconds = None
            if stream.duration and stream.time_base:
                seconds = float(stream.duration * stream.time_base)
            elif container.duration:
                seconds = container.duration / av.time_base
            rate = float(stream.average_rate or stream.base_rate or 0)
            packets, n_untimed = _shown_packets(container, stream)
            in_order = container.format.name == "avi" and stream.codec_context.has_b_frames
            by_count = n_untimed > len(packets) or (in_order and _ascend(packets))
            unit = stream.time_base
            if by_count:
                unit = 1 / Fraction(rate or 1).limit_denominator(1001)
                packets = [_Packet(n, 1, n == 0) for n in range(len(packets) + n_untimed)]
            if not (packets and rate > 0):
                raise VideoError(f"{path}: the video has no frames, or they have no times")
            length = {packet.pts: packet.duration for packet in packets}
            pts = sorted(packet.pts for packet in packets)
            starts = np.array([time - pts[0] for time in pts]) * float(unit)
            lengths = [float(length[t] * unit) if length[t] else 1 / rate for t in pts]
            # decord wants a depth of 8 bits; of others it makes other colours
            pixels = stream.codec_context.format
            plain = pixels is not None and all(part.bits == 8 for part in pixels.components)
            known = not EXACT_CONTAINERS.isdisjoint(container.format.name.split(","))
            return PacketTable(
                pts=pts,
                spans_s=np.stack([starts, starts + lengths], axis=1),
                key_pts=sorted(packet.pts for packet in packets if packet.is_key),
                fps=rate,
                stated_frames=stream.frames or None,
                stated_s=seconds,
                late_s=max(0.0, pts[0] * float(unit)),
                exact_in_decord=plain and known and not (by_count or _leads_key_frames(packets)),
                by_count=by_count,
            )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: it cannot be opened as a video: {_av_reason(error)}") from None


class _Packet(NamedTuple):
    pts: int
    duration: int
    is_key: bool


def _shown_packets(container: Any, stream: Any) -> tuple[list[_Packet], int]:
    """Packets with times in the order of decoding, and how many have none.

    None of what lies behind damage that ends the file.
    """
    import av

    packets = []
    n_untimed = 0
    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None:
                n_untimed += 1
            else:
                packets.append(_Packet(packet.pts, packet.duration or 0, packet.is_keyframe))
    return packets, n_untimed


def _ascend(packets: Sequence[_Packet]) -> bool:
    """Whether times are in the order of decoding.

    In AVI they are where there is no knowing: with frames reordered that cannot be.
    """
    return all(one.pts < other.pts for one, other in itertools.pairwise(packets))


def _leads_key_frames(packets: Sequence[_Packet]) -> bool:
    """Whether a frame is decoded after a key frame and shown before it (an open group).

    After a seek to such a key frame decord counts on from it as if the leading frames were there,
    and gives frames some places too late: seen in H.265, H.264 with open groups, and MPEG-4.
    """
    key = None
    for packet in packets:
        if packet.is_key:
            key = packet.pts
        elif key is not None and packet.pts < key:
            return True
    return False


def _video_stream(container: Any, path: Path) -> Any:
    # the stream that decord takes too; the first is not always the best
    stream = container.streams.best("video")
    if stream is None:
        kinds = sorted({other.type for other in container.streams})
        raise VideoError(f"{path}: there is no video in it, only {', '.join(kinds) or 'nothing'}")
    if stream.codec_context is None:
        raise VideoError(f"{path}: its video is in a codec that is not known")
    return stream


def _av_reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def open_pyav(path: Path, packets: PacketTable) -> Source:
    """A video file by PyAV; the same stream, frames and times that decord has."""
    return Source(
        packets.spans_s,
        packets.fps,
        "pyav",
        lambda indices: _read_pyav(path, packets, list(indices)),
    )


def _read_pyav(path: Path, packets: PacketTable, indices: list[int]) -> ReadFrames:
    import av

    damage = _Damage()
    found: dict[int, ndarray] = {}
    waiting = sorted({packets.pts[index] for index in indices})
    from_start = False
    try:
        while waiting:
            key = packets.pts[0] if from_start else _key_before(packets, waiting[0])
            # a fresh container for each run: seeking back to the start is not sure in every format
            with av.open(str(path)) as container:
                stream = _video_stream(container, path)
                if key > packets.pts[0]:
                    container.seek(key, stream=stream, backward=True)
                    if not _is_at(container, stream, key):
                        # the index of some files leads elsewhere
                        from_start = True
                        continue
                    container.seek(key, stream=stream, backward=True)
                size = (stream.width, stream.height)
                run = _Run(packets, waiting, found, size, damage, goes_far=not from_start)
                frames = _decoded(container, stream, damage, by_count=packets.by_count)
                run.read(_numbered(frames) if packets.by_count else frames)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: PyAV cannot decode it: {_av_reason(error)}") from None
    if not found:
        raise VideoError(f"{path}: none of its frames can be decoded")
    times = sorted(found)
    nearest = [_nearest(times, packets.pts[index]) for index in indices]
    replaced = sum(packets.pts[i] != time for i, time in zip(indices, nearest, strict=True))
    doubtful = sum(
        packets.pts[i] == time and time in damage.spread_to
        for i, time in zip(indices, nearest, strict=True)
    )
    pixels = np.stack([found[time] for time in nearest])
    return ReadFrames(pixels, replaced, damage.problems, doubtful)


@dataclass
class _Damage:
    packets: int = 0
    """That do not decode."""
    other_sizes: int = 0
    """Frames that are not as large as the header says."""
    spread_to: set[int] = field(default_factory=set)
    """Times of frames decoded between a damaged packet and the next key frame: made from what was
    lost, by a decoder that does not say so."""

    @property
    def problems(self) -> tuple[str, ...]:
        counts = {"damaged packet(s)": self.packets, "frame(s) of another size": self.other_sizes}
        return tuple(f"{count} {what}" for what, count in counts.items() if count)


@dataclass
class _Run:
    """Frames in a row from a key frame on, as far as they lead to frames that are wanted."""

    packets: PacketTable
    waiting: list[int]
    """Times of wanted frames, ascending; those that came or will not come any more are taken."""
    found: dict[int, ndarray]
    """Pixels by time; where a frame cannot be decoded, those of the ones before and after it."""
    size: tuple[int, int]
    """Width and height that frames of another size are brought to, as decord does it."""
    damage: _Damage
    goes_far: bool
    """Whether it ends where a later key frame lies before the next wanted one."""

    def read(self, frames: Iterator[Any]) -> None:
        """Take frames."""
        before = None
        n_waiting = len(self.waiting)
        for frame in frames:
            if frame.pts is None:
                continue
            # frames come in their order: those that were passed will not come any more
            while self.waiting and self.waiting[0] < frame.pts:
                self._keep(before)
                self._keep(frame)
                self.waiting.pop(0)
            if self.waiting and frame.pts == self.waiting[0]:
                self._keep(frame)
                self.waiting.pop(0)
            before = frame
            if not self.waiting:
                return
            if self.goes_far and len(self.waiting) < n_waiting and self._is_far(frame.pts):
                return
        # the file ended before them
        self._keep(before)
        self.waiting.clear()

    def _keep(self, frame: Any) -> None:
        if frame is not None and frame.pts not in self.found:
            own = (frame.width, frame.height)
            size = self.size if all(self.size) else own
            self.damage.other_sizes += own != size
            self.found[frame.pts] = _pixels(frame, *size)

    def _is_far(self, now: int) -> bool:
        pts = self.packets.pts
        key = _key_before(self.packets, self.waiting[0])
        return bisect.bisect_left(pts, key) - bisect.bisect_left(pts, now) > FAR_FRAMES


def _is_at(container: Any, stream: Any, key: int) -> bool:
    """Whether what comes next is a key frame, this one or one before it."""
    first = next((p for p in container.demux(stream) if p.pts is not None), None)
    return first is not None and first.is_keyframe and first.pts <= key


def _key_before(packets: PacketTable, then: int) -> int:
    place = bisect.bisect_right(packets.key_pts, then) - 1
    return packets.key_pts[place] if place >= 0 else packets.pts[0]


def _numbered(frames: Iterator[Any]) -> Iterator[Any]:
    for number, frame in enumerate(frames):
        frame.pts = number
        yield frame


def _decoded(container: Any, stream: Any, damage: _Damage, *, by_count: bool) -> Iterator[Any]:
    """Frames of the packets from here on; damaged packets are counted and left out."""
    import av

    packets = container.demux(stream)
    key: int | None = None
    spreads = spread_before = False
    for number in itertools.count():
        try:
            packet = next(packets)
            pts = number if by_count else packet.pts
            if packet.is_keyframe:
                key, spreads, spread_before = pts, False, spreads
            frames = packet.decode()
        except StopIteration:
            return
        except av.InvalidDataError:
            damage.packets += 1
            # no other frame is made from a disposable one
            spreads = spreads or not packet.is_disposable
            continue
        # a frame shown before the key frame that it follows is made from the group before too
        leads = key is not None and pts is not None and pts < key
        if pts is not None and (spreads or (leads and spread_before)):
            damage.spread_to.add(pts)
        yield from frames


def _nearest(times: list[int], time: int) -> int:
    return min(times, key=lambda other: (abs(other - time), other))


def _pixels(frame: Any, width: int, height: int) -> ndarray:
    pixels: ndarray = frame.to_ndarray(format="rgb24", width=width, height=height)
    # phones write how the picture is to be turned; decord turns it
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
