"""Answers computed by hand for the methods that need no base."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merit_interp.merging.methods import merge_method
from tests.merging.test_methods import DTYPES, columns, pairs

linear, slerp = merge_method("linear"), merge_method("slerp")


@settings(deadline=None)
@given(values=pairs, dtype=st.sampled_from(DTYPES), coefficient=st.floats(0.0, 1.0))
def test_linear_lies_between_the_sides_and_rounds_once(
    values: list[tuple[float, float]], dtype: torch.dtype, coefficient: float
) -> None:
    v, b = columns(values, dtype, dtype)
    exact = v.double() + coefficient * (b.double() - v.double())
    room = torch.finfo(dtype).eps * (v.double().abs() + b.double().abs()) + 1e-6
    assert bool(((linear(v, b, coefficient).double() - exact).abs() <= room).all())


def test_linear_on_a_known_pair() -> None:
    v, b = torch.tensor([[0.0, 2.0], [4.0, -8.0]]), torch.tensor([[4.0, 2.0], [0.0, 8.0]])
    assert linear(v, b, 0.25).tolist() == [[1.0, 2.0], [3.0, -4.0]]


def test_bfloat16_is_merged_in_float32() -> None:
    # the difference of 1 + 2**-7 and 1 is lost if a tenth of it is added in bfloat16 steps
    v, b = torch.full((1000,), 1.0).bfloat16(), torch.linspace(1.0, 2.0, 1000).bfloat16()
    wide = linear(v.float(), b.float(), 0.1)
    assert torch.equal(linear(v, b, 0.1), wide.bfloat16())


@pytest.mark.parametrize("share", [1 / 3, 0.5, 0.9])
def test_slerp_of_a_right_angle_goes_round_the_circle(share: float) -> None:
    x, y = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    merged = slerp(x, y, share)
    wanted = torch.tensor([math.cos(share * math.pi / 2), math.sin(share * math.pi / 2)])
    torch.testing.assert_close(merged, wanted)


def test_slerp_takes_the_norms_along() -> None:
    merged = slerp(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0], [1.0]]), 0.5)
    torch.testing.assert_close(merged, torch.tensor([[2.0], [1.0]]) * math.sqrt(0.5))


def test_slerp_of_sixty_degrees() -> None:
    x = torch.tensor([1.0, 0.0])
    y = torch.tensor([0.5, math.sqrt(0.75)])
    # half-way between 0 and 60 degrees
    wanted = torch.tensor([math.sqrt(0.75), 0.5])
    torch.testing.assert_close(slerp(x, y, 0.5), wanted)


def test_slerp_of_almost_parallel_and_opposite_tensors_is_a_line() -> None:
    x = torch.tensor([3.0, 4.0])
    for y in (x * 2, x * -1, x + torch.tensor([0.0, 1e-3])):
        assert torch.equal(slerp(x, y, 0.25), linear(x, y, 0.25))
    assert torch.equal(slerp(x, -x, 0.5), torch.zeros(2))


def test_slerp_beside_zeros_is_a_right_angle() -> None:
    merged = slerp(torch.zeros(2), torch.tensor([3.0, 4.0]), 0.5)
    torch.testing.assert_close(merged, torch.tensor([3.0, 4.0]) * math.sqrt(0.5))


@settings(deadline=None)
@given(scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e18]), share=st.floats(0.01, 0.99))
def test_slerp_stays_finite_at_any_scale(scale: float, share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    v, b = (torch.randn(20, generator=generator) * scale for _ in range(2))
    assert bool(slerp(v, b, share).isfinite().all())
