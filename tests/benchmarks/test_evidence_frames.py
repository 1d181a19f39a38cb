from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from merit_interp.benchmarks import evidence_frames
from merit_interp.benchmarks.evidence_frames import with_frames
from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.video_files import open_pyav, packet_table
from tests.videos_on_disk import frames_of_levels, level_of, tiny_video, write_frames


def item(**fields: float) -> Item:
    return Item("i", "v.mp4", "?", ("a", "b"), 0, "other", **fields)  # type: ignore[arg-type]


def written(path: Path, streams: list[tuple[int, list[int]]]) -> Path:
    """An mp4 with one stream for each size in pixels and times of frames in tenths of a second."""
    with av.open(str(path), "w") as container:
        added = []
        for size, _ in streams:
            stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
            # the last is the one to show
            stream.disposition = Disposition.default if len(added) == len(streams) - 1 else 0
            added.append(stream)
        for stream, (size, times) in zip(added, streams, strict=True):
            for pixels, time in zip(frames_of_levels(len(times), size=size), times, strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def test_a_rate_that_changes_is_read_frame_by_frame(tmp_path: Path) -> None:
    # ten a second for a second, then two a second
    times = [*range(10), 10, 15, 20, 25, 30]
    path = written(tmp_path / "v.mp4", [(32, times)])
    done, flags = with_frames(item(), (4, 12), path)
    assert flags == ()
    assert [start for start, _ in done.evidence] == pytest.approx([0.4, 2.0])
    assert done.evidence_kind == "frame"


def test_frames_are_of_the_stream_that_is_decoded(tmp_path: Path) -> None:
    path = written(tmp_path / "v.mp4", [(32, list(range(0, 40, 4))), (64, list(range(0, 40, 2)))])
    source = open_pyav(path, packet_table(path))
    number = 7
    done, _ = with_frames(item(), (number,), path)
    ((start, end),) = done.evidence
    # what a decoder shows within the evidence is the frame that was marked
    shown = [i for i, (when, _) in enumerate(source.spans_s) if start <= when < end]
    assert shown == [number]
    assert level_of(source.read(shown).frames[0], 20) == number


def test_frames_past_the_last_one_and_outside_the_bound_are_dropped(tmp_path: Path) -> None:
    path = tiny_video(tmp_path / "v.mp4", n_frames=8, fps=4)
    done, flags = with_frames(item(start_s=0.5, end_s=1.5), (-1, 1, 2, 5, 6, 8), path)
    assert done.evidence == ((0.5, 0.75), (1.25, 1.5))
    assert flags == (
        "evidence frames past the end were dropped",
        "evidence frames outside the part that is asked about were dropped",
    )


def test_a_directory_of_frames_has_the_rate_of_its_item(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "v", frames_of_levels(4))
    assert with_frames(item(fps=2.0), (1,), path)[0].evidence == ((0.5, 1.0),)
    assert with_frames(item(), (1,), path) == (
        item(),
        ("evidence frames were dropped: the frames have no rate",),
    )


def test_videos_are_forgotten_before_they_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_frames, "_MOST_FRAMES_HELD", 20)
    times = evidence_frames._FrameTimes()
    paths = [tiny_video(tmp_path / f"{n}.mp4", n_frames=8) for n in range(3)]
    held = [times.of(path) for path in paths]
    assert all(np.array_equal(held[0], other) for other in held[1:])  # type: ignore[arg-type]
    assert list(times._held) == paths[2:]
    assert times.of(tmp_path / "none.mp4") is None
