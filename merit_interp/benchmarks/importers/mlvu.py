"""MLVU: multiple choice on long videos, a file a task; its generation tasks are left out.

    merit-interp items import mlvu --annotations json --videos video ...

Dev has candidates and the text of the gold answer; the port has the options within the question and
a letter. Test questions are published without gold, and with it in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_index, answer_letter, refuse_withheld
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.inline_options import split_options
from merit_interp.benchmarks.items import Item

_NEEDS = ("question",)
_TASKS = (
    "plotQA",
    "findNeedle",
    "needle",
    "needleQA",
    "ego",
    "count",
    "order",
    "anomaly_reco",
    "topic_reasoning",
    "sportsQA",
    "tutorialQA",
)
_GENERATION = ("subPlot", "summary", "sub_scene")


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in files_in(path):
        refuse_withheld(file, _has_gold, valid="the dev set, or the test set's file with answers")
        for number, row in enumerate(read_rows(file, needs=_NEEDS), start=1):
            if options.subset not in (None, _task(row)):
                continue

            def convert(row: Row, file: Path = file, number: int = number) -> Imported:
                return _item(row, file, number)

            yield from outcomes([row], convert)


def _task(row: Row) -> object:
    return row.fields.get("question_type", row.fields.get("task_type"))


def _has_gold(row: Row) -> bool:
    return row.fields.get("answer") not in (None, "")


def _item(row: Row, file: Path, number: int) -> Imported:
    task = _task(row)
    if task in _GENERATION:
        raise RowError(f"task is answered by free text: {task}")
    if not isinstance(task, str) or not task:
        raise RowError("field 'question_type' is missing")
    if not _has_gold(row):
        raise RowError("gold answer is withheld")
    question, options, answer = _question(row)
    video = row.text("video") if "video" in row.fields else row.text("video_name")
    return Imported(
        Item(
            id=f"mlvu/{file.stem}/{row.fields.get('question_id') or number}",
            # videos of dev lie in a directory a task, which is named like the task's file
            video=f"{file.stem}/{video}",
            question=question,
            options=options,
            answer=answer,
            skill="other",
            benchmark="mlvu",
            category=task,
            group=video,
        ),
        duration_s=row.optional_number("duration"),
        other_videos=(video,),
    )


def _question(row: Row) -> tuple[str, tuple[str, ...], int]:
    if row.fields.get("candidates") is not None:
        options = row.texts("candidates")
        return row.text("question"), options, answer_index(options, row.text("answer"))
    found = split_options(row.text("question"))
    if found is None:
        raise RowError("question has no options")
    return *found, answer_letter(found[1], row.text("answer"))


BENCHMARK = Benchmark(
    name="mlvu",
    title="MLVU",
    annotations="the directory of its json files (dev), one of them, or the port's parquet",
    read=_read,
    checked="data",
    source="Hugging Face MLVU/MVLU (dev), sy1998/MLVU_dev (port)",
    subsets=_TASKS,
)
