"""Long Video Haystack: questions on hours of a day, with the frames that people need to answer.

    merit-interp items import video_haystack --annotations val.parquet --videos videos ...

A row has frame numbers in the whole video and in the clip that its question was written for, and
their rate. `--subset clip` takes the clips (files named by `vclip_id`); without it the whole videos
are taken. A row has no name of its own: its id is the clip and a digest of the question.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.evidence_frames import frame_numbers
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
    spans_within,
)
from merit_interp.benchmarks.items import Item, Span

_NEEDS = ("video_id", "vclip_id", "question", "options", "video_metadata")

_MOST_FRAMES = 10**9


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    clip = options.subset == "clip"
    for file in files_in(path):
        yield from outcomes(read_rows(file, needs=_NEEDS), lambda row: _item(row, clip=clip))


def _item(row: Row, *, clip: bool) -> Imported:
    part = "vclip" if clip else "video"
    video, question = row.text(f"{part}_id"), row.text("question")
    options, answer = _options(row)
    metadata = row.row("video_metadata")
    duration_s = metadata.optional_number(f"{part}_duration")
    frames = _frames(row, f"frame_indexes_{part}")
    rate = metadata.optional_number("frame_rate")
    evidence: tuple[Span, ...] = ()
    flags: tuple[str, ...] = ()
    if frames and rate:
        evidence, flags = spans_within(_spans(frames, rate), duration_s)
    elif frames:
        flags = ("key frames without a frame rate were dropped",)
    digest = hashlib.blake2b(question.encode(errors="replace"), digest_size=4).hexdigest()
    return Imported(
        Item(
            id=f"video_haystack/{row.text('vclip_id')}/{digest}",
            video=video,
            question=question,
            options=options,
            answer=answer,
            skill="other",
            benchmark="video_haystack",
            # clips of one video show the same day
            group=row.text("video_id"),
            evidence=evidence,
            evidence_kind="frame" if evidence else None,
        ),
        duration_s=duration_s,
        flags=flags,
        other_videos=(f"videos/{video}",),
    )


def _options(row: Row) -> tuple[tuple[str, ...], int]:
    """The options that there are, which may be fewer than five, and which is right."""
    named = row.row("options")
    letters = [letter for letter in string.ascii_uppercase if named.fields.get(letter)]
    answer = row.text("answer").upper()
    if answer not in letters:
        raise RowError(f"answer is no letter of an option: {answer!r}")
    return tuple(named.text(letter) for letter in letters), letters.index(answer)


def _frames(row: Row, name: str) -> tuple[int, ...]:
    frames = frame_numbers(row.fields[name], name) if row.fields.get(name) else ()
    if not all(0 <= n < _MOST_FRAMES for n in frames):
        raise RowError(f"field {name!r} has a number that is none of a frame")
    return frames


def _spans(frames: tuple[int, ...], rate: float) -> tuple[Span, ...]:
    """When each frame is shown; they are numbered from 0."""
    return tuple((n / rate, (n + 1) / rate) for n in frames)


BENCHMARK = Benchmark(
    name="video_haystack",
    title="Long Video Haystack",
    annotations="a split as parquet, json or jsonl",
    read=_read,
    checked="card",
    source="Hugging Face LVHaystack/LongVideoHaystack",
    evidence="key frames by number, from people",
    subsets=("video", "clip"),
)
