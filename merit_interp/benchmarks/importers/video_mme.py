"""Video-MME: 2,700 questions on 900 videos, twelve kinds, four options.

    merit-interp items import video_mme --annotations test-00000-of-00001.parquet --videos data ...

Its task types "Temporal Reasoning" and "Temporal Perception" gave TR and TP their names. Options
carry their letters ("A. Apples."), the answer is a letter, `duration` is a class and no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.inline_options import without_letters
from merit_interp.benchmarks.items import Item

_NEEDS = ("videoID", "question_id", "task_type", "question", "options", "answer")


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in files_in(path):
        for row in read_rows(file, needs=_NEEDS):
            # a class of durations, which is all that the rows tell of them
            if options.subset in (None, row.fields.get("duration")):
                yield from outcomes([row], _item)


def _item(row: Row) -> Imported:
    options = without_letters(row.texts("options"))
    video = row.text("videoID")
    return Imported(
        Item(
            id=f"video_mme/{row.text('question_id')}",
            video=video,
            question=row.text("question"),
            options=options,
            answer=answer_letter(options, row.text("answer")),
            skill="other",
            benchmark="video_mme",
            category=row.text("task_type"),
            group=video,
        )
    )


BENCHMARK = Benchmark(
    name="video_mme",
    title="Video-MME",
    annotations="the test split as parquet, json or jsonl",
    read=_read,
    checked="code",
    source="Hugging Face lmms-lab/Video-MME",
    subsets=("short", "medium", "long"),
    video_suffixes=(".mp4", ".MP4", ".mkv"),
)
