"""Named shapes of the tensors that pass between rooms.

jaxtyping's annotations, enforced by beartype under pytest (see `tests/conftest.py`).

    def margin(log_probs: OptionLogProbs) -> float: ...

Axes: `batch` items, `seq` tokens, `hidden` residual stream, `vocab` vocabulary, `options` answer
options, `frames` sampled frames, `out` and `inp` a weight's rows and columns. This file must not
know any room of the house; it is the only file whose names stand for shapes.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

Weight = Float[Tensor, "*shape"]
"""A parameter: (out, inp) for a projection's weight, (out,) for its bias."""

Matrix = Float[Tensor, "out inp"]
"""The weight of a projection."""

TokenIds = Int[Tensor, "batch seq"]
TokenMask = Bool[Tensor, "batch seq"]
Logits = Float[Tensor, "batch seq vocab"]
OptionLogProbs = Float[Tensor, "options"]

PromptIds = Int[Tensor, "seq"]
PromptMask = Bool[Tensor, "seq"]

KeptPositions = Int[Tensor, "kept"]
"""Positions of a batch whose logits are needed."""
KeptLogits = Float[Tensor, "batch kept vocab"]
QueryIndices = Int[Tensor, "queries"]
"""One number for each position that predicts a token of an answer."""
AnswerTable = Int[Tensor, "items options tokens"]
AnswerMask = Bool[Tensor, "items options tokens"]
ItemLogProbs = Float[Tensor, "items options"]

Frames = UInt8[ndarray, "frames height width 3"]
"""Decoded RGB frames."""

Frame = UInt8[ndarray, "height width 3"]
ResizedFrames = UInt8[ndarray, "frames rows columns 3"]
"""RGB frames of the size that a model takes."""
Pixels = Float[Tensor, "frames 3 rows columns"]
"""Resized and normalised frames."""

FrameTimes = Float[ndarray, "frames"]
"""Mid-time of each sampled frame, in seconds."""

UnitPixels = Float[Tensor, "units values"]
"""One item's pixels, a row for each unit (a frame, or the frames of a temporal patch)."""
ItemUnitPixels = Float[Tensor, "items units values"]
ItemUnits = Float[Tensor, "items units"]
"""A number for each unit of each item."""
PositionValues = Float[Tensor, "rows positions *rest"]
"""Attributions of tokens, or of the values of units."""
PositionUnits = Int[Tensor, "rows positions"]
"""Which unit each position belongs to."""
ItemValues = Float[Tensor, "items"]
ItemIndices = Int[Tensor, "items"]
"""One option, or one place, for each item."""
