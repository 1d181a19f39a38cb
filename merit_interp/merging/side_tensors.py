"""One side's tensors of a merge: what many recipes need in memory, the rest read when asked for.

    backbone = read_side(text_side, parameters, keep)
    backbone.of(tensor)

All text layers of both sides are as large as two models, and an evaluation needs most of them in a
few of its baselines only. This file must not know recipes or methods.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.errors import CheckpointError
from merit_interp.merging.text_side import TextSide
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.file_digests import file_stamp
from merit_interp.models.loading import LoadedModel
from merit_interp.models.text_tensors import TextTensor, text_tensors

Tensors = Mapping[TextTensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class SideTensors:
    """Tensors on the devices of the VLM's own; made by `read_side` and `own_side`."""

    kept: Tensors
    """In memory."""
    side: TextSide | None
    """Where the others are read; None where there are no others."""
    parameters: Tensors
    """The VLM's, for their devices."""
    dtype: torch.dtype | None
    """What is read becomes of this type; None for the type that it is stored in."""
    stamps: Mapping[Path, object]
    """What the files were like when their tensors were checked."""

    def of(self, tensor: TextTensor) -> torch.Tensor:
        """One tensor.

        Raises:
            CheckpointError: Its file has changed, or cannot be read any more.
        """
        if tensor in self.kept:
            return self.kept[tensor]
        assert self.side is not None  # it has all that is not kept
        file = self.side.checkpoint.stored[self.side.keys[tensor]].file
        if _stamps((file,)) != {file: self.stamps[file]}:
            raise CheckpointError(f"{file} has changed while it was used", valid="the same files")
        return self.side.tensor(tensor).to(self.parameters[tensor].device, self.dtype)


def read_side(side: TextSide, parameters: Tensors, keep: Collection[TextTensor]) -> SideTensors:
    """A text-only side, every tensor read once to be checked.

    Args:
        side: Where the tensors are.
        parameters: The VLM's tensors whose counterparts are needed.
        keep: Which of those stay in memory.

    Raises:
        CheckpointError: One cannot be read, or holds NaN or infinity.
    """
    stamps = _stamps(side.checkpoint.files)
    kept: dict[TextTensor, torch.Tensor] = {}
    for tensor, parameter in parameters.items():
        value = side.tensor(tensor)
        if tensor in keep:
            kept[tensor] = value.to(parameter.device)
    return SideTensors(kept, side, parameters, None, stamps)


def own_side(vlm: LoadedModel, parameters: Tensors, keep: Collection[TextTensor]) -> SideTensors:
    """The unmerged VLM's own tensors; what its files do not give bit for bit is kept too.

    Args:
        vlm: The model, unmerged.
        parameters: Those of its tensors that are needed.
        keep: Which of those stay in memory.

    Raises:
        CheckpointError: Its files cannot be read.
    """
    rest = parameters.keys() - set(keep)
    if not rest:
        clones = {tensor: p.detach().clone() for tensor, p in parameters.items()}
        return SideTensors(clones, None, parameters, None, {})
    checkpoint = Checkpoint.open(vlm.directory)
    stamps = _stamps(checkpoint.files)
    side = TextSide(checkpoint, text_tensors(checkpoint, vlm.family))
    dtype = vlm.placement.torch_dtype
    kept = {
        tensor: parameter.detach().clone()
        for tensor, parameter in parameters.items()
        if tensor not in rest or not _is_stored(side, tensor, parameter, dtype)
    }
    return SideTensors(kept, side, parameters, dtype, stamps)


def _is_stored(
    side: TextSide, tensor: TextTensor, parameter: torch.Tensor, dtype: torch.dtype
) -> bool:
    if tensor not in side.keys or parameter.dtype != dtype:
        return False
    return torch.equal(side.tensor(tensor).to(parameter.device, dtype), parameter)


def _stamps(files: Collection[Path]) -> dict[Path, object]:
    try:
        return {file: file_stamp(file) for file in files}
    except OSError as error:
        raise CheckpointError(f"cannot read {error.filename}: {error.strerror}") from None
