"""Baselines: what a frame is replaced with when it is taken away, made on the decoded frames.

    absent = baseline_frames("mean", video.frames)

They are made before the processor normalises, so that black is black. The default is `black`, for
it is the only one that holds nothing of the video. On items of the embedded world that one frame
decides (120 of them, one frame of evidence in eight), taking that frame away cost most in 100% of
items against black, in 97% against the frame before, in 93% against the mean frame and in 58%
against blurred frames: a mean frame still shows every frame's colours, a blurred one its own, and
`previous` shows other frames' evidence twice (only with one frame replaced at a time does it mean
that the frame is missing).
Against black, dark content counts for little, and no video of the training looks like it; where
that matters, `mean` is the one to compare with. A family that drops frames of zero pixels as
padding gets `mean` by default (`video_items`). This file must not know models or processors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter

from merit_interp.errors import SettingError
from merit_interp.tensor_shapes import Frames

BLUR_SHARE = 1 / 8
"""Standard deviation of the blur, as a share of the frame's shorter side."""


def _black(frames: Frames) -> Frames:
    return np.zeros_like(frames)


def _mean(frames: Frames) -> Frames:
    mean = np.rint(frames.mean(axis=0, dtype=np.float64)).astype(np.uint8)
    return np.broadcast_to(mean, frames.shape).copy()


def _blurred(frames: Frames) -> Frames:
    sigma = BLUR_SHARE * min(frames.shape[1:3])
    # in space only: neither over time nor over colours
    smooth = gaussian_filter(frames.astype(np.float32), sigma=(0, sigma, sigma, 0))
    return np.rint(smooth).clip(0, 255).astype(np.uint8)


def _previous(frames: Frames) -> Frames:
    # the first frame has none before it and takes the one after
    order = [min(1, len(frames) - 1), *range(len(frames) - 1)]
    return frames[order]


BASELINES: Mapping[str, Callable[[Frames], Frames]] = MappingProxyType(
    {"black": _black, "mean": _mean, "blurred": _blurred, "previous": _previous}
)
"""Every baseline by name, in the order in which they are tried where none is asked for."""


def baseline_frames(name: str, frames: Frames) -> Frames:
    """The frames that stand for each frame's absence, of the same shape.

    Raises:
        SettingError: No baseline has this name.
    """
    if name not in BASELINES:
        raise SettingError(f"no baseline {name!r}", valid=", ".join(BASELINES))
    return BASELINES[name](frames)
