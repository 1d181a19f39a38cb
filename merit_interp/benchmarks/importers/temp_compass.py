"""TempCompass: what moves, where to, how fast, in which order, asked in three forms.

    merit-interp items import temp_compass --annotations questions --videos videos ...

Options stand in the question. Many videos were made from another one, by reversing it or by putting
two together: their ids say from which. Questions on videos of one origin form a pair, which counts
only as a whole: each of its items says how many it has, so that one whose video is missing is
missed. Such videos are one group, so that no split parts them. Captioning is left out,
since only a language model can grade it.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_KINDS = ("multi-choice", "yes_no", "caption_matching")
_CAPTION = re.compile(r"^(?:Option|Sentence|Caption|Description) [A-Z0-9]+:\s*")
_LETTER = re.compile(r"^[A-Z][.)]\s*")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    kinds = _KINDS if options.subset is None else (options.subset,)
    return files_in(path, *(f"{kind}.json" for kind in kinds))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    pairs_of = {file: _pairs(file) for file in _files(path, options)}
    every = [videos for pairs in pairs_of.values() for videos in pairs.values()]
    groups = _groups({video for videos in every for video in videos})
    for file, pairs in pairs_of.items():
        counts: Counter[tuple[str, str, str]] = Counter()
        for question in _questions(file):
            try:
                kind = _kind(question)
                if options.subset not in (None, kind):
                    continue
                video, dimension = question.text("video_id"), question.text("dim")
                counts[kind, video, dimension] += 1
                number = counts[kind, video, dimension]
                pair = _pair(video, dimension, kind)
                size = pairs[pair].total() if len(pairs[pair]) > 1 else None
                yield _item(question, kind, number, group=groups[video], pair_size=size)
            except RowError as error:
                yield LeftOut(question.place, str(error))


def _questions(file: Path) -> Iterator[Row]:
    """One row a question, be the file an object of videos or a table."""
    for row in read_rows(file):
        if not row.key:
            yield row
            continue
        for dimension in row.fields:
            try:
                questions = row.rows(dimension)
            except RowError as error:
                raise ItemError(f"{file}, {row.key}: {error}") from None
            for question in questions:
                fields = {**question.fields, "video_id": row.key, "dim": dimension}
                yield Row(f"{file.name}, {row.key}, {dimension}", fields)


def _pairs(file: Path) -> dict[str, Counter[str]]:
    """How many questions each video of each pair has; a row of no known kind is none."""
    pairs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question in _questions(file):
        with contextlib.suppress(RowError):
            video = question.text("video_id")
            pairs[_pair(video, question.text("dim"), _kind(question))][video] += 1
    return pairs


def _pair(video: str, dimension: str, kind: str) -> str:
    return f"{_origin(video)}/{dimension}/{kind}"


def _origin(video: str) -> str:
    """What a video was made of: "7_reverse" of 7, "7_concat_1" of 7 twice, "7_8_0" of 7 and 8."""
    parts = video.split("_")
    if parts[-1] == "reverse" or (len(parts) == 3 and parts[-1].isdecimal()):
        return "_".join(parts[:-1])
    return video


def _groups(videos: Iterable[str]) -> dict[str, str]:
    """A name for all videos that share a recording, "7_8_0" with those of 7 and those of 8."""
    group_of: dict[str, str] = {}

    def first(recording: str) -> str:
        while group_of.setdefault(recording, recording) != recording:
            recording = group_of[recording]
        return recording

    for video in videos:
        found = sorted(map(first, _recordings(video)))
        group_of.update(dict.fromkeys(found, found[0]))
    return {video: first(_recordings(video)[0]) for video in videos}


def _recordings(video: str) -> list[str]:
    """Ids of what a video was cut from."""
    return [part for part in _origin(video).split("_") if part != "concat"]


def _kind(question: Row) -> str:
    if "mc_question" in question.fields:
        raise RowError("captioning is graded by a language model")
    lines = question.text("question").split("\n")[1:]
    lettered = any(mark.match(line.strip()) for line in lines for mark in (_CAPTION, _LETTER))
    # a question may have several lines, and an answer among lettered ones has its letter
    if question.text("answer").lower() in ("yes", "no") and not lettered:
        return "yes_no"
    return "caption_matching" if any(_CAPTION.match(line) for line in lines) else "multi-choice"


def _item(question: Row, kind: str, number: int, *, group: str, pair_size: int | None) -> Imported:
    video, dimension = question.text("video_id"), question.text("dim")
    asked, options, answer = _asked(question, kind)
    return Imported(
        Item(
            id=f"temp_compass/{kind}/{video}/{dimension}/{number}",
            video=video,
            question=asked,
            options=options,
            answer=answer,
            skill="other",
            benchmark="temp_compass",
            category=dimension,
            group=group,
            pair=_pair(video, dimension, kind) if pair_size else "",
            pair_size=pair_size,
        ),
        other_videos=(f"videos/{video}",),
    )


def _asked(question: Row, kind: str) -> tuple[str, tuple[str, ...], int]:
    text, gold = question.text("question"), question.text("answer")
    if kind == "yes_no":
        options = ("yes", "no")
        return text, options, options.index(gold.lower())
    mark = _CAPTION if kind == "caption_matching" else _LETTER
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    first = next((i for i, line in enumerate(lines) if mark.match(line)), 0)
    asked, lines = "\n".join(lines[:first]), lines[first:]
    if not asked or not all(mark.match(line) for line in lines):
        raise RowError("question has no options")
    if gold not in lines:
        raise RowError(f"answer is none of the options: {gold!r}")
    return asked, tuple(mark.sub("", line) for line in lines), lines.index(gold)


BENCHMARK = Benchmark(
    name="temp_compass",
    title="TempCompass",
    annotations="the directory questions/, one of its json files, or the port's parquet",
    read=_read,
    files=_files,
    checked="data",
    source="GitHub llyx97/TempCompass, questions/",
    subsets=_KINDS,
)
