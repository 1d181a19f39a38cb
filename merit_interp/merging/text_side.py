"""A text-only model of a merge, the backbone or the base, read tensor by tensor.

    side = open_text_side(checkpoint, text_config(vlm), vlm.source, role="backbone")
    side.tensor(TextTensor(4, "self_attn.q_proj.weight"))

This file must not know recipes, nor the VLM beyond its text config.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedConfig

from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import backbone_family
from merit_interp.models.pairing import layout_differences, refuse_differences, text_config
from merit_interp.models.text_tensors import TextTensor, text_tensors


@dataclass(frozen=True, eq=False)
class TextSide:
    """A checkpoint with the keys of its text layers."""

    checkpoint: Checkpoint
    keys: Mapping[TextTensor, str]

    @property
    def shapes(self) -> dict[TextTensor, tuple[int, ...]]:
        """Shape of every tensor of the text layers, from the headers."""
        return {tensor: self.checkpoint.shape(key) for tensor, key in self.keys.items()}

    def tensor(self, tensor: TextTensor) -> torch.Tensor:
        """Read one tensor to the CPU, as it is stored.

        Raises:
            CheckpointError: It cannot be read, or holds NaN or infinity.
        """
        return self.checkpoint.finite_tensor(self.keys[tensor])

    def part(self, tensor: TextTensor, first: int, count: int) -> torch.Tensor:
        """Some of a tensor's values, flat; as `Checkpoint.finite_part`."""
        return self.checkpoint.finite_part(self.keys[tensor], first, count)


def open_text_side(
    checkpoint: Checkpoint, vlm_config: PreTrainedConfig, vlm: str, *, role: str
) -> TextSide:
    """The text layers of a backbone or base, checked to be laid out as the VLM's.

    Args:
        checkpoint: The text-only model.
        vlm_config: The text part of the VLM's config.
        vlm: The VLM's source, for an error.
        role: What the model is to the VLM, for an error.

    Raises:
        PairError: Width, depth or heads differ.
        CheckpointError: The model is of an unknown family.
    """
    family = backbone_family(checkpoint.config, checkpoint.source)
    keys = text_tensors(checkpoint, family)
    differences = layout_differences(vlm_config, text_config(checkpoint))
    refuse_differences(vlm, checkpoint.source, differences, role=role)
    return TextSide(checkpoint, keys)
