"""E.T. Bench: the four of its twelve tasks that have options.

    merit-interp items import et_bench --annotations etbench_txt_v1.0.json --videos videos ...

Grounded question answering (gvq) says where the answer is (`tgt`). The referring tasks (rar, eca,
rvq) name a time in their question (`src`): the answer is about it and may lie beside it, so it is
weak evidence, and only where it is a span. The `vid` file writes <vid> in the place of times: such
questions cannot be asked as text, use the `txt` file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import (
    Row,
    RowError,
    files_in,
    pairs_of_numbers,
    read_rows,
)
from merit_interp.benchmarks.gold_answers import answer_number
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
    spans_within,
)
from merit_interp.benchmarks.inline_options import split_options
from merit_interp.benchmarks.items import Item, Span

_TASKS = ("gvq", "rar", "eca", "rvq")
_NEEDS = ("idx", "task", "video", "q")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    files = files_in(path)
    # the published directory has everything twice: times as text, times as tokens
    return tuple(file for file in files if file.name.startswith("etbench_txt")) or files


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in _files(path, options):
        for row in read_rows(file, needs=_NEEDS):
            if options.subset in (None, str(row.fields.get("task")).strip().lower()):
                yield from outcomes([row], _item)


def _item(row: Row) -> Outcome:
    task, video = row.text("task").lower(), row.text("video")
    name = f"et_bench/{task}/{row.text('idx')}"
    if task not in _TASKS:
        return LeftOut(name, f"task without options: {task}")
    if row.fields.get("p") is None:
        return LeftOut(name, "answer is withheld")
    options = row.texts("o")
    question, asked = _question(row, options)
    spans, referred = _spans(row, task)
    duration_s = row.optional_number("duration")
    evidence, flags = spans_within(spans, duration_s)
    item = Item(
        id=name,
        video=video,
        question=question,
        options=options,
        answer=answer_number(options, row, "p"),
        skill="other",
        benchmark="et_bench",
        category=task,
        group=video,
        evidence=evidence,
        evidence_kind=None if not evidence else "span" if task == "gvq" else "weak",
    )
    return Imported(item, duration_s=duration_s, flags=(*asked, *referred, *flags))


def _question(row: Row, options: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The question of the prompt without its options, and what is to say of it."""
    prompt = row.text("q")
    if "<vid>" in prompt:
        raise RowError("times are <vid> tokens: use the txt file")
    split = split_options(prompt)
    if split is not None and _plain(split[1]) == _plain(options):
        return re.sub(r"\s*\b(?:options|choices)\s*:\s*$", "", split[0], flags=re.IGNORECASE), ()
    return prompt, ("prompt was kept whole, it may name its options itself",)


def _plain(options: tuple[str, ...]) -> list[str]:
    return [option.casefold().strip(" .") for option in options]


def _spans(row: Row, task: str) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    if task == "gvq":
        return (row.spans("tgt") if row.fields.get("tgt") else ()), ()
    times = row.fields.get("src")
    if not times:
        return (), ()
    if not isinstance(times, list):
        raise RowError("field 'src' is no list of times")
    if len(times) != 2:
        return (), ("time in the question is no span and was left out as evidence",)
    return pairs_of_numbers([times], "src"), ()


BENCHMARK = Benchmark(
    name="et_bench",
    title="E.T. Bench (the tasks with options)",
    annotations="etbench_txt_v1.0.json, or the files of its tasks",
    read=_read,
    files=_files,
    checked="card",
    source="Hugging Face PolyU-ChenLab/ETBench",
    evidence="gvq: tgt, in seconds; rar, eca, rvq: src (weak)",
    subsets=_TASKS,
)
