"""Do a VLM and a backbone pair, and how far did each attention weight move between them?

    report = pair(Checkpoint.open("models/vlm"), Checkpoint.open("models/backbone"))
    require_pair(report)

Two models pair when their text stacks have one width, depth and head layout, and the backbone has
every self-attention projection of the VLM. Embedding rows may differ: they are never merged.
Tensors are read one by one. This file must not know modules in memory or recipes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from merit_interp.errors import CheckpointError, PairError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.distances import tensor_distance
from merit_interp.models.families import (
    BACKBONE_FAMILIES,
    VLM_FAMILIES,
    Family,
    backbone_family,
    vlm_family,
)
from merit_interp.models.pair_notes import config_notes
from merit_interp.models.text_tensors import TextTensor, text_tensors
from merit_interp.recipe import PROJECTIONS

MOST_NAMED = 3
"""Differences named in an error; the report has all."""

_PARTNER = "the text model that this VLM was made from: equal width, depth and heads"


@dataclass(frozen=True)
class TensorPair:
    """One self-attention tensor of one text layer, on both sides."""

    layer: int
    tensor: str
    """`q.weight`, `q.bias`, `q_norm.weight`, ..."""
    vlm_shape: tuple[int, ...] | None
    """None where the VLM lacks the tensor."""
    backbone_shape: tuple[int, ...] | None
    """None where the backbone lacks it."""
    relative_norm: float | None = None
    """|backbone - vlm| / |vlm|; None where the shapes differ or the VLM's tensor is all zero."""
    cosine: float | None = None
    """Cosine of the two tensors as flat vectors; None where shapes differ or one is all zero."""
    effective_rank: float | None = None
    """Effective rank of backbone - vlm; None where not asked for, of a vector, or of no
    difference."""

    @property
    def where(self) -> str:
        """`layer 3 q.weight`."""
        return f"layer {self.layer} {self.tensor}"


@dataclass(frozen=True)
class PairReport:
    """What pairs, what does not, and how far each layer moved."""

    vlm: str
    """Source of the VLM."""
    backbone: str
    """Source of the backbone."""
    vlm_family: str
    backbone_family: str
    n_layers: int
    """Text layers of the VLM."""
    n_backbone_layers: int
    tensors: tuple[TensorPair, ...]
    """By layer, then projection."""
    differences: tuple[str, ...]
    """Why the two do not pair; empty where they do."""
    notes: tuple[str, ...]
    """What differs and does not forbid a merge."""

    @property
    def pairs(self) -> bool:
        """Whether the two can be merged."""
        return not self.differences

    @property
    def missing_in_vlm(self) -> tuple[str, ...]:
        """Self-attention tensors that only the backbone has."""
        return tuple(t.where for t in self.tensors if t.vlm_shape is None)

    @property
    def missing_in_backbone(self) -> tuple[str, ...]:
        """Self-attention tensors that only the VLM has."""
        return tuple(t.where for t in self.tensors if t.backbone_shape is None)

    def to_row(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            **dataclasses.asdict(self),
            "pairs": self.pairs,
            "missing_in_vlm": self.missing_in_vlm,
            "missing_in_backbone": self.missing_in_backbone,
        }


@dataclass(frozen=True)
class _Side:
    checkpoint: Checkpoint
    family: Family
    keys: Mapping[TextTensor, str]

    def shape(self, tensor: TextTensor) -> tuple[int, ...] | None:
        return self.checkpoint.shape(self.keys[tensor]) if tensor in self.keys else None

    def tensor(self, tensor: TextTensor) -> torch.Tensor:
        return self.checkpoint.finite_tensor(self.keys[tensor])

    @property
    def depth(self) -> int:
        return 1 + max(tensor.layer for tensor in self.keys)


