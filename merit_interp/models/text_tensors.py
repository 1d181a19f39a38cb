"""Which tensor of a checkpoint is which tensor of which text layer.

    keys = text_tensors(checkpoint, family)
    keys[TextTensor(0, "self_attn.q_proj.weight")]    # its key in the files

Vision towers have `layers` and `self_attn` too, so keys are matched on the family's whole prefix.
This file must not know modules in memory.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import Family


class TextTensor(NamedTuple):
    """A tensor of a text layer, named alike in memory, on disk and on both sides of a pair."""

    layer: int
    name: str
    """Name within the layer, like `self_attn.q_proj.bias`."""


def text_tensors(checkpoint: Checkpoint, family: Family) -> dict[TextTensor, str]:
    """Keys in the files of every tensor of the text layers, in order.

    Raises:
        CheckpointError: No key, or keys under more than one prefix, or a layer is left out.
    """
    found: dict[str, dict[TextTensor, str]] = {}
    for prefix in family.disk_layers:
        pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.(.+)")
        for key in checkpoint.tensor_names:
            if match := pattern.fullmatch(key):
                found.setdefault(prefix, {})[TextTensor(int(match[1]), match[2])] = key
    if len(found) != 1:
        where = " and ".join(found) if found else "no known prefix"
        raise CheckpointError(
            f"{checkpoint.source} keeps its text layers under {where}",
            valid=f"one of {', '.join(family.disk_layers)}",
        )
    tensors = dict(sorted(next(iter(found.values())).items()))
    layers = {tensor.layer for tensor in tensors}
    absent = sorted(set(range(max(layers) + 1)) - layers)
    if absent:
        raise CheckpointError(
            f"{checkpoint.source} has no tensor of text layer {absent[0]}",
            valid=f"every layer from 0 to {max(layers)}",
        )
    return tensors
