from __future__ import annotations

import numpy as np
import pytest

from merit_interp.attribution.baselines import BASELINES, baseline_frames
from merit_interp.attribution.controls import ControlledFrames, controlled_frames
from merit_interp.benchmarks.video_controls import CONTROLS, Control, NotApplicable
from merit_interp.errors import SettingError
from tests.benchmarks.test_video_controls import video_of
from tests.videos_on_disk import frames_of_levels

FRAMES = frames_of_levels(8)
VIDEO = video_of(8)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_have_the_videos_shape_and_leave_it_alone(name: str) -> None:
    before = FRAMES.copy()
    absent = baseline_frames(name, FRAMES)
    assert absent.shape == FRAMES.shape
    assert absent.dtype == np.uint8
    np.testing.assert_array_equal(FRAMES, before)


def test_black_is_black_and_the_mean_is_the_mean() -> None:
    assert not baseline_frames("black", FRAMES).any()
    mean = baseline_frames("mean", FRAMES)
    assert (mean == mean[0]).all()
    assert np.abs(mean[0] - FRAMES.mean(axis=0)).max() <= 0.5


def test_blur_stays_within_a_frame() -> None:
    flat = np.full((3, 16, 16, 3), 0, dtype=np.uint8)
    flat[1, :, :, 0] = 200
    np.testing.assert_array_equal(baseline_frames("blurred", flat), flat)
    edge = FRAMES[:1].astype(int)
    blurred = baseline_frames("blurred", FRAMES[:1]).astype(int)
    assert np.abs(np.diff(blurred, axis=2)).max() < np.abs(np.diff(edge, axis=2)).max() / 4


def test_previous_never_leaves_a_frame_in_its_place() -> None:
    previous = baseline_frames("previous", FRAMES)
    np.testing.assert_array_equal(previous[1:], FRAMES[:-1])
    np.testing.assert_array_equal(previous[0], FRAMES[1])
    assert len(baseline_frames("previous", FRAMES[:1])) == 1


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(SettingError, match="black, mean, blurred, previous"):
        baseline_frames("zero", FRAMES)


def controlled(control: Control, absent: np.ndarray) -> ControlledFrames:
    found = controlled_frames(control, VIDEO, absent, evidence=((0.25, 0.75),), seed=3)
    assert isinstance(found, ControlledFrames)
    return found


@pytest.mark.parametrize("control", CONTROLS)
def test_a_frames_baseline_goes_with_it(control: Control) -> None:
    absent = baseline_frames("blurred", VIDEO.frames)
    found = controlled(control, absent)
    assert sorted(found.order) == list(range(8))
    assert found.frames.shape == found.baseline.shape == VIDEO.frames.shape
    np.testing.assert_array_equal(found.baseline, absent[list(found.order)])
    if control in ("shuffled", "reversed"):
        assert found.order != tuple(range(8))
    else:
        assert found.order == tuple(range(8))


def test_a_frame_made_black_is_held_against_the_mean_frame_where_black_is_the_baseline() -> None:
    absent = baseline_frames("black", VIDEO.frames)
    mean = baseline_frames("mean", VIDEO.frames)
    np.testing.assert_array_equal(controlled("black", absent).baseline, mean)
    removed = controlled("evidence_removed", absent)
    made_black = [not frame.any() for frame in removed.frames]
    assert made_black == [False, True, True, *[False] * 5]
    for place, black in enumerate(made_black):
        expected = mean[place] if black else absent[place]
        np.testing.assert_array_equal(removed.baseline[place], expected)
    assert not absent.any()


def test_a_control_that_says_nothing_of_a_video_says_why() -> None:
    absent = baseline_frames("black", VIDEO.frames)
    found = controlled_frames("evidence_only", VIDEO, absent, seed=0)
    assert isinstance(found, NotApplicable)
