from __future__ import annotations

import pytest
import torch

from merit_interp.models.distances import effective_rank, tensor_distance


def orthogonal(n: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64)).Q


@pytest.mark.parametrize("n", [1, 2, 40])
def test_an_orthogonal_matrix_has_full_effective_rank(n: int) -> None:
    assert effective_rank(3.0 * orthogonal(n)) == pytest.approx(n, rel=1e-9)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30)])
def test_an_outer_product_has_effective_rank_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    low = torch.outer(torch.randn(shape[0]), torch.randn(shape[1]))
    assert effective_rank(low) == pytest.approx(1.0, abs=1e-4)
    # a LoRA of rank 4 has at most 4
    four = torch.randn(shape[0], 4).double() @ torch.randn(4, shape[1]).double()
    found = effective_rank(four)
    assert found is not None
    assert 3.0 < found <= 4.0 + 1e-6


def test_known_singular_values() -> None:
    left, right = orthogonal(3), orthogonal(3).T
    values = torch.tensor([4.0, 2.0, 2.0], dtype=torch.float64)
    # p = 1/2, 1/4, 1/4: entropy 1.5 bits
    assert effective_rank(left @ torch.diag(values) @ right) == pytest.approx(2**1.5)


def test_it_agrees_with_the_decomposition() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(40, 60)
    singular = torch.linalg.svdvals(matrix.double())
    shares = singular / singular.sum()
    expected = float(torch.exp(-(shares * shares.log()).sum()))
    assert effective_rank(matrix) == pytest.approx(expected, rel=1e-9)
    assert effective_rank(1e-9 * matrix) == pytest.approx(expected, rel=1e-9)


def test_a_matrix_of_zeros_has_none() -> None:
    assert effective_rank(torch.zeros(3, 4)) is None
    equal = tensor_distance(torch.ones(3, 4), torch.ones(3, 4), with_rank=True)
    assert (equal.relative_norm, equal.effective_rank) == (0.0, None)


def test_ranks_are_of_matrices_and_only_where_asked_for() -> None:
    torch.manual_seed(2)
    vlm, backbone = torch.randn(6, 8), torch.randn(6, 8)
    assert tensor_distance(vlm, backbone).effective_rank is None
    assert tensor_distance(vlm[0], backbone[0], with_rank=True).effective_rank is None
    found = tensor_distance(vlm, backbone, with_rank=True)
    assert found.effective_rank == effective_rank(backbone.double() - vlm.double())


def test_half_types_are_compared_in_double() -> None:
    vlm = torch.full((4, 4), 3.0, dtype=torch.bfloat16)
    found = tensor_distance(vlm, 1.5 * vlm)
    assert found.relative_norm == pytest.approx(0.5, abs=1e-12)
    assert found.cosine == pytest.approx(1.0, abs=1e-12)
