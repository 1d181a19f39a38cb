from __future__ import annotations

import pytest
import torch

from merit_interp.attribution.units import (
    NO_UNIT,
    pixels_by_unit,
    sum_over_units,
    token_units,
)
from merit_interp.errors import CheckpointError
from merit_interp.scoring.frame_tokens import FrameTokenMap, FrameUnit


def test_tokens_add_up_to_their_frames() -> None:
    attributions = torch.tensor([[[100.0, 0.0], [1.0, 2.0], [3.0, -1.0], [0.5, 0.5], [7.0, 7.0]]])
    unit_of = torch.tensor([[NO_UNIT, 0, 0, 1, NO_UNIT]])
    assert sum_over_units(attributions, unit_of, n_units=2).tolist() == [[5.0, 1.0]]


def test_pixels_add_up_to_their_frames() -> None:
    attributions = torch.arange(12.0).reshape(1, 2, 6)
    unit_of = torch.tensor([[0, 1]])
    assert sum_over_units(attributions, unit_of, n_units=2).tolist() == [[15.0, 51.0]]


def test_a_sum_of_many_small_values_keeps_its_digits() -> None:
    attributions = torch.full((1, 1, 10_000_000), 0.1)
    found = sum_over_units(attributions, torch.tensor([[0]]), n_units=1)
    assert found.item() == pytest.approx(1e6, rel=1e-7)


def test_rows_of_different_prompts_keep_their_own_tokens() -> None:
    def frames(*tokens: tuple[int, int]) -> tuple[FrameUnit, ...]:
        return tuple(FrameUnit((i,), float(i), i + 1.0, pair) for i, pair in enumerate(tokens))

    maps = [
        FrameTokenMap(frames((1, 2), (3, 4)), (5,), 7),
        FrameTokenMap(frames((2, 3), (4, 5)), (6,), 8),
    ]
    assert token_units(maps, 9).tolist() == [
        [-1, 0, 0, 1, 1, -1, -1, -1, -1],
        [-1, -1, 0, 0, 1, 1, -1, -1, -1],
    ]


def test_a_temporal_patch_of_two_frames_is_one_unit() -> None:
    tokens = FrameTokenMap(
        (FrameUnit((0, 1), 0.0, 2.0, (1, 2)), FrameUnit((2, 3), 2.0, 4.0, (3, 4))), (), 6
    )
    units = token_units([tokens], 6)
    attributions = torch.tensor([[9.0, 1.0, 2.0, 3.0, 4.0, 9.0]])
    assert sum_over_units(attributions, units, n_units=2).tolist() == [[3.0, 7.0]]


@pytest.mark.parametrize("shape", [(1, 4, 3, 2, 2), (8, 6)])
def test_pixels_are_shared_out_in_time_order(shape: tuple[int, ...]) -> None:
    pixels = torch.arange(48.0).reshape(shape)
    assert torch.equal(pixels_by_unit(pixels, 4), torch.arange(48.0).reshape(4, 12))


def test_pixels_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(CheckpointError, match="3 units"):
        pixels_by_unit(torch.zeros(1, 4, 2), 3)
