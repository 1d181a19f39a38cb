"""STAR: interaction, sequence, prediction and feasibility in clips of Charades videos.

    merit-interp items import star --annotations STAR_val.json --videos Charades_v1_480 ...

Options are in the order of their `choice_id`, the answer is a text, `start` and `end` bound the
clip. The keys of `situations` are the frames that people annotated: numbers from 1 of all frames of
the uncut video, as ffmpeg dumps them for Action Genome at each video's own rate. When a frame is
shown is not in the annotations: it is read from the video file, so it is right for the published
videos and wrong for copies at another rate, whose key frames mostly fall out of the clip and are
dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_index, refuse_withheld
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_NEEDS = ("question_id", "video_id", "question", "choices")
_KINDS = ("Interaction", "Sequence", "Prediction", "Feasibility")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    files = files_in(path)
    if len(files) > 1:
        found = ", ".join(file.name for file in files)
        raise ItemError(f"{path} has {len(files)} files: {found}", valid="one of them")
    return files


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    (file,) = _files(path, options)
    refuse_withheld(file, _has_gold, valid="STAR_val.json or STAR_train.json")
    for row in read_rows(file, needs=_NEEDS):
        # "Interaction_T1_13"
        kind = str(row.fields.get("question_id")).partition("_")[0]
        if options.subset in (None, kind):
            yield from outcomes([row], partial(_item, kind=kind, keep=options.bounds == "keep"))


def _has_gold(row: Row) -> bool:
    return row.fields.get("answer") not in (None, "")


def _item(row: Row, *, kind: str, keep: bool) -> Outcome:
    name, video = f"star/{row.text('question_id')}", row.text("video_id")
    if not _has_gold(row):
        return LeftOut(name, "answer is withheld")
    options, frames = _choices(row), _key_frames(row)
    item = Item(
        id=name,
        video=video,
        question=row.text("question"),
        options=options,
        answer=answer_index(options, row.text("answer")),
        skill="other",
        benchmark="star",
        category=kind,
        group=video,
        start_s=row.optional_number("start") if keep else None,
        end_s=row.optional_number("end") if keep else None,
    )
    if not keep and frames:
        flag = "key frames were dropped with the bounds, they count in the uncut video"
        return Imported(item, flags=(flag,))
    return Imported(item, evidence_frames=frames)


def _choices(row: Row) -> tuple[str, ...]:
    choices = {choice.whole("choice_id"): choice.text("choice") for choice in row.rows("choices")}
    if len(choices) < len(row.rows("choices")):
        raise RowError("two choices have the same choice_id")
    return tuple(choices[number] for number in sorted(choices))


def _key_frames(row: Row) -> tuple[int, ...]:
    """Numbers of the annotated frames, from 0: the first is called 000001."""
    situations = row.fields.get("situations") or {}
    if not isinstance(situations, Mapping) or not all(
        key.isdecimal() and len(key) < 10 for key in situations
    ):
        raise RowError("field 'situations' is no object of frame numbers")
    # parquet writes a null for a frame that another row has and this one has not
    named = (key for key, situation in situations.items() if situation is not None)
    return tuple(sorted(int(key) - 1 for key in named))


BENCHMARK = Benchmark(
    name="star",
    title="STAR",
    annotations="STAR_val.json or STAR_train.json",
    read=_read,
    files=_files,
    checked="code",
    source="bobbywu.com/STAR; GitHub csbobby/STAR_Benchmark",
    evidence="key frames by number, made times by when the video file shows them",
    subsets=_KINDS,
)
