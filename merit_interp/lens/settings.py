"""What a lens run does, beside its recipe and items.

    LensSettings(engine="modules")

Names that a user may give are checked here, before anything is loaded. This file must not know how
an engine reads a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.errors import SettingError
from merit_interp.recipe import Scoring

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "auto": "TransformerLens where it has the architecture, else the model's own modules",
        "transformer_lens": "TransformerLens' bridge on a copy of the model",
        "modules": "hooks on the modules of transformers",
    }
)
"""What reads a model's activations; the numbers are the same."""


@dataclass(frozen=True)
class LensSettings:
    """Settings of one run; each run directory holds one."""

    engine: str = "auto"
    """One of `ENGINES`."""
    layers: tuple[int, ...] | None = None
    """Layers whose heads are masked and compared; None for the recipe's."""
    mask_heads: bool = True
    """Whether each head of these layers is masked too: a forward for each head and batch."""
    limit: int | None = 64
    """Items, drawn by seed; None for all."""
    seed: int = 0
    """Seed of the drawn items."""
    scoring: Scoring = Scoring()
    batch_size: int = 16
    """Most rows in one forward pass; eager attention holds (rows, heads, tokens, tokens)."""
    max_failed: float = 0.0
    """Share of items that may fail to decode before the run fails."""
    decoding: DecodingSettings = DecodingSettings()
    """How videos are decoded; no number depends on it."""

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise SettingError(f"no engine {self.engine!r}", valid=", ".join(ENGINES))

    def require_layers_below(self, n_layers: int) -> None:
        """Refuse layers that the model lacks.

        Raises:
            SettingError: A layer is not below the number of layers.
        """
        for layer in self.layers or ():
            if not 0 <= layer < n_layers:
                raise SettingError(
                    f"the model has no layer {layer}", valid=f"layers 0 to {n_layers - 1}"
                )

    def to_json(self) -> dict[str, Any]:
        """What the numbers of a run depend on, as JSON values."""
        return {
            "engine": self.engine,
            "layers": None if self.layers is None else list(self.layers),
            "mask_heads": self.mask_heads,
            "limit": self.limit,
            "seed": self.seed,
            "scoring": self.scoring.model_dump(mode="json"),
            "batch_size": self.batch_size,
            "max_failed": self.max_failed,
        }
