"""Which tokens of a prompt are which frames of the video, and when those frames are shown.

    frame_tokens.units[0].tokens, frame_tokens.units[0].start_s

A unit is what a family cannot tell apart: one frame, or the frames of a temporal patch. This file
must not know how prompts are made or scored.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.errors import CheckpointError
from merit_interp.models.families import Family
from merit_interp.tensor_shapes import PromptMask


@dataclass(frozen=True)
class FrameUnit:
    """Frames that share their tokens."""

    frames: tuple[int, ...]
    """Positions among the sampled frames, from 0."""
    start_s: float
    """Start of its first frame in the video."""
    end_s: float
    """End of its last frame in the video."""
    tokens: tuple[int, ...]
    """Positions in the prompt."""


@dataclass(frozen=True)
class FrameTokenMap:
    """All visual tokens of a prompt, in order."""

    units: tuple[FrameUnit, ...]
    frameless: tuple[int, ...]
    """Positions of visual tokens that belong to no frame (LLaVA-OneVision's `image_newline`)."""
    n_prompt: int
    """Tokens of the prompt."""

    @property
    def n_tokens(self) -> int:
        """Visual tokens of the prompt, those of no frame included."""
        return sum(len(unit.tokens) for unit in self.units) + len(self.frameless)

    def visual_mask(self) -> PromptMask:
        """True at every visual token of the prompt, those of no frame included."""
        mask = torch.zeros(self.n_prompt, dtype=torch.bool)
        mask[[*(token for unit in self.units for token in unit.tokens), *self.frameless]] = True
        return mask


def map_frames(
    visual: Sequence[int],
    spans_s: Sequence[tuple[float, float]],
    family: Family,
    *,
    n_prompt: int,
    kept: Tensor | None = None,
) -> FrameTokenMap:
    """Share the visual tokens of a prompt out among the frames.

    Args:
        visual: Positions of the visual tokens in the prompt, ascending.
        spans_s: Start and end of each sampled frame.
        family: Says how many frames share tokens, and how many tokens belong to no frame.
        n_prompt: Tokens of the prompt.
        kept: Which of the encoder's vectors are tokens (`Family.kept_vectors`); None for all.

    Raises:
        CheckpointError: The tokens cannot be shared out: processor and family disagree.
    """
    size = family.frames_per_unit
    frames = [tuple(range(i, min(i + size, len(spans_s)))) for i in range(0, len(spans_s), size)]
    n_framed = len(visual) - family.frameless_tokens
    if kept is None:
        kept = torch.ones(max(n_framed, 0), dtype=torch.bool)
    if len(kept) % len(frames) or int(kept.sum()) != n_framed or not n_framed:
        raise CheckpointError(
            f"the processor made {len(visual)} visual tokens of {len(spans_s)} frames, which "
            f"{family.model_type} cannot share out",
            valid=f"a multiple of {len(frames)} and {family.frameless_tokens} more",
        )
    counts = kept.reshape(len(frames), -1).sum(dim=1).tolist()
    ends = list(itertools.accumulate(counts))
    units = tuple(
        FrameUnit(
            frames=members,
            start_s=min(spans_s[i][0] for i in members),
            end_s=max(spans_s[i][1] for i in members),
            tokens=tuple(visual[end - count : end]),
        )
        for members, count, end in zip(frames, counts, ends, strict=True)
    )
    return FrameTokenMap(units, tuple(visual[n_framed:]), n_prompt)
