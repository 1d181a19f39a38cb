"""What a user can get wrong, as one family of errors.

Every error that a user can mend derives from `MeritError` and says in one line what is wrong and
what is valid; the command line prints that line and ends with code 2. Anything else that is raised
is a bug and keeps its traceback.

    raise RecipeError("r.json: layer 9 is not in the model", valid="layers 0 to 7")

This file must not know any room of the house.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class MeritError(Exception):
    """Root of all errors that a user can mend.

    Args:
        problem: What is wrong, with the name of the file, field or value concerned.
        valid: What would be right instead, in a few words.
    """

    def __init__(self, problem: str, *, valid: str | None = None) -> None:
        self.problem = " ".join(problem.split())
        self.valid = valid
        super().__init__(self.problem if valid is None else f"{self.problem}; valid: {valid}")


class SettingError(MeritError):
    """An option or argument has a value that it cannot have."""


class NotANumberError(SettingError):
    """A model gives NaN where a score is needed."""


class RecipeError(MeritError):
    """A recipe is malformed, or does not fit the models that it names."""


class CheckpointError(MeritError):
    """A checkpoint directory is missing, incomplete, damaged or of an unknown family."""


class PairError(MeritError):
    """A VLM and a backbone do not pair."""


class VideoError(MeritError):
    """A video cannot be read."""


class FailedItemsError(VideoError):
    """More items failed than a run may go on with.

    Args:
        problem: How many, and the first of them.
        rows: What became of each item, as rows of `decoding.jsonl`.
        valid: What would be right instead.
    """

    def __init__(
        self, problem: str, *, rows: Sequence[Mapping[str, Any]], valid: str | None = None
    ) -> None:
        super().__init__(problem, valid=valid)
        self.rows = tuple(rows)


class RunError(MeritError):
    """A run directory is in use, torn, or was made by other settings."""


class ItemError(MeritError):
    """One or more faults in an items file; all of them are kept, each with its line.

    Args:
        problem: The first fault, or a summary.
        faults: Every fault found, one line of text each.
        valid: What would be right instead.
    """

    def __init__(
        self, problem: str, *, faults: Sequence[str] = (), valid: str | None = None
    ) -> None:
        super().__init__(problem, valid=valid)
        self.faults = tuple(faults)