def pair(
    vlm: Checkpoint,
    backbone: Checkpoint,
    *,
    with_ranks: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PairReport:
    """Compare a VLM's text stack with a backbone, one tensor of each side in memory at a time.

    Args:
        vlm: The VLM's checkpoint.
        backbone: The backbone's checkpoint.
        with_ranks: Whether to find effective ranks too, by far the longest part: see
            `distances.tensor_distance`.
        progress: Called with tensors compared and tensors in all.

    Raises:
        PairError: The two are swapped.
        CheckpointError: One is of the wrong kind or of an unknown family, or a tensor cannot be
            read or holds NaN.
    """
    sides = _sides(vlm, backbone)
    rows = _paired(sides)
    configs = text_config(vlm), text_config(backbone)
    differences = (*layout_differences(*configs), *_tensor_differences(rows.values()))
    if not differences:
        for done, (tensor, row) in enumerate(rows.items(), start=1):
            rows[tensor] = _measured(row, tensor, *sides, with_rank=with_ranks)
            if progress is not None:
                progress(done, len(rows))
    return PairReport(
        vlm=vlm.source,
        backbone=backbone.source,
        vlm_family=sides[0].family.model_type,
        backbone_family=sides[1].family.model_type,
        n_layers=sides[0].depth,
        n_backbone_layers=sides[1].depth,
        tensors=tuple(rows.values()),
        differences=differences,
        notes=(
            *config_notes(*configs),
            *_tensor_notes(rows.values()),
            *_type_notes(*sides),
            *_layer_notes(*sides),
        ),
    )


def check_pair(vlm: Checkpoint, backbone: Checkpoint) -> None:
    """Refuse two models that cannot be merged, from their configs and headers alone.

    Raises:
        PairError: They are swapped, one model twice, or differ in layout; the first differences
            are named.
        CheckpointError: One is of the wrong kind or of an unknown family.
    """
    sides = _sides(vlm, backbone)
    layout = layout_differences(text_config(vlm), text_config(backbone))
    differences = (*layout, *_tensor_differences(_paired(sides).values()))
    refuse_differences(vlm.source, backbone.source, differences)


def require_pair(report: PairReport) -> None:
    """Refuse two models that cannot be merged.

    Raises:
        PairError: With the first differences named.
    """
    refuse_differences(report.vlm, report.backbone, report.differences)


def refuse_differences(
    vlm: str, other: str, differences: tuple[str, ...], *, role: str = "backbone"
) -> None:
    """Raise a PairError that names the first differences, where there are any.

    Args:
        vlm: Source of the VLM.
        other: Source of the backbone or base.
        differences: What differs.
        role: What the other is to the VLM.
    """
    if not differences:
        return
    named = "; ".join(differences[:MOST_NAMED])
    more = len(differences) - MOST_NAMED
    tail = f"; and {more} more" if more > 0 else ""
    raise PairError(f"{vlm} (VLM) and {other} ({role}) do not pair: {named}{tail}", valid=_PARTNER)


def text_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The text part of a checkpoint's config, with the family's defaults filled in.

    Raises:
        CheckpointError: transformers cannot read the config.
    """
    try:
        config = AutoConfig.from_pretrained(
            checkpoint.directory, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, StrictDataclassError) as error:
        raise CheckpointError(f"cannot read the config of {checkpoint.source}: {error}") from None
    text: PreTrainedConfig = config.get_text_config(decoder=True)
    return text


def layout_differences(vlm: PreTrainedConfig, backbone: PreTrainedConfig) -> tuple[str, ...]:
    """What of width, depth and heads differs between two text configs.

    Heads are compared apart from shapes: 4 heads of 16 and 8 heads of 8 have equal weights' shapes
    and another meaning. Layers of one model may differ in heads (Gemma 4), so each is compared.
    """
    fields = ("hidden_size", "num_hidden_layers")
    found = [
        f"{name} {getattr(vlm, name)} against {getattr(backbone, name)}"
        for name in fields
        if getattr(vlm, name) != getattr(backbone, name)
    ]
    depth = min(vlm.num_hidden_layers, backbone.num_hidden_layers)
    where: dict[str, list[int]] = {}
    for layer in range(depth):
        sides = _heads(vlm.per_layer_config[layer]), _heads(backbone.per_layer_config[layer])
        for name, value in sides[0].items():
            if value != sides[1][name]:
                where.setdefault(f"{name} {value} against {sides[1][name]}", []).append(layer)
    for what, layers in where.items():
        some = f" in layers {', '.join(map(str, layers))}" if len(layers) < depth else ""
        found.append(what + some)
    return tuple(found)


def _heads(config: PreTrainedConfig) -> dict[str, int]:
    """Heads of one layer."""
    heads = config.num_attention_heads
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
    }


def _sides(vlm: Checkpoint, backbone: Checkpoint) -> tuple[_Side, _Side]:
    families = pair_families(vlm, backbone)
    return (
        _Side(vlm, families[0], text_tensors(vlm, families[0])),
        _Side(backbone, families[1], text_tensors(backbone, families[1])),
    )


def pair_families(vlm: Checkpoint, backbone: Checkpoint) -> tuple[Family, Family]:
    """The rows of a VLM and its backbone.

    Raises:
        PairError: The two are swapped, one model twice, or both VLMs.
        CheckpointError: One is of the wrong kind or of an unknown family.
    """
    if vlm.directory == backbone.directory:
        raise PairError(f"{vlm.source} is given as VLM and as backbone", valid=_PARTNER)
    types = vlm.config.get("model_type"), backbone.config.get("model_type")
    if types[0] in BACKBONE_FAMILIES and types[1] in VLM_FAMILIES:
        raise PairError(
            f"the VLM and the backbone are swapped: {vlm.source} is a text-only model",
            valid=f"--vlm {backbone.source} --backbone {vlm.source}",
        )
    if types[1] in VLM_FAMILIES:
        raise PairError(f"{backbone.source} is a VLM ({types[1]}), not a backbone", valid=_PARTNER)
    return vlm_family(vlm.config, vlm.source), backbone_family(backbone.config, backbone.source)


def _paired(sides: tuple[_Side, _Side]) -> dict[TextTensor, TensorPair]:
    """Self-attention tensors of either side with their shapes, by layer and projection."""
    vlm, backbone = sides
    labels = {
        tensor: label
        for side in sides
        for tensor in side.keys
        if (label := side.family.attention_label(tensor.name))
    }

    def place(tensor: TextTensor) -> tuple[int, int, bool]:
        module, _, kind = labels[tensor].partition(".")
        rank = PROJECTIONS.index(module) if module in PROJECTIONS else len(PROJECTIONS)
        return tensor.layer, rank, kind == "bias"

    return {
        t: TensorPair(t.layer, labels[t], vlm.shape(t), backbone.shape(t))
        for t in sorted(labels, key=place)
    }


def _measured(
    row: TensorPair, tensor: TextTensor, vlm: _Side, backbone: _Side, *, with_rank: bool
) -> TensorPair:
    if row.vlm_shape is None or row.backbone_shape is None:
        return row
    distance = tensor_distance(vlm.tensor(tensor), backbone.tensor(tensor), with_rank=with_rank)
    return dataclasses.replace(row, **dataclasses.asdict(distance))


def _tensor_differences(tensors: Iterable[TensorPair]) -> tuple[str, ...]:
    """Shapes that differ, and projections' weights that one side lacks."""
    needed = {f"{projection}.weight" for projection in PROJECTIONS}
    found: list[str] = []
    for row in tensors:
        if row.vlm_shape is None or row.backbone_shape is None:
            if row.tensor in needed:
                side = "VLM" if row.vlm_shape is None else "backbone"
                found.append(f"{row.where} missing in the {side}")
        elif row.vlm_shape != row.backbone_shape:
            found.append(f"{row.where} {list(row.vlm_shape)} against {list(row.backbone_shape)}")
    return tuple(found)


def _tensor_notes(rows: Iterable[TensorPair]) -> tuple[str, ...]:
    tensors = tuple(rows)
    lacking = {
        "VLM": {row.tensor for row in tensors if row.vlm_shape is None},
        "backbone": {row.tensor for row in tensors if row.backbone_shape is None},
    }
    return tuple(
        f"the {side} lacks {', '.join(sorted(names))}: not merged"
        for side, names in lacking.items()
        if names
    )


def _type_notes(vlm: _Side, backbone: _Side) -> tuple[str, ...]:
    stored = [
        "/".join(sorted({side.checkpoint.stored[key].dtype for key in side.keys.values()}))
        for side in (vlm, backbone)
    ]
    if stored[0] == stored[1]:
        return ()
    return (f"stored as {stored[0]} against {stored[1]}: merged in the VLM's type",)


def _layer_notes(vlm: _Side, backbone: _Side) -> tuple[str, ...]:
    """The first tensor outside self-attention that keeps whole layers from being merged."""
    for tensor in vlm.keys:
        shapes = vlm.shape(tensor), backbone.shape(tensor)
        if vlm.family.attention_label(tensor.name) or None in shapes or shapes[0] == shapes[1]:
            continue
        return (f"layer {tensor.layer} {tensor.name} differs in shape: merge attention only",)
    return ()
