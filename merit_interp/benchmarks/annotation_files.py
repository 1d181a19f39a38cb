"""Rows of published annotation files: json, jsonl, csv and parquet, one row at a time.

    for row in read_rows(Path("val.csv"), needs=("video", "question", "answer")):
        row.text("question"), row.whole("answer")

A file that is missing, torn or of another shape is an `ItemError` that names the file and the row;
one row whose fields are wrong is a `RowError`, which importers turn into a row left out. No file is
held whole, so a long one costs no more memory than a short one. This file must not know any
benchmark.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from merit_interp.errors import ItemError

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_CHUNK = 1 << 16
_BATCH_ROWS = 512
_SPACE = " \t\r\n"
_AFTER_VALUE = frozenset(f"{_SPACE},]}}:")


class RowError(ItemError):
    """One row of an annotation file cannot be used; the others can."""


@dataclass(frozen=True)
class Row:
    """One row of an annotation file."""

    place: str
    """Where it stands, like "val.csv, row 17"."""
    fields: Mapping[str, Any]
    key: str = ""
    """Its name in the file, where the file is an object of rows."""

    def value(self, name: str) -> Any:
        """The field as it was read.

        Raises:
            RowError: It is missing or null.
        """
        value = self.fields.get(name)
        # csv puts cells past the header under None: the columns do not stand where they should
        if None in self.fields:
            raise RowError("row has more cells than the header")
        if value is None:
            raise RowError(f"field {name!r} is missing")
        return value

    def text(self, name: str) -> str:
        """The field as text without blanks around it; a number is taken as its digits.

        Raises:
            RowError: It is missing, empty or no text.
        """
        text = _text(self.value(name))
        if not text:
            raise RowError(f"field {name!r} is no text")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        """The field as several texts.

        Raises:
            RowError: It is missing or no list of texts.
        """
        value = self.value(name)
        texts = [_text(part) for part in value] if isinstance(value, list | tuple) else [None]
        if None in texts:
            raise RowError(f"field {name!r} is no list of texts")
        return tuple(text for text in texts if text is not None)

    def whole(self, name: str) -> int:
        """The field as a whole number, which csv writes as text.

        Raises:
            RowError: It is missing or no whole number.
        """
        number = self.number(name)
        if number != int(number):
            raise RowError(f"field {name!r} is no whole number")
        return int(number)

    def number(self, name: str) -> float:
        """The field as a finite number, which csv writes as text.

        Raises:
            RowError: It is missing or no finite number.
        """
        value = self.value(name)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise RowError(f"field {name!r} is no number")
        return number

    def optional_number(self, name: str) -> float | None:
        """As `number`; None where the field is missing, null or empty."""
        return None if self.fields.get(name) in (None, "") else self.number(name)

    def spans(self, name: str) -> tuple[tuple[float, float], ...]:
        """The field as pairs of times.

        Raises:
            RowError: It is missing or no list of pairs of numbers.
        """
        return pairs_of_numbers(self.value(name), name)

    def row(self, name: str) -> Row:
        """The field as a row of its own: one object.

        Raises:
            RowError: It is missing, or no object.
        """
        value = self.value(name)
        if not isinstance(value, Mapping):
            raise RowError(f"field {name!r} is no object")
        return Row(f"{self.place}, {name}", value, self.key)

    def rows(self, name: str) -> tuple[Row, ...]:
        """The field as rows of its own: a list of objects.

        Raises:
            RowError: It is missing, or no list of objects.
        """
        parts = self.value(name)
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            raise RowError(f"field {name!r} is no list of objects")
        return tuple(
            Row(f"{self.place}, {name} {number}", part, self.key)
            for number, part in enumerate(parts, start=1)
        )


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float):
        # JSON may have NaN: a table writes it for an empty cell, and then makes a float of 7
        if not math.isfinite(value):
            return None
        return str(int(value) if value.is_integer() else value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def pairs_of_numbers(value: object, name: str) -> tuple[tuple[float, float], ...]:
    """[[start, end], ...] as JSON has it, as pairs of floats.

    Args:
        value: What was read.
        name: Of the field, for the message.

    Raises:
        RowError: It is no list of pairs of finite numbers.
    """
    try:
        pairs = tuple((float(start), float(end)) for start, end in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"field {name!r} is no list of pairs of numbers") from None
    if not all(math.isfinite(time) for pair in pairs for time in pair):
        raise RowError(f"field {name!r} has a time that is no number")
    return pairs


def read_rows(path: Path, *, needs: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of one annotation file, by its suffix.

    A json file is a list of rows, or an object of rows whose names become the rows' keys.

    Args:
        path: The file.
        needs: Fields that the first row must have, or the file is another one.

    Raises:
        ItemError: The file is missing, torn, of another form, or lacks the fields.
    """
    path = Path(path)
    number = 0
    for number, (key, fields) in enumerate(_entries(path), start=1):
        place = f"{path.name}, row {number}"
        if not isinstance(fields, Mapping):
            raise ItemError(f"{place}, is not an object", valid=f"rows with {_listed(needs)}")
        missing = [name for name in needs if name not in fields]
        if number == 1 and missing:
            raise ItemError(
                f"{path} has no field {missing[0]!r} in its first row", valid=_listed(needs)
            )
        yield Row(place, fields, key)
    if not number:
        raise ItemError(f"{path} holds no rows", valid=f"rows with {_listed(needs)}")


