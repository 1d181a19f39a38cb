"""STAR: interaction, sequence, prediction and feasibility in clips of Charades videos.

    merit-interp items import star --annotations STAR_val.json --videos Charades_v1_480 ...

Options are in the order of their `choice_id`, the answer is a text, `start` and `end` bound the
clip. The keys of `situations` are the frames that people annotated: numbers from 1 of all frames of
the uncut video at its own rate, as ffmpeg dumps them for Action Genome ("not always 24"). The rate
is not in the questions. STAR's repository has it for each video (annotations/STAR_classes/
video_fps): put that file, or video_fps.json of the form {"TJZ0P.mp4": 29.97}, beside the questions.
Without it no key frame has a time, and none is given.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    answer_index,
    outcomes,
)
from merit_interp.benchmarks.items import Item, Span
from merit_interp.errors import ItemError

_NEEDS = ("question_id", "video_id", "question", "choices")
_RATES = ("video_fps.json", "video_fps")
_KINDS = ("Interaction", "Sequence", "Prediction", "Feasibility")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    path = Path(path)
    directory = path if path.is_dir() else path.parent
    questions = tuple(file for file in files_in(path) if file.name not in _RATES)
    if len(questions) != 1:
        found = ", ".join(file.name for file in questions) or "none"
        raise ItemError(
            f"{path} has {len(questions)} files of questions: {found}", valid="one of them"
        )
    rates = [directory / name for name in _RATES if (directory / name).is_file()]
    return (*questions, *rates[:1])


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    questions, *others = _files(path, options)
    rates = _rates(others[0]) if others else {}
    for row in read_rows(questions, needs=_NEEDS):
        yield from outcomes([row], lambda row: _of_subset(row, rates, options))


def _of_subset(row: Row, rates: Mapping[str, float], options: ImportOptions) -> tuple[Outcome, ...]:
    name = row.text("question_id")
    kind = name.partition("_")[0]
    if options.subset not in (None, kind):
        return ()
    if row.fields.get("answer") in (None, ""):
        return (LeftOut(f"star/{name}", "answer is withheld"),)
    texts = _choices(row)
    video = row.text("video_id")
    keep = options.bounds == "keep"
    start_s, end_s = row.optional_number("start"), row.optional_number("end")
    evidence, flags = _key_frames(row, rates, (start_s or 0.0, end_s)) if keep else ((), ())
    item = Item(
        id=f"star/{name}",
        video=video,
        question=row.text("question"),
        options=texts,
        answer=answer_index(texts, row.text("answer")),
        skill="other",
        benchmark="star",
        category=kind,
        group=video,
        start_s=start_s if keep else None,
        end_s=end_s if keep else None,
        evidence=evidence,
        evidence_kind="frame" if evidence else None,
    )
    if not keep:
        flags = (
            "key frames were dropped with the bounds: their times are those of the uncut video",
        )
    return (Imported(item, flags=flags),)


def _choices(row: Row) -> tuple[str, ...]:
    choices = {choice.whole("choice_id"): choice.text("choice") for choice in row.rows("choices")}
    if len(choices) < len(row.rows("choices")):
        raise RowError("two choices have the same choice_id")
    return tuple(choices[number] for number in sorted(choices))


def _key_frames(
    row: Row, rates: Mapping[str, float], bound: tuple[float, float | None]
) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """When the annotated frames of the clip are shown, and what is to say of them."""
    situations = row.fields.get("situations")
    if not situations:
        return (), ()
    if not isinstance(situations, Mapping) or not all(
        key.isdecimal() and len(key) < 10 for key in situations
    ):
        raise RowError("field 'situations' is no object of frame numbers")
    video = row.text("video_id")
    rate = rates.get(f"{video}.mp4", rates.get(video))
    if rate is None:
        return (), ("key frames without a frame rate were left out: STAR's video_fps has it",)
    numbers = sorted(int(key) for key in situations)
    # frame 1 is shown first
    spans = [((number - 1) / rate, number / rate) for number in numbers]
    start_s, end_s = bound
    inside = [
        (start, end)
        for start, end in spans
        if start >= start_s and (end_s is None or start < end_s) and start >= 0
    ]
    outside = len(spans) - len(inside)
    return tuple(inside), (
        f"key frames outside the clip were dropped: {outside}",
    ) if outside else ()


def _rates(path: Path) -> dict[str, float]:
    """Frames per second of each video.

    Raises:
        ItemError: The file is another one.
    """
    try:
        content = path.read_bytes()
        rates = json.loads(content) if path.suffix == ".json" else _plain_pickle(path)
    except (OSError, ValueError, EOFError, IndexError, pickle.UnpicklingError) as error:
        raise ItemError(f"cannot read frame rates {path}: {error}", valid=_RATES[0]) from None
    if not isinstance(rates, dict) or not all(_is_rate(rate) for rate in rates.values()):
        raise ItemError(f"{path} holds no frame rates", valid='{"TJZ0P.mp4": 29.97, ...}')
    return {str(video): float(rate) for video, rate in rates.items()}


def _is_rate(rate: object) -> bool:
    return isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate < 1000


class _PlainValues(pickle.Unpickler):
    """Reads numbers, texts and their containers; whatever could run code is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it holds a {module}.{name}; give {_RATES[0]} instead")


def _plain_pickle(path: Path) -> object:
    with path.open("rb") as file:
        return _PlainValues(file).load()


BENCHMARK = Benchmark(
    name="star",
    title="STAR",
    annotations="STAR_val.json (or STAR_train.json), with video_fps or video_fps.json beside it",
    read=_read,
    files=_files,
    checked="code",
    source="bobbywu.com/STAR; GitHub csbobby/STAR_Benchmark",
    evidence="key frames by number; their times need video_fps",
    subsets=_KINDS,
)
