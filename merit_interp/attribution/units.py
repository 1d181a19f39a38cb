"""From pixels or visual tokens to frames: the one place where attributions are added up.

    scores = sum_over_units(attributions, unit_of, n_units=8)     # (rows, units)

A unit is what a family cannot tell apart: a frame, or the frames of a temporal patch
(`FrameTokenMap.units`). This file must not know methods or families.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from merit_interp.errors import CheckpointError
from merit_interp.scoring.frame_tokens import FrameTokenMap
from merit_interp.tensor_shapes import ItemUnits, PositionUnits, PositionValues, UnitPixels

NO_UNIT = -1
"""Positions of text, padding and visual tokens that belong to no frame."""


def sum_over_units(
    attributions: PositionValues, unit_of: PositionUnits, *, n_units: int
) -> ItemUnits:
    """Signed sum of the attributions of each unit, in double precision.

    Args:
        attributions: Of tokens (rows, seq, hidden), or of units' pixels (rows, units, values).
        unit_of: Unit of each position, or `NO_UNIT`.
        n_units: Units of a row.
    """
    sums = attributions.double()
    if sums.ndim > 2:
        sums = sums.flatten(2).sum(dim=2)
    # positions of no unit are added to one more column, which is dropped
    column = torch.where(unit_of == NO_UNIT, n_units, unit_of)
    empty = torch.zeros(len(sums), n_units + 1, dtype=torch.float64, device=sums.device)
    return empty.scatter_add(1, column, sums)[:, :n_units]


def token_units(maps: Sequence[FrameTokenMap], length: int) -> PositionUnits:
    """Unit of each token of each row, for `sum_over_units`.

    Args:
        maps: Each row's map.
        length: Tokens of a row with padding.
    """
    units = torch.full((len(maps), length), NO_UNIT)
    for row, tokens in enumerate(maps):
        for number, unit in enumerate(tokens.units):
            units[row, list(unit.tokens)] = number
    return units


def pixels_by_unit(pixels: Tensor, n_units: int) -> UnitPixels:
    """One item's pixels, as its processor made them, with one row for each unit.

    Families differ in shape, (1, frames, 3, height, width) or flat patches (patches, values), but
    time is the slowest axis of each; whoever joins items makes sure of that.

    Raises:
        CheckpointError: The pixels cannot be shared out evenly.
    """
    if pixels.numel() % n_units:
        raise CheckpointError(
            f"pixels of shape {tuple(pixels.shape)} cannot be shared out among {n_units} units",
            valid="a processor that gives every unit the same number of values",
        )
    return pixels.reshape(n_units, -1).float()
