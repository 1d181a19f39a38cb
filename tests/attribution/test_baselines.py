from __future__ import annotations

import numpy as np
import pytest

from merit_interp.attribution.baselines import BASELINES, baseline_frames
from merit_interp.attribution.controls import CONTROLS, controlled_frames, item_seed
from merit_interp.errors import SettingError
from tests.videos_on_disk import frames_of_levels

FRAMES = frames_of_levels(8)


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


@pytest.mark.parametrize("control", CONTROLS)
def test_what_controls_show(control: str) -> None:
    absent = baseline_frames("blurred", FRAMES)
    found = controlled_frames(control, FRAMES, absent, seed=3)  # type: ignore[arg-type]
    assert sorted(found.order) == list(range(8))
    assert found.frames.shape == found.baseline.shape == FRAMES.shape
    if control in ("shuffled", "reversed"):
        assert found.order != tuple(range(8))
        np.testing.assert_array_equal(found.frames, FRAMES[list(found.order)])
        np.testing.assert_array_equal(found.baseline, absent[list(found.order)])
    else:
        assert (found.frames == found.frames[0]).all()
        assert found.order == tuple(range(8))
        np.testing.assert_array_equal(found.baseline, absent)


def test_a_black_video_is_held_against_its_mean_frame_where_black_is_the_baseline() -> None:
    black = baseline_frames("black", FRAMES)
    found = controlled_frames("black", FRAMES, black, seed=0)
    assert not found.frames.any()
    np.testing.assert_array_equal(found.baseline, baseline_frames("mean", FRAMES))


def test_shuffles_are_an_items_own_and_never_none() -> None:
    two = FRAMES[:2]
    for seed in range(20):
        assert controlled_frames("shuffled", two, two, seed=seed).order == (1, 0)
    assert controlled_frames("shuffled", FRAMES[:1], FRAMES[:1], seed=0).order == (0,)
    assert item_seed(0, "a") == item_seed(0, "a") != item_seed(0, "b")
