"""Videos that hold an answer to account: black, shuffled, reversed, one frame, without evidence.

    shown = controlled_video("evidence_removed", video, evidence=item.evidence, seed=0)
    shown.frames.shape == video.frames.shape

Every control keeps the number of frames and their times: a frame is replaced in its place by a
black one or by another frame of the video, and none is dropped. So a prompt keeps its length and
its timestamps, and what changes is what can be seen. (CG-Bench's clue accuracy and NExT-GQA's
trimmed clips drop what lies outside the evidence and sample the rest more densely: their number
mixes knowing where to look with seeing more of it. Replacing in place is the practice of deletion
and insertion tests, Petsiuk et al. 2018; Samek et al. 2017.) A control that cannot say anything of
an item is `NotApplicable`, with the reason, never shown as if. This file must not know models.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from merit_interp.benchmarks.items import Item, Span
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import SettingError
from merit_interp.tensor_shapes import Frames

Control = Literal[
    "black", "shuffled", "reversed", "single_frame", "evidence_only", "evidence_removed"
]
CONTROLS: tuple[Control, ...] = get_args(Control)
"""Every control, in the order in which they are run and listed."""
NEED_EVIDENCE = frozenset({"evidence_only", "evidence_removed"})
"""Controls of items that name their evidence."""
NO_EVIDENCE = "the item names no evidence"
SHUFFLE_SEED = 0
"""Of an item's order of frames, so that runs and models can be held against each other."""


@dataclass(frozen=True, eq=False)
class ControlledVideo:
    """What a control shows, and what of the video stands at each place."""

    frames: Frames
    """As many as the video has, of the same size."""
    order: tuple[int, ...]
    """Which of the video's frames each place stands for, so that evidence goes with its frame. A
    place whose frame was replaced stands for the frame that was there."""
    is_black: tuple[bool, ...]
    """Places that a black frame was put into."""

    def of(self, video: Video) -> Video:
        """The video with these frames, its times and numbers as they were."""
        return dataclasses.replace(video, frames=self.frames)


@dataclass(frozen=True)
class NotApplicable:
    """A control says nothing of an item."""

    reason: str


@dataclass(frozen=True)
class VideoControl:
    """A control as a run applies it to items: the same in every verb, whatever the run's seed."""

    name: Control

    def key(self, item: Item) -> tuple[object, ...]:
        """What of an item, beside its clip, decides what is shown: equal keys show equal frames."""
        if self.name == "shuffled":
            return (item.id,)
        return item.evidence if self.name in NEED_EVIDENCE else ()

    def lacks_evidence(self, item: Item) -> bool:
        """Whether the control cannot apply to an item, whatever its video is."""
        return self.name in NEED_EVIDENCE and not item.evidence

    def shown(self, item: Item, video: Video) -> ControlledVideo | NotApplicable:
        """What is shown for an item on its video."""
        seed = item_seed(SHUFFLE_SEED, item.id)
        return controlled_video(self.name, video, evidence=item.evidence, seed=seed)


def controlled_video(
    control: Control, video: Video, *, evidence: Sequence[Span] = (), seed: int = 0
) -> ControlledVideo | NotApplicable:
    """A control's version of a video.

    Args:
        control: Which one. `shuffled` moves at least one frame; `single_frame` is the middle one
            everywhere, chosen by its place and never for what it shows.
        video: The video.
        evidence: Where the answer can be seen, in the video's seconds.
        seed: Of the shuffle.
    """
    refusal = not_applicable(control, video.spans_s, evidence)
    if refusal is not None:
        return refusal
    n_frames = len(video.frames)
    places = tuple(range(n_frames))
    if control in NEED_EVIDENCE:
        shows = np.array(frames_in_evidence(video.spans_s, evidence), dtype=bool)
        black = ~shows if control == "evidence_only" else shows
        frames = video.frames.copy()
        frames[black] = 0
        return ControlledVideo(frames, places, tuple(black.tolist()))
    if control == "black":
        return ControlledVideo(np.zeros_like(video.frames), places, (True,) * n_frames)
    if control == "single_frame":
        middle = video.frames[n_frames // 2]
        everywhere = np.broadcast_to(middle, video.frames.shape).copy()
        return ControlledVideo(everywhere, places, (False,) * n_frames)
    order = places[::-1] if control == "reversed" else _shuffled(places, seed)
    return ControlledVideo(video.frames[list(order)], order, (False,) * n_frames)


def not_applicable(
    control: Control, spans_s: Sequence[Span], evidence: Sequence[Span]
) -> NotApplicable | None:
    """Why a control says nothing of a video, by the times of its sampled frames; None if it does.

    Args:
        control: Which one.
        spans_s: Start and end of each sampled frame.
        evidence: Where the answer can be seen.
    """
    if control == "black":
        return None
    if control not in NEED_EVIDENCE:
        lonely = len(spans_s) < 2
        return NotApplicable("one sampled frame has no order and no others") if lonely else None
    if not evidence:
        return NotApplicable(NO_EVIDENCE)
    shows = frames_in_evidence(spans_s, evidence)
    if not any(shows):
        return NotApplicable("no sampled frame shows the evidence")
    return NotApplicable("every sampled frame shows the evidence") if all(shows) else None


def _shuffled(places: Sequence[int], seed: int) -> tuple[int, ...]:
    generator = np.random.default_rng(seed)
    order = list(places)
    while order == list(places):
        order = [int(place) for place in generator.permutation(len(places))]
    return tuple(order)


def item_seed(seed: int, item: str) -> int:
    """A seed of an item's own, the same in every run and for every model."""
    digest = hashlib.sha256(f"{seed}:{item}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def frames_in_evidence(
    spans_s: Sequence[tuple[float, float]], evidence: Sequence[Span]
) -> tuple[bool, ...]:
    """Which sampled frames show a part of the evidence.

    A frame counts where its mid-time lies in a span, or a span's mid-time lies in the frame: the
    first for spans longer than a frame, the second for shorter ones and for single moments.

    Args:
        spans_s: Start and end of each sampled frame, in the video's own seconds.
        evidence: Spans of evidence, in the same time.
    """
    return tuple(
        any(
            start <= (shown + gone) / 2 <= end or shown <= (start + end) / 2 < gone
            for start, end in evidence
        )
        for shown, gone in spans_s
    )


def check_evidence(controls: Sequence[str], items: Iterable[Item]) -> None:
    """Refuse controls of evidence where no item names any.

    Args:
        controls: Names of what is asked for.
        items: All items that it is asked for; not looked at where no control needs evidence.

    Raises:
        SettingError: No item names its evidence.
    """
    needy = [name for name in controls if name in NEED_EVIDENCE]
    if needy and not any(item.evidence for item in items):
        raise SettingError(
            f"no item names its evidence, which {' and '.join(needy)} needs",
            valid=", ".join(name for name in CONTROLS if name not in NEED_EVIDENCE),
        )


def checked_controls(names: Sequence[str]) -> tuple[Control, ...]:
    """Names of controls as a user gave them, once each, in the order of `CONTROLS`.

    Raises:
        SettingError: There is no such control.
    """
    for name in names:
        if name not in CONTROLS:
            raise SettingError(f"no video control {name!r}", valid=", ".join(CONTROLS))
    return tuple(name for name in CONTROLS if name in names)
