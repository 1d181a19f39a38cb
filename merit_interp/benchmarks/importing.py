"""Published annotation files become an items file: what every importer shares.

    summary = import_items(VIDEO_MME, annotations, videos, out, ImportOptions(), read_roles(None))

An importer is a `Benchmark`: a function from annotation files to items, and words about them. Here
the items get their skill and their video, and are written with a record of the import and of every
row that was left out. No row is kept, so a benchmark's size costs no memory. This file must not
know any one benchmark, and loads no torch.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.evidence_frames import with_frames
from merit_interp.benchmarks.import_summary import (
    ImportSource,
    ImportSummary,
    SummaryCounts,
    digest_of,
)
from merit_interp.benchmarks.items import Item, Span, contradictions
from merit_interp.benchmarks.roles import Roles
from merit_interp.benchmarks.video_folder import VIDEO_SUFFIXES, VideoFolder
from merit_interp.errors import ItemError, RunError, SettingError
from merit_interp.record_files import file_written_whole, write_json

BOUNDS = ("keep", "drop")


@dataclass(frozen=True)
class ImportOptions:
    """What a user chooses, whatever the benchmark."""

    subset: str | None = None
    """Only this part of the benchmark; all of it where None."""
    bounds: str = "keep"
    """Whether items keep the part of the video that they ask about; drop it for pre-cut videos."""
    follow_links: bool = False
    """Accept symbolic links that lead out of the video folder."""

    def __post_init__(self) -> None:
        if self.bounds not in BOUNDS:
            raise SettingError(f"bounds are {self.bounds!r}", valid=" or ".join(BOUNDS))


@dataclass(frozen=True)
class Imported:
    """One row that became an item."""

    item: Item
    """Its video is relative to the video folder, with or without suffix; roles set its skill."""
    duration_s: float | None = None
    """Of the video, where the annotations say."""
    roles_of: tuple[str, ...] = ()
    """Categories whose roles count; the item's own where empty."""
    flags: tuple[str, ...] = ()
    """What a user should know about it, each "kind" or "kind: detail"."""
    other_videos: tuple[str, ...] = ()
    """Where else in the folder the video may lie."""
    flag_elsewhere: str = ""
    """A flag for the item if its video lies in one of these."""
    evidence_frames: tuple[int, ...] = ()
    """Evidence as numbers of the video file's own frames, from 0; its rate makes them times."""


@dataclass(frozen=True)
class LeftOut:
    """One row that did not become an item."""

    row: str
    """Its id, or where it stands, like "val.csv, row 17"."""
    reason: str
    """ "kind" or "kind: detail"; rows are counted by kind."""


Outcome = Imported | LeftOut


@dataclass(frozen=True)
class Benchmark:
    """One published benchmark: how its files are read, and what is known about them."""

    name: str
    """As on the command line, and the name of the importer's file."""
    title: str
    annotations: str
    """In words: which files `--annotations` takes."""
    read: Callable[[Path, ImportOptions], Iterator[Outcome]]
    """Rows of the annotations at a path, as items or with the reason why not."""
    checked: Literal["data", "code", "card", "memory"]
    """How far the format was checked: the file itself, code that reads it, words about it."""
    source: str
    """Where the files are published."""
    files: Callable[[Path, ImportOptions], tuple[Path, ...]] = lambda path, _: files_in(path)
    """The files that `read` reads, for the record."""
    evidence: str = "none"
    """In words: what is known about where the answer can be seen."""
    subsets: tuple[str, ...] = ()
    """Parts that `--subset` chooses from."""
    video_suffixes: tuple[str, ...] = VIDEO_SUFFIXES


def each_row(
    needs: tuple[str, ...], convert: Callable[[Row], Outcome | Iterable[Outcome]], *names: str
) -> Callable[[Path, ImportOptions], Iterator[Outcome]]:
    """The `read` of a benchmark whose files hold one row a question, and nothing but rows.

    Args:
        needs: Fields without which a file is of another kind.
        convert: As of `outcomes`.
        names: As of `files_in`.
    """

    def read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
        for file in files_in(path, *names):
            yield from outcomes(read_rows(file, needs=needs), convert)

    return read


def outcomes(
    rows: Iterable[Row], convert: Callable[[Row], Outcome | Iterable[Outcome]]
) -> Iterator[Outcome]:
    """Convert rows; one that raises a `RowError` is left out with its message.

    Args:
        rows: Of an annotation file.
        convert: One row to one outcome, or to several where a row holds several questions.
    """
    for row in rows:
        try:
            done = convert(row)
            several = (done,) if isinstance(done, Imported | LeftOut) else tuple(done)
        except RowError as fault:
            several = (LeftOut(row.place, str(fault)),)
        yield from several


