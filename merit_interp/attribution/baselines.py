"""Baselines: what a frame is replaced with when it is taken away, made on the decoded frames.

    absent = baseline_frames("mean", video.frames)

They are made before the processor normalises, so that black is black. The default is `mean`, the
video's mean frame at every place: it keeps the video's own colours and layout, so that the model
stays near what it was trained on, and takes from a frame only what sets it apart from the others,
which is what an order of events is made of. `black` makes dark content count for nothing and is far
from any video; `blurred` leaves a shape's colour in; `previous` shows other frames' evidence twice
(only with one frame replaced at a time does it mean that the frame is missing). This file must not
know models or processors.
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
    {"mean": _mean, "black": _black, "blurred": _blurred, "previous": _previous}
)
"""Every baseline by name, the default first."""
DEFAULT_BASELINE = next(iter(BASELINES))


def baseline_frames(name: str, frames: Frames) -> Frames:
    """The frames that stand for each frame's absence, of the same shape.

    Raises:
        SettingError: No baseline has this name.
    """
    if name not in BASELINES:
        raise SettingError(f"no baseline {name!r}", valid=", ".join(BASELINES))
    return BASELINES[name](frames)
