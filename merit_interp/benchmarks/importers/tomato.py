"""TOMATO: 1,484 questions on motion, three to seven options each, so chance is no quarter.

    merit-interp items import tomato --annotations data --videos videos ...

The answer is the number of an option. The benchmark calls itself visual temporal reasoning, so all
of it counts as reasoning; its six kinds stay apart, since motion alone may count as perception.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, files_in, read_rows
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_KINDS = ("count", "direction", "rotation", "shape&trend", "velocity&frequency", "visual_cues")
_NEEDS = ("question", "options", "answer", "demonstration_type")


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    if path.is_dir() and options.subset is not None:
        return files_in(path, f"{options.subset}.json")
    return files_in(path)


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in _files(path, options):
        for row in read_rows(file, needs=_NEEDS):
            # a file a kind in the repository, one file with a column in the port
            kind = str(row.fields.get("reason_type", file.stem)).replace(" ", "_")
            if kind not in _KINDS:
                raise ItemError(
                    f"{row.place}, is of no known kind: {kind}", valid=", ".join(_KINDS)
                )
            if options.subset in (None, kind):

                def convert(row: Row, kind: str = kind) -> Imported:
                    return _item(kind, row)

                yield from outcomes([row], convert)


def _item(kind: str, row: Row) -> Imported:
    video = row.text("key") if "key" in row.fields else row.text("video_path")
    name = row.key or row.text("id")
    return Imported(
        Item(
            id=f"tomato/{kind}/{name}",
            video=f"{row.text('demonstration_type')}/{video}",
            question=row.text("question"),
            options=row.texts("options"),
            answer=row.whole("answer"),
            skill="other",
            benchmark="tomato",
            category=kind,
            group=video,
        ),
        other_videos=(video,),
    )


BENCHMARK = Benchmark(
    name="tomato",
    title="TOMATO",
    annotations="the directory of its six json files, one of them, or the port's parquet",
    read=_read,
    files=_files,
    checked="data",
    source="GitHub yale-nlp/TOMATO, data/",
    subsets=_KINDS,
)
