"""NExT-QA, multiple choice: why, how, before, after, while; five options.

    merit-interp items import next_qa --annotations val.csv --videos NExTVideo ...

The answer is the number of an option. Beware of the type "TP": it is "temporal previous" and counts
as reasoning; it is not temporal perception. `map_vid_vidorID.json` beside the csv, where it is,
says in which directory a video lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, files_in, read_map, read_rows
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError, SettingError

SPLITS = ("train", "val", "test")
OPTIONS = ("a0", "a1", "a2", "a3", "a4")
_MAP = "map_vid_vidorID.json"
_NEEDS = ("video", "question", "answer", "qid", "type", *OPTIONS)


def split_file(path: Path, options: ImportOptions, splits: tuple[str, ...] = SPLITS) -> Path:
    """The csv that a user means: the file, or a directory's file of a split.

    Raises:
        ItemError: There is no such file, or none of any split.
        SettingError: A directory holds several, and no subset says which.
    """
    if path.is_dir() and options.subset is None:
        found = [split for split in splits if (path / f"{split}.csv").is_file()]
        if len(found) > 1:
            raise SettingError(
                f"{path} holds {len(found)} splits", valid=f"--subset {', '.join(found)}"
            )
        if not found:
            names = [f"{split}.csv" for split in splits]
            raise ItemError(f"{path} holds no {' or '.join(names)}", valid=", ".join(names))
        return path / f"{found[0]}.csv"
    if path.is_file() and options.subset not in (None, path.stem):
        raise SettingError(f"{path} is not the subset {options.subset!r}", valid="no --subset")
    return files_in(path, f"{options.subset}.csv")[0]


def video_map(file: Path) -> tuple[Path, ...]:
    """The map of videos beside a csv, where it is there."""
    path = file.with_name(_MAP)
    return (path,) if path.is_file() else ()


def places(video: str, directories: Mapping[str, object]) -> tuple[str, ...]:
    """Where in the folder a video may lie: where the map says, or at the top."""
    mapped = directories.get(video)
    return (mapped, video) if isinstance(mapped, str) else (video,)


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    file = split_file(path, options)
    return (file, *video_map(file))


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    file, *maps = _files(path, options)
    directories = read_map(maps[0]) if maps else {}

    def item(row: Row) -> Imported:
        video = row.text("video")
        found = places(video, directories)
        return Imported(
            Item(
                id=f"next_qa/{video}/{row.text('qid')}",
                video=found[0],
                question=row.text("question"),
                options=tuple(row.text(name) for name in OPTIONS),
                answer=row.whole("answer"),
                skill="other",
                benchmark="next_qa",
                category=row.text("type"),
                group=video,
            ),
            other_videos=found[1:],
        )

    yield from outcomes(read_rows(file, needs=_NEEDS), item)


BENCHMARK = Benchmark(
    name="next_qa",
    title="NExT-QA (multiple choice)",
    annotations="train.csv, val.csv or test.csv, or their directory; beside it, where it is there, "
    "map_vid_vidorID.json",
    read=_read,
    files=_files,
    checked="data",
    source="GitHub doc-doc/NExT-QA, dataset/nextqa",
    subsets=SPLITS,
)
