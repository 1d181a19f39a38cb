"""How items are asked and scored, in one frozen value that a recipe carries with it.

    scoring = Scoring(answers="letter", max_frames=16)

This file must not know items, recipes or models, and loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer


class Scoring(BaseModel):
    """How an item becomes a prompt and a score; equal settings give comparable scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: Literal["letter", "option_text"] = "letter"
    """Whose log-probability an option has: its letter after a lettered list, or its own text."""
    max_frames: int = Field(default=16, ge=1)
    """Most frames given to the model; a shorter video gives all of its frames."""

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
