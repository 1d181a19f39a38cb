from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.benchmarks.frame_sources import even_spans
from merit_interp.benchmarks.sampling import FrameRequest, chosen_frames
from merit_interp.errors import VideoError


def mvbench(
    n_frames: int, fps: float, n_segments: int, bound: tuple[float, float] | None
) -> list[int]:
    """MVBench's `get_index`, as it is in OpenGVLab's notebook."""
    start, end = bound if bound else (-100000, 100000)
    start_idx = max(0, round(start * fps))
    end_idx = min(round(end * fps), n_frames - 1)
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
    there = mvbench(n_frames, fps, n_segments, bound)
    # theirs runs past the last frame of the shortest clips, and then fails
    assert indices == [min(index, n_frames - 1) for index in there]
    assert len(indices) == n_segments


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
