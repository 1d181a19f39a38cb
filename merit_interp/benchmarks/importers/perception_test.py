"""Perception Test: three options on short staged videos, by area, kind of reasoning and tags.

    merit-interp items import perception_test --annotations valid --videos videos ...

Some videos show the answer at their end (cup games): cut_frame_mapping_valid.json says at which
frame they are to be cut, and items end there. Whether that frame is still to be seen is not
published; here it is not.

No evidence is taken. `action_localisation` says when which action happens, in microseconds, but not
which question an action belongs to: taking all of them would call most of a video evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.annotation_files import (
    Row,
    RowError,
    files_in,
    read_map,
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
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_CUTS = "cut_frame_mapping"


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    path = Path(path)
    files = files_in(path)
    beside = () if path.is_dir() else tuple(sorted(path.parent.glob(f"{_CUTS}*.json")))
    questions = tuple(file for file in files if not file.name.startswith(_CUTS))
    if not questions:
        raise ItemError(f"{path} has no questions", valid="mc_question_valid.json")
    return (*questions, *(file for file in (*files, *beside) if file.name.startswith(_CUTS)))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    files = _files(path, options)
    cuts: dict[str, Any] = {}
    for file in files:
        if file.name.startswith(_CUTS):
            cuts.update(read_map(file))
    for file in files:
        if not file.name.startswith(_CUTS):
            for row in read_rows(file):
                yield from outcomes([row], lambda row: _questions(row, cuts, options))


def _questions(row: Row, cuts: Mapping[str, Any], options: ImportOptions) -> Iterator[Outcome]:
    if "video_name" in row.fields:
        # a row of the Hugging Face port is one question
        return outcomes([row], lambda part: _item(part, None, cuts, options))
    if not row.key or "metadata" not in row.fields:
        raise ItemError(
            f"{row.place}, is neither a video with its metadata nor a question of the port",
            valid="mc_question_valid.json, all_valid.json or mc_question_val as parquet",
        )
    if not row.fields.get("mc_question"):
        return iter((LeftOut(f"perception_test/{row.key}", "no multiple-choice question"),))
    return outcomes(row.rows("mc_question"), lambda part: _item(part, row, cuts, options))


def _item(row: Row, video: Row | None, cuts: Mapping[str, Any], options: ImportOptions) -> Outcome:
    name = video.key if video else row.text("video_name")
    item_id = f"perception_test/{name}/{row.text('id' if video else 'question_id')}"
    texts = row.texts("options")
    if row.fields.get("answer_id") in (None, "", -1, "-1"):
        return LeftOut(item_id, "answer is withheld")
    clip = _Clip(name, video.row("metadata") if video else None, cuts)
    reasoning = row.text("reasoning").capitalize()
    return Imported(
        Item(
            id=item_id,
            video=name,
            question=row.text("question"),
            options=texts,
            answer=answer_number(texts, row, "answer_id"),
            skill="other",
            benchmark="perception_test",
            category=reasoning,
            group=name,
            end_s=clip.end_s if options.bounds == "keep" else None,
        ),
        duration_s=clip.duration_s,
        roles_of=(reasoning, row.text("area").capitalize(), *_tags(row)),
        flags=clip.flags(options),
        other_videos=(f"videos/{name}",),
    )


def _tags(row: Row) -> tuple[str, ...]:
    return row.texts("tag") if row.fields.get("tag") else ()


class _Clip:
    """The part of a video that does not show the answer."""

    def __init__(self, name: str, metadata: Row | None, cuts: Mapping[str, Any]) -> None:
        self.rate = metadata.optional_number("frame_rate") if metadata else None
        n_frames = metadata.optional_number("num_frames") if metadata else None
        self.duration_s = n_frames / self.rate if n_frames and self.rate else None
        said = metadata.fields.get("is_cup_game") if metadata else None
        self.is_cup_game = None if said is None else bool(said)
        """None where the row does not say, as the port's do not."""
        self.known = name in cuts
        frame = cuts.get(name, -1)
        if isinstance(frame, bool) or not isinstance(frame, int):
            raise RowError(f"cut frame is no number: {frame!r}")
        self.frame = frame if frame > 0 else None
        if self.frame and not self.rate:
            raise RowError("cut at a frame, but the frame rate is not known: use the original json")
        self.end_s = self.frame / self.rate if self.frame and self.rate else None

    def flags(self, options: ImportOptions) -> tuple[str, ...]:
        if self.end_s is None:
            if self.known or self.is_cup_game is False:
                return ()
            if self.is_cup_game is None:
                return (
                    f"cut is not known: beside the questions there is no {_CUTS}_*.json that "
                    "names the video, and if it is a cup game, its end may show the answer",
                )
            return ("cup game without its cut: its end may show the answer",)
        if options.bounds == "drop":
            return ("cut was dropped with the bounds: the end may show the answer",)
        return (f"ends at its cut: frame {self.frame}",)


BENCHMARK = Benchmark(
    name="perception_test",
    title="Perception Test",
    annotations="mc_question_valid.json (or all_valid.json) with cut_frame_mapping_valid.json "
    "beside it; or the Hugging Face port as parquet",
    read=_read,
    files=_files,
    checked="card",
    source="GitHub google-deepmind/perception_test; Hugging Face lmms-lab/PerceptionTest_Val",
)
