"""One contract that every merge method keeps; what each computes is in the files beside this."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from merit_interp.errors import RecipeError
from merit_interp.merging.merge_context import MergeContext
from merit_interp.merging.methods import METHODS, MergeMethod, merge_method

linear = merge_method("linear")
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
BETWEEN = (0.1, 0.5, 0.9)
NEEDING_BASE = [name for name in METHODS if METHODS[name].needs_base]

numbers = st.floats(-1e3, 1e3, width=16)
pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30)
triples = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=30)
dtypes = st.sampled_from(DTYPES)
methods = st.sampled_from(list(METHODS.values()))


def bits(tensor: Tensor) -> list[int]:
    return tensor.contiguous().flatten().view(torch.uint8).tolist()


def columns(values: list[tuple[float, ...]], *types: torch.dtype) -> list[Tensor]:
    return [
        torch.tensor(column, dtype=dtype)
        for column, dtype in zip(zip(*values, strict=True), types, strict=True)
    ]


def context(base: Tensor, name: str = "layers.0.mlp.up_proj.weight", **given: Any) -> MergeContext:
    return MergeContext(base, given, name)


def between(method: MergeMethod) -> tuple[float, ...]:
    return () if method.ends_only else BETWEEN


@settings(deadline=None)
@given(values=triples, method=methods, vlm=dtypes, backbone=dtypes)
def test_at_the_ends_it_is_bit_for_bit_one_side(
    values: list[tuple[float, float, float]],
    method: MergeMethod,
    vlm: torch.dtype,
    backbone: torch.dtype,
) -> None:
    v, b, base = columns(values, vlm, backbone, backbone)
    assert bits(method(v, b, 0.0, context(base))) == bits(v)
    assert bits(method(v, b, 1.0, context(base))) == bits(b.to(vlm))


@settings(deadline=None)
@given(values=triples, method=methods, dtype=dtypes, coefficient=st.floats(0.0, 1.0))
def test_type_shape_and_inputs_are_kept_and_nothing_is_nan(
    values: list[tuple[float, float, float]],
    method: MergeMethod,
    dtype: torch.dtype,
    coefficient: float,
) -> None:
    if method.ends_only:
        coefficient = float(round(coefficient))
    sides = columns(values, dtype, dtype, dtype)
    before = [side.clone() for side in sides]
    for shape in ((-1,), (1, -1), (-1, 1)):
        v, b, base = (side.reshape(shape) for side in sides)
        merged = method(v, b, coefficient, context(base))
        assert merged.dtype == dtype
        assert merged.shape == v.shape
        assert not bool(merged.isnan().any())
    assert all(torch.equal(side, copy) for side, copy in zip(sides, before, strict=True))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equal_tensors_stay_and_zeros_are_no_trouble(name: str, dtype: torch.dtype) -> None:
    method = METHODS[name]
    some = torch.linspace(-1, 2, 12).reshape(3, 4).to(dtype)
    zeros = torch.zeros_like(some)
    for coefficient in between(method):
        # density 1 and no normalisation: what is left is the method's arithmetic alone
        whole = {key: 1.0 for key in ("density",) if key in method.settings}
        same = method(some, some, coefficient, context(some, **whole))
        torch.testing.assert_close(same, some, rtol=torch.finfo(dtype).eps, atol=0.0)
        for v, b, base in ((zeros, zeros, zeros), (zeros, some, zeros), (some, zeros, some)):
            merged = method(v, b, coefficient, context(base))
            assert bool(merged.isfinite().all())
        assert not bool(method(zeros, zeros, coefficient, context(zeros)).any())


@pytest.mark.parametrize("name", METHODS)
def test_it_is_deterministic_under_its_seed_and_name_alone(name: str) -> None:
    method = METHODS[name]
    generator = torch.Generator().manual_seed(0)
    v, b, base = (torch.randn(40, 50, generator=generator) for _ in range(3))
    for coefficient in between(method):
        torch.manual_seed(1)
        first = method(v, b, coefficient, context(base))
        torch.manual_seed(2)
        method(b, v, coefficient, context(base, name="another"))
        assert torch.equal(method(v, b, coefficient, context(base)), first)
        if "seed" in method.settings:
            for other in (context(base, seed=1), context(base, name="another")):
                assert not torch.equal(method(v, b, coefficient, other), first)


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].is_elementwise])
def test_an_elementwise_method_may_be_applied_to_parts(name: str) -> None:
    method = METHODS[name]
    generator = torch.Generator().manual_seed(0)
    v, b, base = (torch.randn(64, generator=generator).bfloat16() for _ in range(3))
    for coefficient in between(method):
        parts = [
            method(v[at], b[at], coefficient, context(base[at]))
            for at in (slice(0, 20), slice(20, 64))
        ]
        assert torch.equal(torch.cat(parts), method(v, b, coefficient, context(base)))


@pytest.mark.parametrize("name", METHODS)
def test_it_is_computed_wide_and_rounded_once(name: str) -> None:
    method = METHODS[name]
    generator = torch.Generator().manual_seed(0)
    v, b, base = (torch.randn(30, 30, generator=generator).bfloat16() for _ in range(3))
    for coefficient in between(method):
        wide = method(v.float(), b.float(), coefficient, context(base.float()))
        assert torch.equal(method(v, b, coefficient, context(base)), wide.bfloat16())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_where_it_is_from(name: str) -> None:
    assert METHODS[name].name == name
    assert METHODS[name].source
    assert METHODS[name].function.__doc__ is not None
    assert "Source: " in METHODS[name].function.__doc__


@pytest.mark.parametrize("name", NEEDING_BASE)
def test_a_task_vector_needs_its_base(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"method {name} needs a base; valid: the model that"):
        METHODS[name](torch.ones(2), torch.zeros(2), 0.5)


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="no merge method 'mean'; valid: dare_linear, dare_ties"):
        merge_method("mean")


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("linear", {"density": 0.5}, "method linear has no setting 'density'; valid: none"),
        ("ties", {"seed": 1}, "ties has no setting 'seed'; valid: settings lambda, normalize"),
        ("ties", {"density": 0.0}, "setting density of method ties is 0.0; valid: a share above 0"),
        ("ties", {"density": 1.5}, "setting density of method ties is 1.5"),
        ("ties", {"density": True}, "setting density of method ties is True"),
        ("ties", {"normalize": 1}, "setting normalize of method ties is 1; valid: true or false"),
        (
            "dare_ties",
            {"seed": -1},
            "setting seed of method dare_ties is -1; valid: a whole number",
        ),
        ("dare_ties", {"seed": 0.5}, "setting seed of method dare_ties is 0.5"),
    ],
)
def test_settings_are_checked(name: str, given: dict[str, object], message: str) -> None:
    one = torch.ones(2)
    with pytest.raises(RecipeError, match=message):
        METHODS[name](one, one, 0.5, MergeContext(one, given))


def test_a_layer_swap_takes_a_layer_or_leaves_it() -> None:
    with pytest.raises(RecipeError, match=r"layer_swap cannot take a share of 0.5; valid: coeff"):
        METHODS["layer_swap"](torch.ones(2), torch.zeros(2), 0.5)
