"""Methods that go from the VLM's tensor to the backbone's and need no third model.

    linear(vlm_weight, backbone_weight, 0.5, MergeContext())

Pure functions on float tensors of one type and shape. This file must not know tasks or recipes.
"""

from __future__ import annotations

import math

import torch

from merit_interp.merging.merge_context import MergeContext
from merit_interp.tensor_shapes import Weight

ALMOST_PARALLEL = 0.9995
"""Cosine beyond which an arc is taken for a line, as in mergekit."""
_ALMOST_ZERO = 1e-8
"""Norm below which a tensor has no direction."""


def linear(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """`vlm + coefficient * (backbone - vlm)`.

    By plain elementwise steps, since each is rounded alike on every device; `torch.lerp` may fuse
    them, and then differs by device.

    Source: MERIT (arXiv 2604.11399); on all text weights, "Bring Reason to Vision"
    (arXiv 2505.05464).
    """
    return vlm + (backbone - vlm) * coefficient


def layer_swap(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """The backbone's tensor; the registry lets no coefficient but 0 and 1 through.

    Source: "Layer Swapping for Zero-Shot Cross-Lingual Transfer" (arXiv 2410.01335).
    """
    return backbone


def slerp(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """Along the arc between the two tensors, taken as flat vectors; their norms go along.

    `(sin((1-a)t) * vlm + sin(a t) * backbone) / sin(t)` with t the angle between the two. Almost
    parallel or opposite tensors are interpolated linearly, and a tensor of zeros has a right angle
    to any other, both as in mergekit.

    Source: Shoemake, "Animating rotation with quaternion curves" (SIGGRAPH 1985).
    """
    cosine = _cosine(vlm, backbone)
    if abs(cosine) > ALMOST_PARALLEL:
        return linear(vlm, backbone, coefficient, context)
    angle = math.acos(cosine)
    shares = [math.sin(part * angle) / math.sin(angle) for part in (1 - coefficient, coefficient)]
    # in float32 the two products and their sum are rounded apart, up to two units in all
    return (vlm.double() * shares[0] + backbone.double() * shares[1]).to(vlm.dtype)


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """In float64 sums, so that the order of summation, which differs by device, does not show."""
    units = a / _length(a), b / _length(b)
    return max(-1.0, min(1.0, float((units[0] * units[1]).sum(dtype=torch.float64))))


def _length(vector: torch.Tensor) -> float:
    """Its norm, or 1 where it has no direction."""
    norm = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    return norm if norm > _ALMOST_ZERO else 1.0
