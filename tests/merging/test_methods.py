from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from merit_interp.errors import RecipeError
from merit_interp.merging.methods import METHODS, merge_method

linear = merge_method("linear")
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
numbers = st.floats(-1e3, 1e3, width=16)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30)
dtypes = st.sampled_from(DTYPES)


def bits(tensor: torch.Tensor) -> list[int]:
    return tensor.view(torch.uint8).tolist()


def sides(
    values: list[tuple[float, float]], vlm: torch.dtype, backbone: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    v, b = zip(*values, strict=True)
    return torch.tensor(v, dtype=vlm), torch.tensor(b, dtype=backbone)


@settings(deadline=None)
@given(values=pairs, vlm=dtypes, backbone=dtypes)
def test_linear_is_bit_for_bit_one_side_at_the_ends(
    values: list[tuple[float, float]], vlm: torch.dtype, backbone: torch.dtype
) -> None:
    v, b = sides(values, vlm, backbone)
    assert bits(linear(v, b, 0.0)) == bits(v)
    assert bits(linear(v, b, 1.0)) == bits(b.to(vlm))


@settings(deadline=None)
@given(values=pairs, dtype=dtypes, coefficient=st.floats(0.0, 1.0))
def test_linear_lies_between_the_sides_and_rounds_once(
    values: list[tuple[float, float]], dtype: torch.dtype, coefficient: float
) -> None:
    v, b = sides(values, dtype, dtype)
    merged = linear(v, b, coefficient)
    assert merged.dtype == dtype
    exact = v.double() + coefficient * (b.double() - v.double())
    room = torch.finfo(dtype).eps * (v.double().abs() + b.double().abs()) + 1e-6
    assert bool(((merged.double() - exact).abs() <= room).all())


def test_linear_on_a_known_pair() -> None:
    v, b = torch.tensor([[0.0, 2.0], [4.0, -8.0]]), torch.tensor([[4.0, 2.0], [0.0, 8.0]])
    assert linear(v, b, 0.25).tolist() == [[1.0, 2.0], [3.0, -4.0]]


def test_bfloat16_is_merged_in_float32() -> None:
    # the difference of 1 + 2**-7 and 1 is lost if a tenth of it is added in bfloat16 steps
    v, b = torch.full((1000,), 1.0).bfloat16(), torch.linspace(1.0, 2.0, 1000).bfloat16()
    wide = linear(v.float(), b.float(), 0.1)
    assert torch.equal(linear(v, b, 0.1), wide.bfloat16())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_method_keeps_the_contract(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    v, b = torch.randn(6, 5).to(dtype), torch.randn(6, 5).to(dtype)
    before = v.clone(), b.clone()
    for coefficient in (0.0, 0.3, 1.0):
        merged = merge_method(name)(v, b, coefficient)
        assert merged.shape == v.shape
        assert merged.dtype == dtype
        assert torch.equal(merged, merge_method(name)(v, b, coefficient))
    assert torch.equal(v, before[0])
    assert torch.equal(b, before[1])


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="no merge method 'slerp'; valid: linear"):
        merge_method("slerp")
