"""Videos that hold a claim about frames to account, each with its own baseline.

    shown = controlled_frames("reversed", video, absent, seed=0)

What a control shows is `benchmarks.video_controls`' to say, the same in every verb; here it gets
what stands for each frame's absence. Each is a row of the same table as the real video. Evidence
goes where its frame goes; where a frame was replaced (a black video, one frame everywhere) it stays
where it was, and a claim that still finds it there is a claim about places. This file must not know
models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merit_interp.attribution.baselines import baseline_frames
from merit_interp.benchmarks.items import Span
from merit_interp.benchmarks.video_controls import Control, NotApplicable, controlled_video
from merit_interp.benchmarks.videos import Video
from merit_interp.tensor_shapes import Frames

DEFAULT_CONTROLS: tuple[Control, ...] = ("shuffled", "reversed", "black", "single_frame")
"""Those that a run shows where none are asked for; the others need evidence."""


@dataclass(frozen=True, eq=False)
class ControlledFrames:
    """What a control shows, and what of the video stands at each place."""

    frames: Frames
    baseline: Frames
    """Each shown frame's own baseline: it goes where the frame goes. For a frame made black against
    black, the video's mean frame."""
    order: tuple[int, ...]
    """Which of the video's frames stands at each place, for the evidence."""


def controlled_frames(
    control: Control,
    video: Video,
    baseline: Frames,
    *,
    evidence: Sequence[Span] = (),
    seed: int,
) -> ControlledFrames | NotApplicable:
    """A control's version of a video.

    Args:
        control: Which one.
        video: The video.
        baseline: The video's baseline frames.
        evidence: Where the answer can be seen.
        seed: Of the shuffle.
    """
    shown = controlled_video(control, video, evidence=evidence, seed=seed)
    if isinstance(shown, NotApplicable):
        return shown
    absent = baseline[list(shown.order)]
    # against itself nothing would be left to attribute
    same = np.array(shown.is_black) & ~absent.any(axis=(1, 2, 3))
    absent[same] = baseline_frames("mean", video.frames)[same]
    return ControlledFrames(shown.frames, absent, shown.order)
