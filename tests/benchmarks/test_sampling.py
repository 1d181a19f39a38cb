from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from merit_interp.benchmarks.frame_sources import even_spans
from merit_interp.benchmarks.reading import read_video
from merit_interp.benchmarks.sampling import FrameRequest, chosen_frames
from merit_interp.errors import VideoError


def get_index(
    bound: tuple[float, float] | None, fps: float, max_frame: int, first_idx: int, n_segments: int
) -> list[int]:
    """MVBench's own, as it is in OpenGVLab's notebook."""
    start, end = bound if bound else (-100000, 100000)
    start_idx = max(first_idx, round(start * fps))
    end_idx = min(round(end * fps), max_frame)
    seg_size = float(end_idx - start_idx) / n_segments
    return [int(start_idx + (seg_size / 2) + np.round(seg_size * idx)) for idx in range(n_segments)]


@given(
    st.integers(1, 400),
    st.sampled_from([3.0, 10.0, 25.0, 29.97]),
    st.integers(1, 32),
    st.none() | st.tuples(st.floats(0, 0.6), st.floats(0.61, 1.0)),
)
def test_segments_are_mvbenchs(
    n_frames: int, fps: float, n_segments: int, share: tuple[float, float] | None
) -> None:
    length = n_frames / fps
    bound = (share[0] * length, share[1] * length) if share else None
    request = FrameRequest(
        n_segments, sampling="segments",
        start_s=bound[0] if bound else None, end_s=bound[1] if bound else None,
    )  # fmt: skip
    indices, _ = chosen_frames(even_spans(n_frames, fps), fps, request)
    there = get_index(bound, fps, n_frames - 1, 0, n_segments)
    # theirs runs past the last frame of the shortest clips, and then fails
    assert indices == [min(index, n_frames - 1) for index in there]
    assert len(indices) == n_segments


@pytest.mark.parametrize("in_directory", [False, True])
def test_segments_within_bounds_are_mvbenchs_frame_by_frame(in_directory: bool) -> None:
    """`read_video` counts from 0, `read_frame` from 1: frames are called 00001.jpg and so on."""
    first = 1 if in_directory else 0
    generator = np.random.default_rng(0)
    n_equal = n_failing = 0
    for n_frames in (1, 2, 3, 4, 5, 8, 15, 16, 17, 32, 95, 271, 900):
        for fps in (3.0, 12.5, 30000 / 1001):
            length = n_frames / fps
            grid = [k / (2 * fps) for k in range(0, 2 * n_frames, max(1, n_frames // 6))]
            starts = [*grid, *(generator.random(4) * length)]
            bounds = [(s, s + d) for s in starts for d in (0.01, 0.34, length / 3, 2 * length)]
            for bound in (None, *bounds):
                for n_segments in (1, 8, 16):
                    theirs = get_index(bound, fps, n_frames - 1 + first, first, n_segments)
                    start, end = bound or (None, None)
                    request = FrameRequest(n_segments, "segments", start_s=start, end_s=end)
                    ours, _ = chosen_frames(
                        even_spans(n_frames, fps), fps, request, counts_from=first
                    )
                    if all(first <= number < first + n_frames for number in theirs):
                        assert [number + first for number in ours] == theirs, (bound, fps, n_frames)
                        n_equal += 1
                    else:  # there is no such frame, and MVBench's code ends
                        assert all(0 <= number < n_frames for number in ours)
                        n_failing += 1
    assert n_equal > 20 * n_failing


def test_a_directorys_frames_are_found_by_their_names(tmp_path: Path) -> None:
    """Episodic reasoning: the picture at each place is the file that MVBench opens."""
    for number in range(1, 31):
        Image.new("RGB", (4, 4), (8 * number, 0, 0)).save(tmp_path / f"{number:05d}.png")
    request = FrameRequest(4, "segments", start_s=2.0, end_s=6.0, source_fps=3.0)
    reading = read_video(tmp_path, request)
    names = get_index((2.0, 6.0), 3.0, 30, 1, 4)
    assert [int(frame[0, 0, 0]) // 8 for frame in reading.frames] == names == [7, 10, 13, 16]
    # times are those of the pictures: the seventh is shown from 2 s on
    assert reading.spans_s[0].tolist() == [2.0, 7 / 3]


def test_segments_of_a_short_clip_repeat_frames() -> None:
    request = FrameRequest(8, sampling="segments")
    indices, n_clip = chosen_frames(even_spans(3, 1.0), 1.0, request)
    assert indices == [0, 0, 0, 1, 1, 1, 2, 2]
    assert n_clip == 3


@pytest.mark.parametrize(
    ("rate", "most", "bound", "indices"),
    [
        (1.0, 16, (None, None), [2, 7, 12, 17]),  # 4 s: one frame in each
        (1.0, 16, (2.0, 4.0), [12, 17]),
        (0.1, 16, (None, None), [10]),  # never none
        (1.0, 2, (None, None), [5, 15]),  # never more than the most
        (100.0, 64, (None, None), list(range(20))),  # never one twice
    ],
)
def test_a_rate_gives_as_many_midpoints_as_the_clip_is_long(
    rate: float, most: int, bound: tuple[float | None, float | None], indices: list[int]
) -> None:
    request = FrameRequest(most, sampling="fps", rate_fps=rate, start_s=bound[0], end_s=bound[1])
    assert chosen_frames(even_spans(20, 5.0), 5.0, request)[0] == indices


@pytest.mark.parametrize("sampling", ["uniform", "segments", "fps"])
def test_a_bound_behind_the_end_is_refused_by_each(sampling) -> None:
    request = FrameRequest(4, sampling=sampling, rate_fps=1.0, start_s=9.0, end_s=10.0)
    with pytest.raises(VideoError, match="nothing between 9 s and 10 s"):
        chosen_frames(even_spans(20, 5.0), 5.0, request)


def test_a_request_reads_back() -> None:
    request = FrameRequest(4, sampling="fps", rate_fps=1.5, max_side=64, start_s=1.0)
    assert FrameRequest.from_row(request.to_row()) == request
