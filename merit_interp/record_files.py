"""Files that survive a kill: append-only JSONL, whole files, and the marker of a finished run.

    with JsonlAppender(run / "trials.jsonl") as trials:
        trials.append({"number": 0})
    rows = read_jsonl(run / "trials.jsonl")

A line is one JSON object. A process that dies while it writes leaves at most one torn last line,
which readers skip and the next appender cuts off. This file must not know what the records mean.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

from merit_interp.errors import RunError

FINISHED_MARKER = "finished.json"
"""Written last into a run directory; a run without it was interrupted."""
COUNTED = (
    "scores", "control_scores", "trials", "validation", "masks", "attributions",
    "attributed_items", "readings", "checks", "head_changes", "head_masks",
)  # fmt: skip
"""Stems of the JSONL files whose records the finished-marker counts, where a run has them."""

_HELD: deque[tuple[tuple[int, int], int]] = deque()
"""Device, inode and descriptor of the run directories that this process writes to."""
_MOST_HELD = 16


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that its name only ever shows the whole content.

    Raises:
        RunError: The directory cannot be written, or the disk is full.
    """
    with file_written_whole(path) as file:
        file.write(content)


@contextlib.contextmanager
def file_written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes its final name only if the block ends well.

    Raises:
        RunError: The directory cannot be written, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}", valid="a directory that can be written"
        ) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}", valid="a disk with room for it"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value whole, indented, with a final newline."""
    write_whole(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _umask() -> int:
    # the umask can only be read by setting it
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def directory_written_whole(path: Path) -> Iterator[Path]:
    """A temporary sibling directory that takes the final name only if the block ends well.

    Raises:
        RunError: `path` exists already, or its parent cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise RunError(f"{path} exists already", valid="a directory that does not exist yet")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}", valid="a directory that can be written"
        ) from None
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class JsonlAppender:
    """Appends JSON objects to a file, each line on disk before `append` returns.

    A torn last line, left by a killed process, is cut off when the file is opened.

    Raises:
        RunError: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_tail(self.path)
            # line-buffered text could split a line over two writes; one os.write cannot tear
            # except by a kill, which the reader tolerates
            self._descriptor = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from None

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one object as one line."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            raise RunError(
                f"cannot write {self.path}: {error.strerror}",
                valid="a disk with room; run again with --resume",
            ) from None

    def close(self) -> None:
        """Close the file; further appends fail."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> JsonlAppender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self.close()
        return False


def _cut_torn_tail(path: Path) -> None:
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a JSONL file; a torn last line is left out, a missing file is empty.

    Raises:
        RunError: A line other than the last is not a JSON object.
    """
    path = Path(path)
    if not path.exists():
        return []
    content = path.read_bytes()
    lines = content.split(b"\n")
    rows: list[dict[str, Any]] = []
    # the piece after the last newline is empty, or the torn line of a killed process
    for number, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise RunError(
                f"{path}, line {number}, is not JSON", valid="one JSON object a line"
            ) from None
        if not isinstance(row, dict):
            raise RunError(f"{path}, line {number}, is not a JSON object")
        rows.append(row)
    return rows


