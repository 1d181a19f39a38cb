"""NExT-GQA: questions of NExT-QA with the spans of the video in which the answer can be seen.

    merit-interp items import next_gqa --annotations datasets/nextgqa --subset val --videos ...

Short, dense evidence, and public gold: the set to ask which frames cause an answer. The answer is
the text of an option; spans are in gsub_val.json or gsub_test.json, beside the csv. A few end after
the video and are clipped. As in NExT-QA the type "TP" is "temporal previous".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import (
    Row,
    map_entries,
    pairs_of_numbers,
    read_map,
    read_rows,
)
from merit_interp.benchmarks.gold_answers import answer_index
from merit_interp.benchmarks.importers.next_qa import OPTIONS, places, split_file, video_map
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
    spans_within,
)
from merit_interp.benchmarks.items import Item, Span
from merit_interp.errors import ItemError

_SPLITS = ("val", "test")
_NEEDS = ("video_id", "question", "answer", "qid", "type", *OPTIONS)


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    file = split_file(path, options, _SPLITS)
    spans = file.with_name(f"gsub_{file.stem}.json")
    if not spans.is_file():
        raise ItemError(f"there are no spans at {spans}", valid=f"{spans.name} beside {file.name}")
    return (file, spans, *video_map(file))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    file, spans_file, *maps = _files(path, options)
    # held as text: a tenth of what the values take
    located = {video: json.dumps(entry) for video, entry in map_entries(spans_file)}
    directories = read_map(maps[0]) if maps else {}

    def item(row: Row) -> Imported:
        # pandas writes 1.0 for 1 where another row has none
        video, number = row.text("video_id"), row.text("qid").removesuffix(".0")
        choices = tuple(row.text(name) for name in OPTIONS)
        entry = json.loads(located.get(video, "null"))
        spans, duration_s = _spans(entry, number)
        evidence, flags = spans_within(spans, duration_s)
        evidence = _rounded_off(evidence, duration_s, row, entry)
        found = places(video, directories)
        return Imported(
            Item(
                id=f"next_gqa/{video}/{number}",
                video=found[0],
                question=row.text("question"),
                options=choices,
                answer=answer_index(choices, row.text("answer")),
                skill="other",
                benchmark="next_gqa",
                category=row.text("type"),
                group=video,
                evidence=evidence,
                evidence_kind="span" if evidence else None,
            ),
            duration_s=duration_s,
            flags=flags if evidence else (*flags, "no evidence"),
            other_videos=found[1:],
        )

    yield from outcomes(read_rows(file, needs=_NEEDS), item)


def _spans(entry: object, question: str) -> tuple[tuple[Span, ...], float | None]:
    if not isinstance(entry, dict) or not isinstance(entry.get("location"), dict):
        return (), None
    duration = Row("", entry).optional_number("duration")
    return pairs_of_numbers(entry["location"].get(question, []), "location"), duration


def _rounded_off(
    evidence: tuple[Span, ...], duration_s: float | None, row: Row, entry: object
) -> tuple[Span, ...]:
    """Evidence within the frames that there are: the published duration is a whole second."""
    fps = Row("", entry).optional_number("fps") if isinstance(entry, dict) else None
    n_frames = row.optional_number("frame_count")
    if not fps or not n_frames or duration_s is None:
        return evidence
    end_s = n_frames / fps
    if not duration_s - 1.0 <= end_s < duration_s:
        return evidence
    return tuple((start, min(end, end_s)) for start, end in evidence if start < end_s)


BENCHMARK = Benchmark(
    name="next_gqa",
    title="NExT-GQA",
    annotations="val.csv or test.csv with gsub_val.json or gsub_test.json beside it, or their "
    "directory; map_vid_vidorID.json too, where it is there",
    read=_read,
    files=_files,
    checked="data",
    source="GitHub doc-doc/NExT-GQA, datasets/nextgqa",
    evidence="spans in seconds, 1 to 16 a question",
    subsets=_SPLITS,
)
