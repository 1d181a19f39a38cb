"""How far a backbone's tensor lies from the VLM's, and in how many directions.

    distance = tensor_distance(vlm_q, backbone_q, with_rank=True)
    distance.relative_norm, distance.cosine, distance.effective_rank

All of it is computed in float64, one pair of tensors in memory at a time. This file must not know
where tensors come from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.tensor_shapes import Matrix


@dataclass(frozen=True)
class TensorDistance:
    """Two tensors of one shape, compared."""

    relative_norm: float | None
    """|backbone - vlm| / |vlm|, Frobenius; None where the VLM's tensor is all zero."""
    cosine: float | None
    """Cosine of the two as flat vectors; None where one is all zero."""
    effective_rank: float | None
    """Effective rank of the difference; None where not asked for, of a vector, or of no
    difference."""


def tensor_distance(vlm: Tensor, backbone: Tensor, *, with_rank: bool = False) -> TensorDistance:
    """Compare two tensors.

    Args:
        vlm: The VLM's.
        backbone: The backbone's, of the same shape.
        with_rank: Whether to find the effective rank of a matrix' difference, which takes the cube
            of its shorter side: about 5 s for 3584 x 3584 on two cores.
    """
    v, b = vlm.double(), backbone.double()
    v_norm, b_norm = float(v.norm()), float(b.norm())
    difference = b - v
    return TensorDistance(
        relative_norm=float(difference.norm()) / v_norm if v_norm else None,
        cosine=float((v * b).sum()) / (v_norm * b_norm) if v_norm and b_norm else None,
        effective_rank=effective_rank(difference) if with_rank and v.ndim == 2 else None,
    )


def effective_rank(matrix: Matrix) -> float | None:
    """Effective rank: the exponential of the entropy of the normalised singular values.

    1 for an outer product, n for an orthogonal n x n matrix. With singular values s and
    p = s / sum(s) it is exp(-sum(p log p)).

    Source: O. Roy and M. Vetterli, "The effective rank: a measure of effective dimensionality",
    EUSIPCO 2007, definition 1. Singular values are the roots of the eigenvalues of the smaller Gram
    matrix in float64, half the time of a decomposition of the matrix itself; those below 1e-7 of
    the largest are rounding there and count as zero.

    Returns:
        A number from 1 to the shorter side; None for a matrix of zeros.
    """
    wide = matrix.double() if matrix.shape[0] <= matrix.shape[1] else matrix.double().T
    eigenvalues = torch.linalg.eigvalsh(wide @ wide.T)
    largest = float(eigenvalues[-1])
    if not largest > 0.0:
        return None
    singular = eigenvalues[eigenvalues > 1e-14 * largest].sqrt()
    shares = singular / singular.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))
