"""Video-Holmes: 1,837 questions on 270 suspense films, six options, seven kinds.

    merit-interp items import video_holmes --annotations test_Video-Holmes.json --videos ...

The names of its fields have blanks in them. Questions and explanations often name times ("01:30-
02:27"): evidence of a weak kind, since they were written about the story and not as its bounds.
"""

from __future__ import annotations

from collections.abc import Mapping

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in
from merit_interp.benchmarks.clock_times import clock_spans
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    each_row,
    spans_within,
)
from merit_interp.benchmarks.items import Item

_FILE = "test_Video-Holmes.json"
_NEEDS = ("video ID", "Question ID", "Question Type", "Question", "Options", "Answer")


def _item(row: Row) -> Imported:
    video = row.text("video ID")
    options = _options(row)
    evidence, flags = spans_within(clock_spans(_written(row)), None)
    return Imported(
        Item(
            id=f"video_holmes/{video}/{row.text('Question ID')}",
            video=video,
            question=row.text("Question"),
            options=options,
            answer=answer_letter(options, row.text("Answer")),
            skill="other",
            benchmark="video_holmes",
            category=row.text("Question Type"),
            group=video,
            evidence=evidence,
            evidence_kind="weak" if evidence else None,
        ),
        flags=flags,
        other_videos=(f"videos_cropped/{video}",),
    )


def _options(row: Row) -> tuple[str, ...]:
    value = row.value("Options")
    if not isinstance(value, Mapping):
        raise RowError("field 'Options' is no object of letters")
    # parquet writes a null for a letter that another row has and this one has not
    letters = sorted(letter for letter in value if value[letter] is not None)
    if letters != [chr(ord("A") + i) for i in range(len(letters))]:
        raise RowError("field 'Options' does not count letters from A")
    return tuple(Row(row.place, value).text(letter) for letter in letters)


def _written(row: Row) -> str:
    texts = (row.fields.get(name) for name in ("Question", "Explanation"))
    return "\n".join(text for text in texts if isinstance(text, str))


BENCHMARK = Benchmark(
    name="video_holmes",
    title="Video-Holmes",
    annotations=_FILE,
    read=each_row(_NEEDS, _item, _FILE),
    files=lambda path, _: files_in(path, _FILE),
    checked="code",
    source="Hugging Face TencentARC/Video-Holmes",
    evidence="weak: times named in questions and explanations",
)