def without_repeats(options: tuple[str, ...], answer: int) -> tuple[tuple[str, ...], int]:
    """Each option once, and where the right one is then.

    Two equal options cannot be told apart: where one is right, so is the other.
    """
    once = tuple(dict.fromkeys(options))
    if len(once) == len(options) or not 0 <= answer < len(options):
        return options, answer
    return once, once.index(options[answer])


def spans_within(
    spans: Iterable[Span], duration_s: float | None
) -> tuple[tuple[Span, ...], tuple[str, ...]]:
    """Evidence cut to the video, sorted, each span once, and flags that say what was cut.

    Args:
        spans: Starts and ends in seconds.
        duration_s: End of the video; None where it is not known.
    """
    kept: list[Span] = []
    flags: list[str] = []
    for start, end in sorted(set(spans)):
        if end < start:
            flags.append(f"evidence that ends before it begins was dropped: {start:g} to {end:g} s")
        elif duration_s is not None and start >= duration_s:
            flags.append(f"evidence past the end was dropped: {start:g} to {end:g} s")
        elif duration_s is not None and end > duration_s:
            flags.append(f"evidence past the end was clipped: {end:g} to {duration_s:g} s")
            kept.append((max(start, 0.0), duration_s))
        elif start < 0:
            flags.append(f"evidence before the beginning was clipped: {start:g} s")
            kept.append((0.0, max(end, 0.0)))
        else:
            kept.append((start, end))
    return tuple(kept), tuple(flags)


def import_items(
    benchmark: Benchmark,
    annotations: Path,
    videos: Path,
    out: Path,
    options: ImportOptions,
    roles: Roles,
    *,
    overwrite: bool = False,
) -> ImportSummary:
    """Write the items file of a benchmark, and beside it what was left out and a record.

    `out` holds the items, `<stem>.left_out.jsonl` the rows that are none, each with its reason, and
    `<stem>.import.json` the summary.

    Args:
        benchmark: Which one.
        annotations: Its published file or files.
        videos: Folder of its videos.
        out: The items file to write.
        options: Subset, bounds, links.
        roles: Skill of each category.
        overwrite: Replace an items file that is there.

    Raises:
        ItemError: Annotations or videos are missing or of another form, or no row became an item.
        SettingError: The benchmark has no such subset.
        RunError: `out` is there already, or cannot be written.
    """
    files_out = _Files(Path(out))
    annotations = Path(annotations)
    _check_subset(benchmark, options)
    if not annotations.exists():
        raise ItemError(f"there are no annotations at {annotations}", valid=benchmark.annotations)
    folder = VideoFolder(Path(videos), benchmark.video_suffixes, options.follow_links)
    files = benchmark.files(annotations, options)
    files_out.check(files, overwrite)
    counts = SummaryCounts()
    target = _Target(benchmark, folder, os.path.realpath(files_out.items.parent), roles, counts)
    with ExitStack() as written:
        # the items take their name last: with them, all the rest is there
        items = written.enter_context(file_written_whole(files_out.items))
        left_out = written.enter_context(file_written_whole(files_out.left_out))
        for outcome in benchmark.read(annotations, options):
            target.write(outcome, items, left_out)
        if not counts.items:
            raise _nothing(benchmark, options, counts)
        source = ImportSource(
            benchmark=benchmark.name,
            checked=benchmark.checked,
            subset=options.subset,
            bounds=options.bounds,
            videos=str(videos),
            annotations={str(file): digest_of(file) for file in files},
            roles=roles.table.get(benchmark.name, {}),
        )
        summary = counts.summary(source, roles.replaced.get(benchmark.name, {}))
        write_json(files_out.record, summary.to_row())
    return summary


@dataclass(frozen=True)
class _Files:
    """What an import writes."""

    items: Path

    @property
    def left_out(self) -> Path:
        return self.items.with_name(f"{self.items.stem}.left_out.jsonl")

    @property
    def record(self) -> Path:
        return self.items.with_name(f"{self.items.stem}.import.json")

    def check(self, annotations: Iterable[Path], overwrite: bool) -> None:
        """Refuse to write over what is there.

        Raises:
            RunError: It is a directory, an annotation file, or an earlier import.
        """
        if self.items.is_dir():
            raise RunError(f"{self.items} is a directory", valid="--out FILE, like items.jsonl")
        mine = [file for file in (self.items, self.left_out, self.record) if file.exists()]
        # by what they are, since names differ where one is a link
        if any(file.samefile(published) for published in annotations for file in mine):
            raise RunError(
                f"{self.items} would be written over the annotations", valid="another --out"
            )
        if self.items.exists() and not overwrite:
            raise RunError(f"{self.items} is there already", valid="--overwrite or another --out")


