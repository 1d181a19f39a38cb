"""What an attribution run does, beside its recipe and items.

    AttributionSettings(method="shapley", baseline="blurred").checked()

Names that a user may give are checked here, before anything is loaded. This file must not know how
any of it is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from merit_interp.attribution.baselines import BASELINES
from merit_interp.attribution.controls import DEFAULT_CONTROLS
from merit_interp.attribution.methods import METHODS
from merit_interp.attribution.target import DEFAULT_TARGET, Target, checked_target
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.video_controls import checked_controls
from merit_interp.errors import SettingError
from merit_interp.models.loading import Placement
from merit_interp.recipe import Scoring

DEFAULT_METHOD = next(iter(METHODS))
DEFAULT_LIMIT = 64
ERROR_LIMIT = 0.01
"""Completeness error above which an item is tried again, in float32."""
HALF_ERROR_LIMIT = 0.05
"""In types with fewer digits, whose error is rounding and falls with no number of steps."""


@dataclass(frozen=True)
class AttributionSettings:
    """Settings of one run; each run directory holds one."""

    scoring: Scoring = Scoring()
    method: str = DEFAULT_METHOD
    baseline: str | None = None
    """What stands for an absent frame; None for the first of `BASELINES` that serves the family."""
    target: Target = DEFAULT_TARGET
    steps: int | None = None
    """Steps of the path, or sampled orders; None for the method's own number."""
    error_limit: float | None = None
    """Completeness error above which an item is tried again with more steps, then flagged; None
    for 1% in float32 and 5% in types with fewer digits."""
    batch_size: int = 64
    """Most prompt rows in one forward pass."""
    limit: int | None = DEFAULT_LIMIT
    """Items of each set, drawn by seed; None for all."""
    draws: int = 4
    """Random-layer merges of the recipe's size; as many sets of other layers to mask."""
    randomised: int = 2
    """Models with weights drawn anew."""
    controls: bool = True
    """Whether controls and the other methods run too."""
    video_controls: tuple[str, ...] | None = None
    """What is shown beside the video; None for `DEFAULT_CONTROLS`, and none without `controls`."""
    max_failed: float = 0.0
    """Share of items that may fail to decode before the run fails."""
    seed: int = 0
    placement: Placement = Placement()
    decoding: DecodingSettings = DecodingSettings()
    """How videos are decoded; no number depends on it."""

    @property
    def most_error(self) -> float:
        """The limit of the completeness error, a share."""
        if self.error_limit is not None:
            return self.error_limit
        return ERROR_LIMIT if self.placement.dtype == "float32" else HALF_ERROR_LIMIT

    @property
    def shown_controls(self) -> tuple[str, ...]:
        """Every control that runs."""
        if self.video_controls is not None:
            return self.video_controls
        return DEFAULT_CONTROLS if self.controls else ()

    def checked(self) -> AttributionSettings:
        """The same settings, all names known.

        Raises:
            SettingError: A name is unknown, or a number out of its range.
        """
        _require(self.method, tuple(METHODS), "attribution method")
        if self.baseline is not None:
            _require(self.baseline, tuple(BASELINES), "baseline")
        checked_target(self.target)
        checked_controls(self.video_controls or ())
        if self.steps is not None and self.steps < 1:
            raise SettingError(f"{self.steps} steps", valid="1 or more")
        return self


def _require(name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise SettingError(f"no {what} {name!r}", valid=", ".join(known))
