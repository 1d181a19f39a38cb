"""CG-Bench: questions on long videos, five to eight options, each with the seconds of its clues.

    merit-interp items import cg_bench --annotations cgbench_mini.json --videos cg_videos ...

The right option is a letter, as the benchmark's own score has it. Clues are the best evidence there
is on long videos and the shortest: most last less than the time between two of 32 frames spread
over the video, so that no frame shows them. Such items say so.
"""

from __future__ import annotations

from merit_interp.benchmarks.annotation_files import Row
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    each_row,
    spans_within,
)
from merit_interp.benchmarks.items import Item, Span

_NEEDS = ("qid", "video_uid", "question", "choices")
_FRAMES = 32
"""What the benchmark's models were shown of a whole video; the flag is about this many."""


def _item(row: Row) -> Imported:
    options = row.texts("choices")
    video = row.text("video_uid")
    duration_s = row.optional_number("duration")
    clues = row.spans("clue_intervals") if row.fields.get("clue_intervals") else ()
    evidence, flags = spans_within(clues, duration_s)
    answer = answer_letter(options, row.text("right_answer"))
    if row.fields.get("answer") and row.text("answer") != options[answer]:
        flags = (*flags, "answer is not the text of its letter, which counts")
    return Imported(
        Item(
            id=f"cg_bench/{row.text('qid')}",
            video=video,
            question=row.text("question"),
            options=options,
            answer=answer,
            skill="other",
            benchmark="cg_bench",
            category=row.text("sub_category") if row.fields.get("sub_category") else "",
            group=video,
            evidence=evidence,
            evidence_kind="span" if evidence else None,
        ),
        duration_s=duration_s,
        flags=(*flags, *_between_frames(evidence, duration_s)),
    )


def _between_frames(clues: tuple[Span, ...], duration_s: float | None) -> tuple[str, ...]:
    if not clues or not duration_s:
        return ()
    longest_s = max(end - start for start, end in clues)
    if longest_s >= duration_s / _FRAMES:
        return ()
    detail = f"{longest_s:g} s of {duration_s:g} s"
    return (
        f"clues are shorter than the step between {_FRAMES} frames and may show on none: {detail}",
    )


BENCHMARK = Benchmark(
    name="cg_bench",
    title="CG-Bench",
    annotations="cgbench_mini.json or cgbench.json",
    read=each_row(_NEEDS, _item),
    checked="data",
    source="Hugging Face CG-Bench/CG-Bench",
    evidence="clue_intervals: seconds, half a percent of the video in the median",
)
