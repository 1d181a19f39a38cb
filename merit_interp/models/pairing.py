"""Do a VLM and a backbone pair, and how far did each attention weight move between them?

    report = pair(Checkpoint.open("models/vlm"), Checkpoint.open("models/backbone"))
    require_pair(report)

Two models pair when their text stacks have one width, depth and head layout, and the backbone has
every self-attention projection of the VLM. Embedding rows may differ: they are never merged.
Tensors are read one by one. This file must not know modules in memory or recipes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedConfig

from merit_interp.errors import CheckpointError, PairError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import (
    BACKBONE_FAMILIES,
    VLM_FAMILIES,
    Family,
    backbone_family,
    vlm_family,
)
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

    def flat(self, tensor: TextTensor) -> torch.Tensor:
        return self.checkpoint.finite_tensor(self.keys[tensor]).double().flatten()

    @property
    def depth(self) -> int:
        return 1 + max(tensor.layer for tensor in self.keys)


def pair(vlm: Checkpoint, backbone: Checkpoint) -> PairReport:
    """Compare a VLM's text stack with a backbone, tensor by tensor.

    Raises:
        PairError: The two are swapped.
        CheckpointError: One is of the wrong kind or of an unknown family, or a tensor cannot be
            read or holds NaN.
    """
    sides = tuple(
        _Side(checkpoint, family, text_tensors(checkpoint, family))
        for checkpoint, family in zip((vlm, backbone), _families(vlm, backbone), strict=True)
    )
    tensors = tuple(
        _compared(tensor, label, *sides) for tensor, label in _attention_tensors(sides).items()
    )
    configs = text_config(vlm), text_config(backbone)
    return PairReport(
        vlm=vlm.source,
        backbone=backbone.source,
        vlm_family=sides[0].family.model_type,
        backbone_family=sides[1].family.model_type,
        n_layers=sides[0].depth,
        n_backbone_layers=sides[1].depth,
        tensors=tensors,
        differences=(*layout_differences(*configs), *_tensor_differences(tensors)),
        notes=(*_config_notes(*configs), *_tensor_notes(tensors), *_layer_notes(*sides)),
    )


def require_pair(report: PairReport) -> None:
    """Refuse two models that cannot be merged.

    Raises:
        PairError: With the first differences named.
    """
    refuse_differences(report.vlm, report.backbone, report.differences)


def refuse_differences(vlm: str, backbone: str, differences: tuple[str, ...]) -> None:
    """Raise a PairError that names the first differences, where there are any."""
    if not differences:
        return
    named = "; ".join(differences[:MOST_NAMED])
    more = len(differences) - MOST_NAMED
    tail = f"; and {more} more" if more > 0 else ""
    raise PairError(
        f"{vlm} (VLM) and {backbone} (backbone) do not pair: {named}{tail}", valid=_PARTNER
    )


def text_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The text part of a checkpoint's config, with the family's defaults filled in.

    Raises:
        CheckpointError: transformers cannot read the config.
    """
    try:
        config = AutoConfig.from_pretrained(checkpoint.directory, local_files_only=True)
    except (OSError, ValueError, StrictDataclassError) as error:
        raise CheckpointError(f"cannot read the config of {checkpoint.source}: {error}") from None
    text: PreTrainedConfig = config.get_text_config(decoder=True)
    return text


def layout_differences(vlm: PreTrainedConfig, backbone: PreTrainedConfig) -> tuple[str, ...]:
    """What of width, depth and heads differs between two text configs.

    Heads are compared apart from shapes: 4 heads of 16 and 8 heads of 8 have equal weights' shapes
    and another meaning.
    """
    sides = _layout(vlm), _layout(backbone)
    return tuple(
        f"{name} {sides[0][name]} against {sides[1][name]}"
        for name in sides[0]
        if sides[0][name] != sides[1][name]
    )


def _layout(config: PreTrainedConfig) -> dict[str, int]:
    heads = config.num_attention_heads
    return {
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
    }


def _families(vlm: Checkpoint, backbone: Checkpoint) -> tuple[Family, Family]:
    types = vlm.config.get("model_type"), backbone.config.get("model_type")
    if types[0] in BACKBONE_FAMILIES and types[1] in VLM_FAMILIES:
        raise PairError(
            f"the VLM and the backbone are swapped: {vlm.source} is a text-only model",
            valid=f"--vlm {backbone.source} --backbone {vlm.source}",
        )
    return vlm_family(vlm.config, vlm.source), backbone_family(backbone.config, backbone.source)


def _attention_tensors(sides: tuple[_Side, ...]) -> dict[TextTensor, str]:
    """Self-attention tensors of either side with the report's label, by layer and projection."""
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

    return {tensor: labels[tensor] for tensor in sorted(labels, key=place)}


def _compared(tensor: TextTensor, label: str, vlm: _Side, backbone: _Side) -> TensorPair:
    row = TensorPair(tensor.layer, label, vlm.shape(tensor), backbone.shape(tensor))
    if row.vlm_shape is None or row.vlm_shape != row.backbone_shape:
        return row
    v, b = vlm.flat(tensor), backbone.flat(tensor)
    v_norm, b_norm = float(v.norm()), float(b.norm())
    return dataclasses.replace(
        row,
        relative_norm=float((b - v).norm()) / v_norm if v_norm else None,
        cosine=float(torch.dot(v, b)) / (v_norm * b_norm) if v_norm and b_norm else None,
    )


def _tensor_differences(tensors: tuple[TensorPair, ...]) -> tuple[str, ...]:
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


def _config_notes(vlm: PreTrainedConfig, backbone: PreTrainedConfig) -> tuple[str, ...]:
    values = {
        "vocab_size": (vlm.vocab_size, backbone.vocab_size),
        "rope_theta": (_rope_theta(vlm), _rope_theta(backbone)),
    }
    return tuple(f"{name} {v} against {b}" for name, (v, b) in values.items() if v != b)


def _rope_theta(config: PreTrainedConfig) -> float | None:
    return (getattr(config, "rope_parameters", None) or {}).get("rope_theta")


def _tensor_notes(tensors: tuple[TensorPair, ...]) -> tuple[str, ...]:
    lacking = {
        "VLM": {row.tensor for row in tensors if row.vlm_shape is None},
        "backbone": {row.tensor for row in tensors if row.backbone_shape is None},
    }
    return tuple(
        f"the {side} lacks {', '.join(sorted(names))}: not merged"
        for side, names in lacking.items()
        if names
    )


def _layer_notes(vlm: _Side, backbone: _Side) -> tuple[str, ...]:
    """The first tensor outside self-attention that keeps whole layers from being merged."""
    for tensor in vlm.keys:
        shapes = vlm.shape(tensor), backbone.shape(tensor)
        if vlm.family.attention_label(tensor.name) or None in shapes or shapes[0] == shapes[1]:
            continue
        return (f"layer {tensor.layer} {tensor.name} differs in shape: merge attention only",)
    return ()