@dataclass(frozen=True)
class _Target:
    """Where items go, and what they get on the way."""

    benchmark: Benchmark
    folder: VideoFolder
    base: str
    """Directory of the items file, without symbolic links."""
    roles: Roles
    counts: SummaryCounts

    def write(self, outcome: Outcome, items: BinaryIO, left_out: BinaryIO) -> None:
        """Write one row to where it belongs, and count it."""
        pair = ""
        if isinstance(outcome, Imported):
            try:
                line = self._finished(outcome)
            except RowError as fault:
                pair = outcome.item.pair
                outcome = LeftOut(outcome.item.id, str(fault))
            else:
                items.write(line)
                return
        self.counts.leave_out(outcome.reason, pair)
        row = json.dumps(dataclasses.asdict(outcome), ensure_ascii=False)
        left_out.write(row.encode(errors="replace") + b"\n")

    def _finished(self, imported: Imported) -> bytes:
        """The item with its skill and its video, as the line to write."""
        item = imported.item
        if self.counts.has(item.id):
            raise RowError("id is used already")
        path, found = self._found(imported)
        categories = imported.roles_of or (item.category,)
        options, answer = without_repeats(item.options, item.answer)
        flags = (*imported.flags, *found)
        if len(options) < len(item.options):
            flags += ("repeated option was dropped",)
        if imported.evidence_frames:
            item, more = with_frames(item, imported.evidence_frames, path)
            flags += more
        item = dataclasses.replace(
            item,
            video=self._written(path),
            options=options,
            answer=answer,
            skill=self.roles.skill_of(self.benchmark.name, categories),
            fps=item.fps if path.is_dir() else None,
        )
        problems = contradictions(item)
        if problems:
            raise RowError(f"not a valid item: {problems[0]}")
        line = _line(item)
        self.counts.add(
            item,
            duration_s=imported.duration_s,
            categories=categories,
            flags=flags,
        )
        return line

    def _found(self, imported: Imported) -> tuple[Path, tuple[str, ...]]:
        """The video, and flags about where it lies."""
        video, directory = imported.item.video, imported.item.fps is not None
        path = self.folder.find(video, *imported.other_videos, directory=directory)
        if not imported.flag_elsewhere:
            return path, ()
        try:
            elsewhere = self.folder.find(video, directory=directory) != path
        except RowError:
            elsewhere = True
        return path, (imported.flag_elsewhere,) if elsewhere else ()

    def _written(self, path: Path) -> str:
        # a relative path must not lead out of the items file's directory by a link either; the
        # folder has seen to that where it lies within
        inside = path.is_relative_to(self.base) and (
            Path(self.folder.root).is_relative_to(self.base)
            or Path(os.path.realpath(path)).is_relative_to(self.base)
        )
        return os.path.relpath(path, self.base) if inside else str(path)


def _line(item: Item) -> bytes:
    try:
        return (json.dumps(item.to_row(), ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        raise RowError("text has half a character (a lone surrogate)") from None


def _nothing(benchmark: Benchmark, options: ImportOptions, counts: SummaryCounts) -> ItemError:
    if not counts.left_out:
        part = f" of subset {options.subset!r}" if options.subset else ""
        return ItemError(
            f"no row of {benchmark.title}{part} was read",
            valid=", ".join(benchmark.subsets) if part else benchmark.annotations,
        )
    kind, n = counts.left_out.most_common(1)[0]
    first = counts.first_of[kind]
    example = f" (the first: {first})" if first != kind else ""
    return ItemError(
        f"none of {counts.left_out.total()} rows of {benchmark.title} became an item; "
        f"{n} of them: {kind}{example}",
        valid=f"{benchmark.annotations}, and the folder of its videos",
    )


def _check_subset(benchmark: Benchmark, options: ImportOptions) -> None:
    if options.subset is None or options.subset in benchmark.subsets:
        return
    valid = ", ".join(benchmark.subsets) or "no --subset"
    raise SettingError(f"{benchmark.name} has no subset {options.subset!r}", valid=valid)
