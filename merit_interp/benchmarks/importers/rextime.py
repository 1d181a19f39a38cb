"""ReXTime: what follows, causes or serves what, across the time of a video, with its windows.

    merit-interp items import rextime --annotations rextime --videos videos ...

The repository's rextime_val.jsonl has windows and answers and no options; the Hugging Face version
has the questions with options. A directory may hold both: windows of the first are then used. The
answers of the test split are withheld.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from merit_interp.benchmarks.annotation_files import (
    Row,
    RowError,
    files_in,
    pairs_of_numbers,
    read_rows,
)
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
    spans_within,
)
from merit_interp.benchmarks.items import Item, Span
from merit_interp.errors import ItemError

# a clip of QVHighlights: its video, start and end; a video's own name has no dots
_CLIP = re.compile(r"(.+)_\d+\.\d+_\d+\.\d+")
Windows = Mapping[str, tuple[Span, ...]]


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    files = files_in(path)
    if not any(_has_options(file) for file in files):
        raise ItemError(
            f"{path} has questions without options",
            valid="the Hugging Face version, alone or in one directory with rextime_val.jsonl",
        )
    return files


def _has_options(file: Path) -> bool:
    return "options" in next(read_rows(file, needs=("qid", "vid"))).fields


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    files = _files(path, options)
    questions = [file for file in files if _has_options(file)]
    windows: dict[str, tuple[Span, ...]] = {}
    for file in files:
        if file not in questions:
            for row in read_rows(file, needs=("relevant_windows",)):
                windows[row.text("qid")] = row.spans("relevant_windows")
    for file in questions:
        rows = read_rows(file, needs=("qid", "vid", "question", "options"))
        yield from outcomes(rows, lambda row: _item(row, windows))


def _item(row: Row, windows: Windows) -> Outcome:
    name, video = row.text("qid"), row.text("vid")
    if row.fields.get("ans") in (None, ""):
        return LeftOut(f"rextime/{name}", "answer is withheld")
    options = row.texts("options")
    duration_s = row.optional_number("duration")
    evidence, flags = spans_within(_windows(row, windows), duration_s)
    category = row.text("category") if row.fields.get("category") else ""
    return Imported(
        Item(
            id=f"rextime/{name}",
            video=video,
            question=row.text("question"),
            options=options,
            answer=answer_letter(options, row.text("ans")),
            skill="other",
            benchmark="rextime",
            category=category,
            group=_recording(video),
            evidence=evidence,
            evidence_kind="span" if evidence else None,
        ),
        duration_s=duration_s,
        # every question reasons across time, whatever its category is called
        roles_of=(category, "all"),
        flags=flags,
        other_videos=(f"videos/{video}", f"Anet_videos_15fps_short256/{video}"),
    )


def _windows(row: Row, windows: Windows) -> tuple[Span, ...]:
    if row.text("qid") in windows:
        return windows[row.text("qid")]
    if row.fields.get("relevant_windows"):
        return row.spans("relevant_windows")
    span = row.fields.get("span")
    if not span:
        return ()
    if not isinstance(span, list) or len(span) != 2:
        raise RowError("field 'span' is no pair of numbers")
    return pairs_of_numbers([span], "span")


def _recording(video: str) -> str:
    """The video that a clip was cut from: clips of one video belong into one split."""
    clip = _CLIP.fullmatch(video)
    return clip[1] if clip else video.removeprefix("v_")


BENCHMARK = Benchmark(
    name="rextime",
    title="ReXTime",
    annotations="the Hugging Face version (rextime_val as json, jsonl or parquet), or a directory "
    "with it and the repository's rextime_val.jsonl",
    read=_read,
    files=_files,
    checked="data",
    source="Hugging Face ReXTime/ReXTime; GitHub ReXTime/ReXTime",
    evidence="relevant_windows or span: seconds",
)
