"""Benchmark items: one question on one video, its options, and where the evidence lies.

    file = read_items(Path("items.jsonl"))
    file.items[0].question, file.video_path(file.items[0])

The format is DESIGN.md's "Items": one JSON object a line. Reading checks all that the text alone
can tell; whether the videos open is `item_checks`' to say. This file must not open a video and
loads no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from merit_interp.errors import ItemError
from merit_interp.record_files import write_whole
from merit_interp.records import Skill

Span = tuple[float, float]
"""Start and end in seconds of the video's own time."""


@dataclass(frozen=True)
class Item:
    """One multiple-choice question on one video."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    """Unique in its file."""
    video: str
    """Path relative to the items file, or absolute: a video file or a directory of frames."""
    question: str
    options: tuple[str, ...]
    """Bare texts, without letters; at least two."""
    answer: int
    """Index of the right option."""
    skill: Skill
    benchmark: str = ""
    category: str = ""
    """The benchmark's own kind of question."""
    group: str = ""
    """The video's identity, for clustering and splits; where not given, the path of the video,
    which may be written with "./" or "x/.." in it."""
    pair: str = ""
    """Items of one pair count for a pair metric only together (Vinoground, TempCompass)."""
    pair_part: str = ""
    """Which part of the pair: the items of one part are right together or not at all."""
    pair_size: int | None = None
    """How many items the whole pair has, where its benchmark says; a pair that lacks one, as its
    video is missing, counts for no pair metric."""
    start_s: float | None = None
    """The question is about the video from here on."""
    end_s: float | None = None
    """The question is about the video up to here."""
    evidence: tuple[Span, ...] = ()
    """Where in the video the answer can be seen."""
    evidence_kind: Literal["span", "frame", "weak"] | None = None
    transcript: str | None = None
    """Text that stands for the video, for a model without eyes."""
    fps: float | None = None
    """Frames per second of a directory of frames; a video file knows its own."""

    def __post_init__(self) -> None:
        if not self.group and self.video:
            # one video may be written in several ways: "c.mp4", "./c.mp4"
            object.__setattr__(self, "group", os.path.normpath(self.video))

    def to_row(self) -> dict[str, Any]:
        """The item as JSON values, without the fields that are not known."""
        # every value is immutable, so nothing is copied, as `asdict` would
        row = {name: getattr(self, name) for name in FIELDS}
        return {name: value for name, value in row.items() if value not in (None, "", ())}


FIELDS = tuple(field.name for field in dataclasses.fields(Item))
TEXTS = ("id", "question", "benchmark", "category", "pair", "pair_part", "transcript")
"""Fields that hold one text; options are texts too."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ITEM = TypeAdapter(Item)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an items file."""

    line: int
    """Line of the file, from 1."""
    item: str | None
    """Id of the item, where it could be read."""
    problem: str

    def __str__(self) -> str:
        item = f" ({self.item})" if self.item else ""
        return f"line {self.line}{item}: {self.problem}"


@dataclass(frozen=True)
class ItemFile:
    """An items file that was read whole, or a part of one."""

    path: Path
    items: tuple[Item, ...]
    sha256: str
    """Digest of the file's bytes, also where only some of its items are kept."""

    def video_path(self, item: Item) -> Path:
        """Where the item's video is."""
        return self.path.parent / item.video

    def subset(self, ids: Collection[str]) -> ItemFile:
        """Only the items of these ids, in the file's order.

        Raises:
            ItemError: An id is not in the file.
        """
        unknown = sorted(set(ids) - {item.id for item in self.items})
        if unknown:
            raise ItemError(f"{self.path} has no item {unknown[0]!r}")
        wanted = set(ids)
        return dataclasses.replace(
            self, items=tuple(item for item in self.items if item.id in wanted)
        )


@dataclass(frozen=True)
class ParsedItems:
    """What an items file holds, good and bad."""

    lines: tuple[tuple[int, Item], ...]
    """Each whole item with its line."""
    faults: tuple[Fault, ...]
    sha256: str


def read_items(path: Path) -> ItemFile:
    """Read an items file.

    Raises:
        ItemError: The file is missing or empty, or has faults; all of them are listed.
    """
    parsed = parse_items(path)
    if parsed.faults:
        raise ItemError(
            f"{path} has {len(parsed.faults)} fault(s), the first in {parsed.faults[0]}",
            faults=[str(fault) for fault in parsed.faults],
        )
    return ItemFile(Path(path), tuple(item for _, item in parsed.lines), parsed.sha256)