def check_run_directory(path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse what `open_run_directory` would refuse, and change nothing.

    For commands that read much before they write: a typo in their input must not cost the
    earlier run that `overwrite` deletes.

    Raises:
        RunError: It holds something and neither `resume` nor `overwrite` was asked for, it is a
            file, or it cannot be written.
    """
    path = Path(path)
    if resume and overwrite:
        raise RunError("--resume and --overwrite exclude each other", valid="one of them")
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file", valid="a directory, new or empty")
    try:
        # a run that was refused for its videos leaves that file, and is no run
        used = path.is_dir() and any(file.name != "decoding.jsonl" for file in path.iterdir())
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from None
    if used and overwrite and not (path / "run.json").exists():
        raise RunError(
            f"{path} is not a run directory, so it is not overwritten",
            valid="a directory with a run.json, or a new one",
        )
    if used and not overwrite and not resume:
        raise RunError(
            f"{path} holds an earlier run", valid="--resume, --overwrite or another --out"
        )
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise RunError(f"cannot write {path}", valid="a directory that can be written")


def open_run_directory(path: Path, *, resume: bool = False, overwrite: bool = False) -> Path:
    """Make or reopen the directory of a run.

    Raises:
        RunError: As `check_run_directory`, it cannot be made or emptied, or another process
            writes to it.
    """
    path = Path(path)
    check_run_directory(path, resume=resume, overwrite=overwrite)
    try:
        if overwrite and path.is_dir():
            _hold(path)
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        _hold(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror}", valid="a directory that can be written"
        ) from None
    return path


def _hold(path: Path) -> None:
    """Keep a run directory for this process until it ends: two would mix their records.

    Raises:
        RunError: Another process holds it.
        OSError: It cannot be opened.
    """
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino)
    if any(held == key for held, _ in _HELD):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.EWOULDBLOCK:
            raise RunError(
                f"another process is writing to {path}", valid="its end, or another --out"
            ) from None
        return  # a file system without locks
    _HELD.append((key, descriptor))
    if len(_HELD) > _MOST_HELD:
        os.close(_HELD.popleft()[1])


def mark_finished(run: Path, own: Collection[str] = COUNTED, **said: Any) -> None:
    """Write the marker of a finished run: how many records each of its files holds, and more.

    Args:
        run: The run's directory.
        own: Stems of the files to count; of others an earlier marker's count stays.
        said: Further content.
    """
    before = {s: n for s, n in (_marker(run) or {}).items() if s in COUNTED and s not in own}
    counts = {s: _n_records(run / f"{s}.jsonl") for s in own if (run / f"{s}.jsonl").exists()}
    write_json(run / FINISHED_MARKER, {**said, **before, **counts})


def read_finished(run: Path, *, but: Collection[str] = ()) -> dict[str, Any] | None:
    """The content of a run's finished-marker, once its files are known to hold what it counted.

    What is no longer there would otherwise be missing from every number, unsaid. A marker of an
    older version counts one file, or none: then nothing is known of the others.

    Args:
        run: The run's directory.
        but: Stems of files that are not compared, as the caller is about to write them.

    Returns:
        None where the run is not finished.

    Raises:
        RunError: The marker is damaged, or a file holds fewer or more records than were counted.
    """
    marker = _marker(run)
    for stem, (held, counted) in _changed(run, marker or {}).items():
        if stem not in but:
            raise _was_changed(run / f"{stem}.jsonl", held, counted)
    return marker


def is_finished(run: Path, own: Collection[str]) -> bool:
    """Whether a run that is gone on with has nothing left to do: it ended, and lost no record.

    Args:
        run: The run's directory.
        own: Stems of the files that going on writes again where records are lost.

    Raises:
        RunError: The marker is damaged, or one of these files holds more records than were
            counted, which going on would keep.
    """
    marker = _marker(run)
    changed = {s: counts for s, counts in _changed(run, marker or {}).items() if s in own}
    for stem, (held, counted) in changed.items():
        if held > counted:
            raise _was_changed(run / f"{stem}.jsonl", held, counted)
    return marker is not None and not changed


def _marker(run: Path) -> dict[str, Any] | None:
    path = run / FINISHED_MARKER
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise RunError(f"{path} is not JSON", valid="the file as the run wrote it") from None
    if not isinstance(value, dict):
        raise RunError(f"{path} is not a JSON object", valid="the file as the run wrote it")
    return value


def _changed(run: Path, marker: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Records that a file holds and that were counted, by stem, where the two differ."""
    counts = {stem: marker[stem] for stem in COUNTED if isinstance(marker.get(stem), int)}
    held = {stem: _n_records(run / f"{stem}.jsonl") for stem in counts}
    return {stem: (held[stem], counts[stem]) for stem in counts if held[stem] != counts[stem]}


def _was_changed(path: Path, held: int, counted: int) -> RunError:
    if held < counted:
        holds, again = f"{held} of {counted} records", "--resume"
    else:
        holds, again = f"{held} records in place of {counted}", "--overwrite"
    return RunError(
        f"{path} holds {holds}: the run was changed after it ended; run it again with {again}"
    )


def _n_records(path: Path) -> int:
    """Records that `read_jsonl` would read."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(line.endswith(b"\n") and bool(line.strip()) for line in file)


def finished_part(run_dir: Path, name: str, records: str) -> Path | None:
    """Where a finished part of a run lies: the run itself, or the directory of its name below it.

    Args:
        run_dir: Of the run.
        name: Of the part, like `mask`.
        records: The file that such a part has and no other.

    Raises:
        RunError: A part ended, and that file is gone.
    """
    for directory in (run_dir, run_dir / name):
        if (directory / records).exists() and (directory / FINISHED_MARKER).exists():
            return directory
        if Path(records).stem in (_marker(directory) or {}):
            read_finished(directory)
    return None
