"""What a merge method may know beside the two tensors that it merges.

    MergeContext(base, {"density": 0.5}, "layers.3.self_attn.q_proj.weight")

This file must not know any method.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch

from merit_interp.recipe import Setting

NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})


@dataclass(frozen=True)
class MergeContext:
    """The common ancestor's tensor, the settings, and which tensor this is."""

    base: torch.Tensor | None = None
    """The common ancestor's tensor, for a method that merges task vectors."""
    settings: Mapping[str, Setting] = field(default_factory=lambda: NO_SETTINGS)
    """The recipe's settings; those left out have the method's defaults."""
    tensor: str = ""
    """The tensor's name, `layers.3.self_attn.q_proj.weight` wherever it is stored; random numbers
    are drawn by it, so that they depend on no order."""

    def generator(self, side: str) -> torch.Generator:
        """Random numbers of one side of this tensor, the same on every machine.

        On the CPU: other devices draw others. The seed is the setting `seed`.
        """
        name = f"{self.settings['seed']}:{self.tensor}:{side}"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
        return torch.Generator("cpu").manual_seed(seed % 2**63)


NO_CONTEXT = MergeContext()
