"""LVBench: questions on videos of half an hour and more, with the time that they refer to.

    merit-interp items import lv_bench --annotations video_info.meta.jsonl --videos all_videos ...

One row is one video with its questions, or one question where the port has flattened them. Options
stand in the question, "(A) ..." one a line. A question has several types and counts for each; its
category is the first. Minutes of a time pass 59 ("75:10-76:00").
"""

from __future__ import annotations

from collections.abc import Iterator

from merit_interp.benchmarks.annotation_files import Row, RowError
from merit_interp.benchmarks.clock_times import clock_spans
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    Outcome,
    each_row,
    outcomes,
    spans_within,
)
from merit_interp.benchmarks.inline_options import split_options
from merit_interp.benchmarks.items import Item, Span


def _questions(row: Row) -> Iterator[Outcome]:
    parts = row.rows("qa") if "qa" in row.fields else (row,)
    return outcomes(parts, lambda part: _item(part, row))


def _item(row: Row, video: Row) -> Imported:
    name = video.text("key")
    split = split_options(row.text("question"))
    if split is None:
        raise RowError("question names no options A, B, ...")
    question, options = split
    kinds = _kinds(row)
    duration_s = _duration_s(video)
    evidence, flags = spans_within(_referred(row), duration_s)
    if row.fields.get("time_reference") and not evidence and not flags:
        flags = (f"time_reference names no time: {row.fields['time_reference']}",)
    return Imported(
        Item(
            id=f"lv_bench/{row.text('uid')}",
            video=name,
            question=question,
            options=options,
            answer=answer_letter(options, row.text("answer")),
            skill="other",
            benchmark="lv_bench",
            category=kinds[0] if kinds else "",
            group=name,
            evidence=evidence,
            evidence_kind="span" if evidence else None,
        ),
        duration_s=duration_s,
        roles_of=kinds,
        flags=flags,
        other_videos=(f"all_videos/{name}", f"videos/{name}"),
    )


def _kinds(row: Row) -> tuple[str, ...]:
    kinds = row.fields.get("question_type")
    if not kinds:
        return ()
    return (row.text("question_type"),) if isinstance(kinds, str) else row.texts("question_type")


def _duration_s(video: Row) -> float | None:
    if not video.fields.get("video_info"):
        return None
    minutes = video.row("video_info").optional_number("duration_minutes")
    return None if minutes is None else 60 * minutes


def _referred(row: Row) -> tuple[Span, ...]:
    return clock_spans(row.text("time_reference")) if row.fields.get("time_reference") else ()


BENCHMARK = Benchmark(
    name="lv_bench",
    title="LVBench",
    annotations="video_info.meta.jsonl, or the questions of the Hugging Face port as parquet",
    read=each_row(("key",), _questions),
    checked="code",
    source="Hugging Face zai-org/LVBench (earlier THUDM/LVBench)",
    evidence="time_reference: the time that a question refers to, in whole seconds",
)
