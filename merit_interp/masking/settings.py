"""What a masking sweep does, beside its recipe and items.

    MaskSettings(mode="mean", tokens="visual")

Names that a user may give are checked here, before anything is loaded. This file must not know how
a mode is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.errors import SettingError
from merit_interp.recipe import Scoring

MODES: Mapping[str, str] = MappingProxyType(
    {
        "zero": "nothing comes out of self-attention",
        "mean": "the mean over the reference items, for each class of token",
        "resample": "the same layer's output from another item of the same shape",
        "revert": "the VLM's own self-attention, in place of the merged one",
        "swap": "the other model's output on the same item: merged into VLM, VLM into merged",
    }
)
"""What takes the place of a masked layer's self-attention."""

TOKENS: Mapping[str, str] = MappingProxyType(
    {
        "all": "every token",
        "visual": "the video's tokens",
        "text": "every token that is not the video's",
        "last": "the prompt's last token, which the answer is read from",
    }
)
"""Where it is replaced."""

NEEDS_A_MERGE = ("revert", "swap")
"""Modes that say nothing of a recipe which merges nothing."""


@dataclass(frozen=True)
class MaskSettings:
    """Settings of one sweep; each run directory holds one."""

    mode: str = "zero"
    """One of `MODES`."""
    tokens: str = "all"
    """One of `TOKENS`."""
    layers: tuple[int, ...] | None = None
    """Layers to hold against the others; None for the recipe's."""
    heads: tuple[int, ...] = ()
    """Mask only these heads of every masked layer; empty for all of self-attention."""
    each_head: bool = False
    """Mask every single head of every layer too."""
    draws: int = 200
    """Most sets of as many layers as the chosen ones; all of them where there are no more."""
    seed: int = 0
    """Seed of the sets and of resampling."""
    scoring: Scoring = Scoring()
    batch_size: int = 64
    """Most rows in one forward pass."""
    max_failed: float = 0.0
    """Share of items that may fail to decode before the run fails."""
    limit: int | None = None
    """Most items, drawn at random; None for all."""
    decoding: DecodingSettings = DecodingSettings()
    """How videos are decoded; no number depends on it."""
    prefix_gib: float = 2.0
    """Memory for the hidden states that enter the layers, in GiB; 0 runs every pass in full."""

    def __post_init__(self) -> None:
        for name, value, table in (("mode", self.mode, MODES), ("tokens", self.tokens, TOKENS)):
            if value not in table:
                raise SettingError(f"no {name} {value!r}", valid=", ".join(table))
        if self.mode == "revert" and (self.heads or self.each_head):
            raise SettingError(
                "heads cannot be reverted: they share their layer's projections",
                valid="--heads with zero, mean, resample or swap",
            )

    def require_heads_below(self, n_heads: int) -> None:
        """Refuse heads that the model lacks.

        Raises:
            SettingError: A head is not below the number of heads.
        """
        for head in self.heads:
            if not 0 <= head < n_heads:
                raise SettingError(
                    f"the model has no head {head}", valid=f"heads 0 to {n_heads - 1}"
                )

    def to_json(self) -> dict[str, Any]:
        """What the numbers of a sweep depend on, as JSON values."""
        return {
            "mode": self.mode,
            "tokens": self.tokens,
            "layers": None if self.layers is None else list(self.layers),
            "heads": list(self.heads),
            "each_head": self.each_head,
            "draws": self.draws,
            "seed": self.seed,
            "scoring": self.scoring.model_dump(mode="json"),
            "batch_size": self.batch_size,
            "max_failed": self.max_failed,
            "limit": self.limit,
        }