def parse_items(path: Path) -> ParsedItems:
    """The items of a file and every fault in its text, line by line.

    Raises:
        ItemError: The file cannot be read or holds nothing.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ItemError(
            f"cannot read items {path}: {error.strerror}", valid="a JSONL file of items"
        ) from None
    if not content.strip():
        raise ItemError(f"{path} holds no items", valid="one JSON object a line")
    lines: list[tuple[int, Item]] = []
    faults: list[Fault] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            item = _ITEM.validate_json(line, strict=True)
        except ValidationError as error:
            name = _id_of(line)
            faults += [Fault(number, name, problem) for problem in _problems(error)]
            continue
        problems = contradictions(item)
        if item.id in first_line:
            problems.append(f"id {item.id!r} is used in line {first_line[item.id]} already")
        first_line.setdefault(item.id, number)
        faults += [Fault(number, item.id, problem) for problem in problems]
        lines.append((number, item))
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return ParsedItems(tuple(lines), tuple(faults), digest)


def _id_of(line: bytes) -> str | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    name = row.get("id") if isinstance(row, dict) else None
    return name if isinstance(name, str) else None


def _problems(error: ValidationError) -> list[str]:
    problems = []
    for fault in error.errors():
        field = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "json_invalid":
            problems.append(f"not JSON: {fault['ctx']['error']}")
        elif fault["type"] == "missing":
            problems.append(f"field {field!r} is missing")
        elif fault["type"] == "unexpected_keyword_argument":
            problems.append(f"unknown field {field!r}; valid: {', '.join(FIELDS)}")
        elif not field:
            problems.append("not a JSON object")
        else:
            message = fault["msg"].removeprefix("Input should be ")
            problems.append(f"field {field!r} is {_shown(fault['input'])}; valid: {message}")
    return problems


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


def contradictions(item: Item) -> list[str]:
    """What is wrong with an item whose fields are all of the right type."""
    problems = [f"field {name!r} is empty" for name in ("id", "video") if not getattr(item, name)]
    if "\0" in item.video:
        problems.append(f"video {item.video!r} is no path: it has a NUL character")
    if not item.question.strip():
        problems.append("field 'question' is empty")
    if len(item.options) < 2:
        problems.append(f"{len(item.options)} option(s); valid: at least 2")
    elif not 0 <= item.answer < len(item.options):
        problems.append(f"answer is {item.answer}; valid: 0 to {len(item.options) - 1}")
    bare = [option.strip() for option in item.options]
    if "" in bare:
        problems.append(f"option {bare.index('')} is empty")
    if len(set(bare)) < len(bare):
        twice = next(option for i, option in enumerate(bare) if option in bare[:i])
        problems.append(f"two options are {twice!r}")
    if item.pair_size is not None and not (item.pair and item.pair_size >= 2):
        of = f"pair {item.pair!r}" if item.pair else "no pair"
        problems.append(f"pair_size is {item.pair_size} of {of}; valid: at least 2, with a pair")
    return problems + _unreadable(item) + _time_problems(item)


def _unreadable(item: Item) -> list[str]:
    """Characters that no text has, and that a picture cannot hold: a file read in a wrong way."""
    texts = {name: getattr(item, name) or "" for name in TEXTS}
    texts |= {f"options.{place}": option for place, option in enumerate(item.options)}
    found = ((name, _CONTROL.search(text)) for name, text in texts.items())
    return [
        f"field {name!r} has the control character U+{ord(control[0]):04X}; "
        "valid: text, with tabs and line ends"
        for name, control in found
        if control is not None
    ]


def _time_problems(item: Item) -> list[str]:
    times = [("start_s", item.start_s), ("end_s", item.end_s), ("fps", item.fps)]
    times += [("evidence", time) for span in item.evidence for time in span]
    problems = [
        f"{name} is {time}; valid: a finite number of at least 0"
        for name, time in times
        if time is not None and not (math.isfinite(time) and time >= 0)
    ]
    if problems:
        return problems
    if item.fps == 0:
        problems.append("fps is 0; valid: above 0")
    if item.end_s is not None and item.end_s <= (item.start_s or 0.0):
        problems.append(f"end_s {item.end_s} is not after start_s {item.start_s or 0.0}")
    problems += [
        f"evidence ends at {end}, before it begins at {start}"
        for start, end in item.evidence
        if end < start
    ]
    return problems


def write_items(path: Path, items: Sequence[Item]) -> None:
    """Write an items file, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    lines = [json.dumps(item.to_row(), ensure_ascii=False) + "\n" for item in items]
    write_whole(path, "".join(lines).encode())