def map_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Names and values of a json file that is an object: what rows of another file look up.

    Raises:
        ItemError: The file is missing, torn, or no object.
    """
    for name, value in _entries(Path(path)):
        if not name:
            raise ItemError(f"{path} is no JSON object", valid='{"name": ...}')
        yield name, value


def read_map(path: Path) -> dict[str, Any]:
    """As `map_entries`, held whole."""
    return dict(map_entries(path))


def _listed(names: Sequence[str]) -> str:
    return f"the fields {', '.join(names)}" if names else "named fields"


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    readers: dict[str, Callable[[Path], Iterator[tuple[str, Any]]]] = {
        ".json": json_entries,
        ".jsonl": _jsonl_entries,
        ".csv": _csv_entries,
        ".parquet": _parquet_entries,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ItemError(f"{path} is no annotation file", valid=", ".join(readers))
    try:
        yield from reader(path)
    except OSError as error:
        raise ItemError(
            f"cannot read annotations {path}: {error.strerror or error}", valid="a file that exists"
        ) from None
    except UnicodeDecodeError:
        raise ItemError(f"{path} is no text", valid="UTF-8") from None


def json_entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Keys and values of the object, or ("", value) of the list, that a json file is.

    Values are decoded one by one while the file is read.

    Raises:
        ItemError: The file is no object or list, or is torn.
    """
    with path.open(encoding="utf-8-sig") as file:
        yield from _JsonStream(path, file).entries()


class _JsonStream:
    """The values of a top-level list or object, decoded as the text comes in."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self.file = file
        self.text = ""
        self.position = 0
        self.decoder = json.JSONDecoder()
        self.number = 0

    def entries(self) -> Iterator[tuple[str, Any]]:
        opened = self._next_character()
        if opened not in ("[", "{"):
            raise ItemError(f"{self.path} is not a JSON list or object", valid="[...] or {...}")
        close = "]" if opened == "[" else "}"
        self.position += 1
        more = self._next_character() != close
        while more:
            self.number += 1
            key = self._key() if close == "}" else ""
            yield key, self._value()
            more = self._next_character() == ","
            if more:
                self.position += 1
        if self._next_character() != close:
            raise self._torn()
        self.position += 1
        if self._next_character():
            raise self._torn()

    def _key(self) -> str:
        key = self._value()
        if not isinstance(key, str) or self._next_character() != ":":
            raise self._torn()
        self.position += 1
        return key

    def _next_character(self) -> str:
        while True:
            while self.position < len(self.text):
                if self.text[self.position] not in _SPACE:
                    return self.text[self.position]
                self.position += 1
            if not self._more(_CHUNK):
                return ""

    def _value(self) -> Any:
        self._next_character()
        size = _CHUNK
        while True:
            decoded = self._decoded()
            if decoded is not None and self.text[decoded[1] : decoded[1] + 1] in _AFTER_VALUE:
                value, self.position = decoded
                return value
            # torn, or a number that goes on: be that "1" of "12" or "1." of "1.5"
            if not self._more(size):
                raise self._torn()
            # a value that is longer than what was read is decoded again: not too often
            size *= 2

    def _decoded(self) -> tuple[Any, int] | None:
        try:
            return self.decoder.raw_decode(self.text, self.position)
        except (ValueError, RecursionError):
            return None

    def _more(self, size: int) -> bool:
        piece = self.file.read(size)
        self.text = self.text[self.position :] + piece
        self.position = 0
        return bool(piece)

    def _torn(self) -> ItemError:
        return ItemError(
            f"{self.path} is not JSON in row {self.number}: torn, or half-written",
            valid="the whole file as it was published",
        )


def _jsonl_entries(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield "", json.loads(line)
            # no published row is nested a thousand deep
            except (ValueError, RecursionError):
                raise ItemError(
                    f"{path} is not JSON in line {number}: torn, or half-written",
                    valid="one JSON object a line",
                ) from None


def _csv_entries(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        # strict, or a file that is cut within quotes would give a shortened text
        reader = csv.DictReader(file, strict=True)
        number = 0
        try:
            for row in reader:
                number += 1
                yield "", row
        except csv.Error as error:
            raise ItemError(
                f"{path} is not csv in row {number + 1}: {error}",
                valid="the whole file as it was published",
            ) from None


def _parquet_entries(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    yield "", row
    except pa.ArrowInvalid:
        raise ItemError(
            f"{path} is no whole parquet file", valid="the file as it was published"
        ) from None


def files_in(path: Path, *names: str) -> tuple[Path, ...]:
    """The annotation files that a user means: the file, or those of a directory.

    Args:
        path: What the user gave.
        names: Files to look for in a directory, each of which must be there; all annotation
            files of the directory where none is named.

    Raises:
        ItemError: There is nothing, or a named file is missing.
    """
    path = Path(path)
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise ItemError(f"there are no annotations at {path}", valid=" or ".join(names) or None)
    if names:
        for name in names:
            if not (path / name).is_file():
                raise ItemError(f"{path} holds no {name}", valid=", ".join(names))
        return tuple(path / name for name in names)
    there = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    # an earlier import may have written its items here
    written = {
        file.name.replace(".import.json", end)
        for file in there
        if file.name.endswith(".import.json")
        for end in (".import.json", ".left_out.jsonl", ".jsonl")
    }
    found = tuple(file for file in there if file.name not in written)
    if not found:
        raise ItemError(f"{path} holds no annotation files", valid=", ".join(SUFFIXES))
    return found
