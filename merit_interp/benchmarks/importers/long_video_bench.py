"""LongVideoBench: questions that refer to moments of videos of up to an hour.

    merit-interp items import long_video_bench --annotations lvb_val.json --videos videos ...

The raw json has `position`, the numbers of the frames that a question refers to: evidence, which
the parquet form has lost. Options that are "N/A" are none. The test set withholds its gold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.evidence_frames import frame_numbers
from merit_interp.benchmarks.gold_answers import refuse_withheld
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.items import Item

_FILE = "lvb_val.json"
_NEEDS = ("id", "video_path", "question", "question_category")
_GROUPS = ("15", "60", "600", "3600")


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in files_in(path, _FILE):
        refuse_withheld(file, _has_gold, valid="lvb_val.json, or the validation parquet")
        for row in read_rows(file, needs=_NEEDS):
            # a whole number, which a table with gaps holds as a float
            if options.subset in (None, str(row.fields.get("duration_group")).removesuffix(".0")):
                yield from outcomes([row], _item)


def _has_gold(row: Row) -> bool:
    # the benchmark's own loader writes a withheld answer as -1, which it shows as "@"
    return row.fields.get("correct_choice") not in (None, "", "@", -1)


def _item(row: Row) -> Imported:
    if not _has_gold(row):
        raise RowError("gold answer is withheld")
    options, answer = _options(row)
    return Imported(
        Item(
            id=f"long_video_bench/{row.text('id')}",
            video=row.text("video_path"),
            question=row.text("question"),
            options=options,
            answer=answer,
            skill="other",
            benchmark="long_video_bench",
            category=row.text("question_category"),
            group=row.text("video_path"),
        ),
        duration_s=row.optional_number("duration"),
        evidence_frames=_positions(row),
    )


def _options(row: Row) -> tuple[tuple[str, ...], int]:
    if "candidates" in row.fields:
        published = row.texts("candidates")
    else:
        names = [name for name in sorted(row.fields) if name.startswith("option")]
        published = tuple(row.text(name) for name in names if row.fields[name] is not None)
    gold = row.whole("correct_choice")
    if not 0 <= gold < len(published) or published[gold] == "N/A":
        raise RowError(f"answer is no option: {gold}")
    options = tuple(option for option in published if option != "N/A")
    return options, options.index(published[gold])


def _positions(row: Row) -> tuple[int, ...]:
    position = row.fields.get("position")
    return frame_numbers(position, "position") if position else ()


BENCHMARK = Benchmark(
    name="long_video_bench",
    title="LongVideoBench",
    annotations="lvb_val.json, its directory, or the validation parquet (which has no evidence)",
    read=_read,
    files=lambda path, _: files_in(path, _FILE),
    checked="code",
    source="Hugging Face longvideobench/LongVideoBench",
    evidence="position: numbers of frames, made times by when the video file shows them",
    subsets=_GROUPS,
)
