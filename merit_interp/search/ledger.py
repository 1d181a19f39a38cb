"""The source of truth of a search: every item's score under every recipe, append-only.

    with open_ledger(run / "ledger.jsonl", header) as ledger:
        ledger.record("3f2a...", "search", batch=0, log_probs={"item 7": (-0.1, -2.3)})
        ledger.log_probs("3f2a...", "search", batch=0)

The first line pins what the scores depend on; a ledger is never continued under another header.
A resumed search asks the ledger before it asks the model, and asks it for the scores that it has
just made too, so that both go through the same JSON. This file must not know models or samplers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from merit_interp.errors import RunError
from merit_interp.record_files import JsonlAppender

LogProbs = tuple[float, ...]
"""Log-probability of each option, in nats."""

_Key = tuple[str, str, int]


@contextlib.contextmanager
def open_ledger(path: Path, header: Mapping[str, Any]) -> Iterator[Ledger]:
    """A ledger, new or gone on with, for this process alone.

    Args:
        path: The file, which may be missing or torn.
        header: What the scores depend on, as JSON values.

    Raises:
        RunError: The file was written under another header (the field that differs is named), a
            line other than the last is damaged, another process has it open, or it cannot be
            written.
    """
    with _locked(path):
        refuse_other_header(path, read_header(path), header)
        with JsonlAppender(path) as file:
            yield Ledger(file, header)


class Ledger:
    """Scores by recipe, split and batch; one line of JSON for each. Made by `open_ledger`.

    Scores stay on disk: memory holds where each line is, for searches of millions of scores.
    """

    def __init__(self, file: JsonlAppender, header: Mapping[str, Any]) -> None:
        self._file = file
        self._path = file.path
        self._places: dict[_Key, tuple[int, int]] = {}
        self._end = self._path.stat().st_size
        if not self._end:
            self._append({"header": header})
        self._read_places()

    def _read_places(self) -> None:
        start = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                row = _parsed(line, self._path, number)
                if number > 1:
                    key = (row["recipe"], row["split"], row["batch"])
                    self._places[key] = (start, len(line))
                start += len(line)

    def _append(self, row: Mapping[str, Any]) -> tuple[int, int]:
        self._file.append(row)
        start, self._end = self._end, self._path.stat().st_size
        return start, self._end - start

    def holds(self, recipe: str, split: str, batch: int) -> bool:
        """Whether a batch has been scored."""
        return (recipe, split, batch) in self._places

    def record(
        self,
        recipe: str,
        split: str,
        batch: int,
        log_probs: Mapping[str, LogProbs],
        *,
        fault: str | None = None,
    ) -> None:
        """Write down the scores of one batch.

        Args:
            recipe: Merge hash, or `vlm` for the unmerged model.
            split: `search` or `validation`.
            batch: Its number in the batch plan.
            log_probs: Options' log-probabilities by item id, in nats.
            fault: Why there are none, where they are NaN.
        """
        row = {"recipe": recipe, "split": split, "batch": batch, "log_probs": dict(log_probs)}
        if fault is not None:
            row["fault"] = fault
        self._places[recipe, split, batch] = self._append(row)

    def log_probs(self, recipe: str, split: str, batch: int) -> dict[str, LogProbs]:
        """The scores of one batch that the ledger holds."""
        held = self._row(recipe, split, batch)["log_probs"]
        return {item: tuple(values) for item, values in held.items()}

    def fault(self, recipe: str, split: str, batch: int) -> str | None:
        """Why a batch that the ledger holds has no scores; None where nothing is said."""
        fault: str | None = self._row(recipe, split, batch).get("fault")
        return fault

    def _row(self, recipe: str, split: str, batch: int) -> dict[str, Any]:
        start, length = self._places[recipe, split, batch]
        with self._path.open("rb") as file:
            file.seek(start)
            row: dict[str, Any] = json.loads(file.read(length))
        return row


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file for this process alone, until the block or the process ends.

    Before anything is read: what looks like a torn line may be one that is being written.
    """
    try:
        file = path.open("ab")
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(
                f"another process is searching in {path.parent}", valid="its end, or another --out"
            ) from None
        yield


def read_header(path: Path) -> dict[str, Any] | None:
    """What a ledger pins; None where it is missing or holds no whole line.

    Raises:
        RunError: The first line is whole and no header.
    """
    if not path.exists():
        return None
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return None
    header = _parsed(line, path, 1).get("header")
    if not isinstance(header, dict):
        raise RunError(f"{path}, line 1, is no header of a search", valid="another --out")
    return header


def refuse_other_header(path: Path, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> None:
    """Refuse to continue a ledger under another header; fields only in `old` are not compared.

    Raises:
        RunError: A field differs; it is named, with both values.
    """
    if old is None:
        return
    different = _first_difference(old, json.loads(json.dumps(new)), "")
    if different is not None:
        field, before, now = different
        raise RunError(
            f"{path.parent} holds a search with {field} {_short(before)}, not {_short(now)}",
            valid=f"--resume with the same {field}, --overwrite, or another --out",
        )


def _first_difference(old: Any, new: Any, field: str) -> tuple[str, Any, Any] | None:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return None if old == new else (field, old, new)
    for key, value in new.items():
        name = f"{field}.{key}" if field else key
        found = _first_difference(old.get(key), value, name)
        if found is not None:
            return found
    return None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        row = None
    if not isinstance(row, dict):
        raise RunError(
            f"{path}, line {number}, is not a JSON object",
            valid="an undamaged ledger, or --overwrite",
        )
    return row
