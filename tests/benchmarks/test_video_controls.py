"""What each control shows, on frames that carry their number in their brightness."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.video_controls import (
    CONTROLS,
    NEED_EVIDENCE,
    Control,
    ControlledVideo,
    NotApplicable,
    VideoControl,
    checked_controls,
    controlled_video,
    frames_in_evidence,
    item_seed,
)
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import SettingError
from tests.videos_on_disk import frames_of_levels

SPANS = [(0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
SECOND = ((0.25, 0.5),)


def video_of(n_frames: int) -> Video:
    """Frames a quarter of a second long, each of another brightness; none is black."""
    edges = np.arange(n_frames + 1) / 4
    spans = tuple(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return Video(
        frames=np.maximum(frames_of_levels(n_frames), 1), times_s=(edges[:-1] + edges[1:]) / 2,
        spans_s=spans, indices=tuple(range(n_frames)), fps=4.0, n_source_frames=n_frames,
        n_clip_frames=n_frames, duration_s=float(edges[-1]), backend="decord",
    )  # fmt: skip


VIDEO = video_of(4)


def shown(control: Control, video: Video = VIDEO, **how: object) -> ControlledVideo:
    found = controlled_video(control, video, **how)  # type: ignore[arg-type]
    assert isinstance(found, ControlledVideo)
    return found


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_keeps_the_number_of_frames_their_size_and_times(control: Control) -> None:
    before = VIDEO.frames.copy()
    found = shown(control, evidence=SECOND)
    assert found.frames.shape == VIDEO.frames.shape
    assert found.frames.dtype == np.uint8
    assert not np.array_equal(found.frames, VIDEO.frames)
    video = found.of(VIDEO)
    assert video.spans_s == VIDEO.spans_s
    assert video.indices == VIDEO.indices
    assert dataclasses.replace(video, frames=VIDEO.frames).fps == VIDEO.fps
    np.testing.assert_array_equal(VIDEO.frames, before)
    assert sorted(found.order) == [0, 1, 2, 3]


@pytest.mark.parametrize("control", ["shuffled", "reversed"])
def test_controls_of_order_show_every_frame_once(control: Control) -> None:
    found = shown(control, seed=3)
    assert found.order != (0, 1, 2, 3)
    np.testing.assert_array_equal(found.frames, VIDEO.frames[list(found.order)])
    assert not any(found.is_black)


def test_black_is_black_and_one_frame_is_the_middle_one_everywhere() -> None:
    black = shown("black")
    assert not black.frames.any()
    assert black.is_black == (True,) * 4
    one = shown("single_frame")
    for frame in one.frames:
        np.testing.assert_array_equal(frame, VIDEO.frames[2])
    assert one.order == black.order == (0, 1, 2, 3)


def test_evidence_alone_and_evidence_gone_are_each_others_complement() -> None:
    only, removed = (
        shown(control, evidence=((0.3, 0.8),)) for control in ("evidence_only", "evidence_removed")
    )
    assert only.is_black == (True, False, False, True)
    assert removed.is_black == (False, True, True, False)
    np.testing.assert_array_equal(only.frames + removed.frames, VIDEO.frames)
    np.testing.assert_array_equal(only.frames[1:3], VIDEO.frames[1:3])


@pytest.mark.parametrize("control", sorted(NEED_EVIDENCE))
@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        ((), "names no evidence"),
        (((9.0, 12.0),), "no sampled frame shows"),
        (((0.0, 1.0),), "every sampled frame shows"),
    ],
)
def test_items_whose_evidence_cannot_be_told_apart_are_not_applicable(
    control: Control, evidence: tuple[tuple[float, float], ...], reason: str
) -> None:
    found = controlled_video(control, VIDEO, evidence=evidence)
    assert isinstance(found, NotApplicable)
    assert reason in found.reason


def test_a_clue_between_sampled_frames_is_not_covered() -> None:
    """CG-Bench: clues of seconds in videos of half an hour."""
    moments = tuple((9.0 * i, 9.0 * i + 0.04) for i in range(4))
    sparse = dataclasses.replace(VIDEO, spans_s=moments)
    assert isinstance(
        controlled_video("evidence_removed", sparse, evidence=((10.0, 14.0),)), NotApplicable
    )
    found = controlled_video("evidence_removed", sparse, evidence=((8.0, 14.0),))
    assert isinstance(found, ControlledVideo)
    assert found.is_black == (False, True, False, False)


@pytest.mark.parametrize("control", ["shuffled", "reversed", "single_frame"])
def test_one_frame_has_no_order(control: Control) -> None:
    assert isinstance(controlled_video(control, video_of(1)), NotApplicable)
    assert isinstance(controlled_video("black", video_of(1)), ControlledVideo)


def test_shuffles_are_an_items_own_and_never_none() -> None:
    for seed in range(20):
        assert shown("shuffled", video_of(2), seed=seed).order == (1, 0)
    assert item_seed(0, "a") == item_seed(0, "a") != item_seed(0, "b")
    control = VideoControl("shuffled")
    orders = {control.shown(Item(name, "v.mp4", "?", ("a", "b"), 0, "other"), video_of(8)).order  # type: ignore[union-attr]
              for name in "abc"}  # fmt: skip
    assert len(orders) == 3


def test_equal_keys_show_equal_frames() -> None:
    one = Item("one", "v.mp4", "?", ("a", "b"), 0, "other", evidence=SECOND)
    two = dataclasses.replace(one, id="two")
    other = dataclasses.replace(one, evidence=((0.75, 1.0),))
    for name in CONTROLS:
        control = VideoControl(name)
        for item in (two, other):
            if control.key(one) == control.key(item):
                first, second = (control.shown(i, VIDEO).frames for i in (one, item))  # type: ignore[union-attr]
                np.testing.assert_array_equal(first, second)
    assert VideoControl("black").key(one) == VideoControl("black").key(other)
    assert VideoControl("evidence_only").key(one) != VideoControl("evidence_only").key(other)


def test_names_are_checked_and_put_in_order() -> None:
    assert checked_controls(["reversed", "black", "black"]) == ("black", "reversed")
    with pytest.raises(SettingError, match=r"no video control 'blck'.*black, shuffled, reversed"):
        checked_controls(["blck"])


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        ([(0.25, 0.5)], [False, True, False, False]),  # one frame, edge to edge
        ([(0.25, 0.75)], [False, True, True, False]),
        ([(0.6, 0.6)], [False, False, True, False]),  # a moment
        ([(0.51, 0.55)], [False, False, True, False]),  # shorter than a frame
        ([(0.0, 0.25), (0.75, 1.0)], [True, False, False, True]),
        ([(2.0, 3.0)], [False, False, False, False]),  # no sampled frame
    ],
)
def test_which_frames_show_the_evidence(
    evidence: list[tuple[float, float]], expected: list[bool]
) -> None:
    assert list(frames_in_evidence(SPANS, evidence)) == expected


def test_frames_sampled_sparsely_count_by_their_own_time() -> None:
    sampled = [(1.0, 1.04), (5.0, 5.04), (9.0, 9.04)]
    assert frames_in_evidence(sampled, [(4.0, 6.0)]) == (False, True, False)
    assert frames_in_evidence(sampled, [(6.0, 8.0)]) == (False, False, False)
