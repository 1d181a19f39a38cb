"""Methods that add up what each model learned since their common ancestor.

    ties(vlm_weight, backbone_weight, 0.3, MergeContext(base_weight, settings, name))

A task vector is a model's tensor less the base's. The VLM's has weight 1 - a and the backbone's a,
so that the ends stay the two models; with the setting `keep_vlm` the VLM's has weight 1 whatever a
is, the additive form of task arithmetic, which gives up the backbone's end. What is added to the
base is scaled by the setting `lambda`.

A VLM made from the backbone itself has the backbone as its base, whose task vector is zero: then
these methods only thin out or shrink what the VLM learned, and TIES does not depend on a at all.

Pure functions on float tensors of one type and shape. This file must not know recipes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from merit_interp.merging.merge_context import MergeContext
from merit_interp.tensor_shapes import Weight

Sides = tuple[torch.Tensor, torch.Tensor]
"""Something of the VLM's and of the backbone's."""
Sparsify = Callable[[torch.Tensor, str, MergeContext], torch.Tensor]
"""(a task vector, whose it is, context) -> the task vector with part of it set to zero."""


def task_arithmetic(
    vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext
) -> Weight:
    """`base + lambda * ((1 - a) * (vlm - base) + a * (backbone - base))`.

    With lambda 1 the base cancels and this is `linear`, up to rounding; `keep_vlm` makes it
    `vlm + a * (backbone - base)`.

    Source: "Editing Models with Task Arithmetic" (arXiv 2212.04089).
    """
    vectors = _weighted(vlm, backbone, coefficient, context, _whole)
    return _added(sum_of(vectors), sum(_weights(coefficient, context)), context)


def ties(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """Trim task vectors to their largest entries, elect signs, average the entries that have them.

    An entry's sign is that of the weighted sum, positive where it is zero. Averaging is by the
    weights of the sides that agree, so that an entry that only one model kept counts whole: a small
    coefficient is not a small merge. `normalize` false leaves that division out.

    Source: "TIES-Merging" (arXiv 2306.01708), which keeps a fifth of each vector.
    """
    return _elected(vlm, backbone, coefficient, context, _trimmed)


def dare_linear(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """Task arithmetic on task vectors whose entries were dropped at random.

    Each entry is kept with probability `density`; `rescale` divides what is kept by it, which
    leaves the vector's expectation as it was.

    Source: DARE, "Language Models are Super Mario" (arXiv 2311.03099).
    """
    vectors = _weighted(vlm, backbone, coefficient, context, _dropped)
    return _added(sum_of(vectors), sum(_weights(coefficient, context)), context)


def dare_ties(vlm: Weight, backbone: Weight, coefficient: float, context: MergeContext) -> Weight:
    """Task vectors dropped as in `dare_linear`, then signs elected as in `ties`.

    Source: DARE (arXiv 2311.03099), with the second and third step of TIES (arXiv 2306.01708).
    """
    return _elected(vlm, backbone, coefficient, context, _dropped)


def sum_of(vectors: Sides) -> torch.Tensor:
    """Both sides' sum."""
    return vectors[0] + vectors[1]


def _elected(
    vlm: torch.Tensor,
    backbone: torch.Tensor,
    coefficient: float,
    context: MergeContext,
    sparsify: Sparsify,
) -> torch.Tensor:
    """Disjoint merge: of each entry, those sides whose sign is the sum's."""
    vectors = _weighted(vlm, backbone, coefficient, context, sparsify)
    is_positive = sum_of(vectors) >= 0
    # a zero agrees with no sign
    agree = tuple(torch.where(is_positive, v > 0, v < 0) for v in vectors)
    kept = tuple(v * there for v, there in zip(vectors, agree, strict=True))
    total = torch.zeros_like(vlm)
    for weight, there in zip(_weights(coefficient, context), agree, strict=True):
        total += there * weight
    total[total == 0] = 1.0
    return _added(kept[0] + kept[1], total, context)


def _added(
    vector: torch.Tensor, total_weight: torch.Tensor | float, context: MergeContext
) -> torch.Tensor:
    """The base with the merged task vector on it."""
    if context.settings["normalize"]:
        vector = vector / total_weight
    return _base(context) + vector * float(context.settings["lambda"])


def _weighted(
    vlm: torch.Tensor,
    backbone: torch.Tensor,
    coefficient: float,
    context: MergeContext,
    sparsify: Sparsify,
) -> Sides:
    """Both task vectors, sparsified, times their weights."""
    base, weights = _base(context), _weights(coefficient, context)
    return (
        sparsify(vlm - base, "vlm", context) * weights[0],
        sparsify(backbone - base, "backbone", context) * weights[1],
    )


def _weights(coefficient: float, context: MergeContext) -> tuple[float, float]:
    return (1.0 if context.settings["keep_vlm"] else 1.0 - coefficient), coefficient


def _base(context: MergeContext) -> torch.Tensor:
    assert context.base is not None  # the registry refuses a merge without it
    return context.base


def _whole(vector: torch.Tensor, side: str, context: MergeContext) -> torch.Tensor:
    return vector


def _trimmed(vector: torch.Tensor, side: str, context: MergeContext) -> torch.Tensor:
    """Its largest entries, a share `density` of them; at the border those that come first."""
    count = max(1, int(float(context.settings["density"]) * vector.numel()))
    if count >= vector.numel():
        return vector
    magnitudes = vector.abs().flatten()
    border = magnitudes.kthvalue(vector.numel() - count + 1).values
    kept = magnitudes > border
    at_border = (magnitudes == border).nonzero().flatten()
    kept[at_border[: count - int(kept.sum())]] = True
    return vector * kept.reshape(vector.shape)


def _dropped(vector: torch.Tensor, side: str, context: MergeContext) -> torch.Tensor:
    """Each entry with probability `density`, divided by it with `rescale`; the rest is zero."""
    density = float(context.settings["density"])
    drawn = torch.rand(vector.shape, generator=context.generator(side), dtype=torch.float32)
    kept = vector * (drawn < density).to(vector.device)
    return kept / density if context.settings["rescale"] else kept
