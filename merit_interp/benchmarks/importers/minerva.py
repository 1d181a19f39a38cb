"""MINERVA: hard questions with five options, and a person's reasoning with the times in it.

    merit-interp items import minerva --annotations minerva.json --videos videos ...

`question type` (`question_type` in the mirror) is a list with commas; a question counts for each,
its category is the first. Times are read from the text of the reasoning: they are weak evidence,
since a text names also moments that only lead to the answer, and says nothing of how long they
last.
"""

from __future__ import annotations

from merit_interp.benchmarks.annotation_files import Row
from merit_interp.benchmarks.clock_times import clock_spans
from merit_interp.benchmarks.gold_answers import answer_index, answer_number
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    each_row,
)
from merit_interp.benchmarks.items import Item

_CHOICES = tuple(f"answer_choice_{i}" for i in range(5))
_NEEDS = ("key", "video_id", "question", _CHOICES[0])


def _item(row: Row) -> Imported:
    options = tuple(row.text(name) for name in _CHOICES)
    video = row.text("video_id")
    answer, flags = _answer(row, options)
    kinds = _kinds(row)
    evidence = clock_spans(row.text("reasoning")) if row.fields.get("reasoning") else ()
    return Imported(
        Item(
            id=f"minerva/{row.text('key')}",
            video=video,
            question=row.text("question"),
            options=options,
            answer=answer,
            skill="other",
            benchmark="minerva",
            category=kinds[0] if kinds else "",
            group=video,
            evidence=tuple(sorted(evidence)),
            evidence_kind="weak" if evidence else None,
        ),
        roles_of=kinds,
        flags=flags,
        other_videos=(f"{video}/{video}", f"videos/{video}"),
    )


def _answer(row: Row, options: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """Index of the right option, and what is odd about it."""
    if row.fields.get("answer_id") in (None, ""):
        return answer_index(options, row.text("answer")), ()
    answer = answer_number(options, row, "answer_id")
    if row.fields.get("answer") and row.text("answer") != options[answer]:
        return answer, ("answer is not the text of its answer_id, which counts",)
    return answer, ()


def _kinds(row: Row) -> tuple[str, ...]:
    name = "question_type" if "question_type" in row.fields else "question type"
    kinds = row.fields.get(name) or ""
    parts = kinds.split(",") if isinstance(kinds, str) else row.texts(name)
    return tuple(part.strip() for part in parts if part.strip())


BENCHMARK = Benchmark(
    name="minerva",
    title="MINERVA",
    annotations="minerva.json, or the rows of the mirror as parquet, json or jsonl",
    read=each_row(_NEEDS, _item),
    checked="code",
    source="GitHub google-deepmind/neptune; Hugging Face lmms-lab-eval/minerva",
    evidence="times in the text of the reasoning (weak)",
)
