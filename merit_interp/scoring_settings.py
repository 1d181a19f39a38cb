"""How items are asked and scored, in one frozen value that a recipe carries with it.

    scoring = Scoring(answers="letter", max_frames=16)

This file must not know items, recipes or models, and loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_serializer,
    model_validator,
)

from merit_interp.errors import SettingError

Answers = Literal["letter", "option_text", "generated"]
ANSWERS: tuple[Answers, ...] = ("letter", "option_text", "generated")


class Scoring(BaseModel):
    """How an item becomes a prompt and a score; equal settings give comparable scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: Answers = "letter"
    """Whose log-probability an option has: its letter after a lettered list, or its own text; or
    `generated`: the model is asked as for letters, and what it says is read."""
    max_frames: int = Field(default=16, ge=1)
    """Most frames given to the model; a shorter video gives all of its frames."""
    sampling: Literal["uniform", "segments", "fps"] = "uniform"
    """Which frames are taken: the mid-points of equal parts; MVBench's mid-points of segments, with
    repeats in short clips; or as many mid-points as `fps` gives."""
    fps: float | None = Field(default=None, gt=0)
    """Frames taken per second; for sampling `fps` and no other."""
    max_side: int | None = Field(default=None, ge=1)
    """Longest side of a decoded frame, in pixels; None leaves frames as they are."""
    circular: bool = False
    """Whether an item is asked with its options in every cyclic order."""
    max_new_tokens: int = Field(default=16, ge=1)
    """Most tokens of a generated answer."""

    @model_validator(mode="after")
    def _a_rate_for_sampling_by_rate(self) -> Scoring:
        if self.sampling == "fps" and self.fps is None:
            raise ValueError("sampling fps without a rate; valid: fps above 0 with it")
        if self.sampling != "fps" and self.fps is not None:
            raise ValueError(f"a rate with sampling {self.sampling}; valid: sampling fps")
        return self

    @model_validator(mode="after")
    def _orders_that_are_shown(self) -> Scoring:
        if self.circular and self.answers == "option_text":
            raise ValueError(
                "with answers option_text no options are shown that could be circular; "
                "valid: answers letter or generated"
            )
        return self

    @model_serializer(mode="wrap")
    def _first_fields_and_set_ones(
        self, written: Callable[[Scoring], dict[str, Any]]
    ) -> dict[str, Any]:
        """Later fields are in the file only where they say something else than their default."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in written(self).items()
            if name in ("answers", "max_frames") or getattr(self, name) != fields[name].default
        }


def changed_scoring(scoring: Scoring, **changes: Any) -> Scoring:
    """The same scoring with other values of some fields.

    Args:
        scoring: What holds for all others.
        changes: New values by field; None leaves a field as it is.

    Raises:
        SettingError: A value is not one that the field can have.
    """
    set_fields = {name: value for name, value in changes.items() if value is not None}
    try:
        return Scoring.model_validate({**scoring.model_dump(), **set_fields})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0]) if fault["loc"] else ""
        valid: str | None
        if name == "answers":
            valid = " or ".join((", ".join(ANSWERS[:-1]), ANSWERS[-1]))
            raise SettingError(f"answers {set_fields[name]!r}", valid=valid) from None
        if name == "sampling":
            raise SettingError(
                f"sampling {set_fields[name]!r}", valid="uniform, segments or fps"
            ) from None
        if not name:
            problem, _, valid = fault["msg"].removeprefix("Value error, ").partition("; valid: ")
            raise SettingError(problem, valid=valid or None) from None
        valid = fault["msg"].removeprefix("Input should be ")
        raise SettingError(f"{name} is {set_fields.get(name)!r}", valid=valid) from None


def without_orders(scoring: Scoring) -> tuple[Scoring, str]:
    """Scoring for a stage that looks into one forward: letters, options in the items' own order.

    Returns:
        The scoring, and a line on what it leaves out of the given one; empty where that is nothing.
    """
    left_out = []
    changes: dict[str, Any] = {}
    if scoring.answers == "generated":
        changes["answers"] = "letter"
        left_out.append("answers are scored by their letters, not generated")
    if scoring.circular:
        changes["circular"] = False
        left_out.append("options are in the items' own order only")
    return changed_scoring(scoring, **changes), "; ".join(left_out)
