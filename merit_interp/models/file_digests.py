"""SHA-256 of big files, worked out once: remembered for as long as a file is known unchanged.

    file_digest(Path("model-00001-of-00004.safetensors"))    # reads it, or remembers it

A digest is kept in this process and in one small file in the user's cache directory, and is
believed while the file's device, inode, size, time of modification and time of change are those
it had before it was read. The last of these is set by the kernel at every write and cannot be set
back by a program, so that a file that was written to is read again; a fault of the disk under an
unchanged file is not noticed. Set `MERIT_INTERP_CACHE` to another directory, or to nothing to
have every process read every file. This file must not know what the files hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from merit_interp.errors import RunError
from merit_interp.record_files import write_json

CACHE = "MERIT_INTERP_CACHE"
"""Environment variable with the directory that digests are kept in; empty for none."""

BLOCK = 2**22
SETTLED_NS = 2 * 10**9
"""A file that changed less than this ago may change again within one tick of its clock."""

_Stamp = tuple[int, int, int, int, int]
_in_process: dict[Path, tuple[_Stamp, str]] = {}


class Stopped(Exception):  # noqa: N818
    """A digest was not wanted any more."""


def file_digest(path: Path, *, stop: threading.Event | None = None) -> str:
    """SHA-256 of a file's bytes in hexadecimal, read only if it may have changed.

    Args:
        path: The file.
        stop: When set, a reading in progress ends.

    Raises:
        OSError: The file cannot be read.
        Stopped: `stop` was set.
    """
    stamp = file_stamp(path)
    if known := known_digest(path):
        return known
    digest = hashlib.sha256()
    block = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            if stop is not None and stop.is_set():
                raise Stopped
            digest.update(memoryview(block)[:size])
    remember_digest(path, stamp, digest.hexdigest())
    return digest.hexdigest()


def file_stamp(path: Path) -> _Stamp:
    """What changes when a file changes.

    Raises:
        OSError: There is no such file.
    """
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def known_digest(path: Path) -> str | None:
    """A file's digest if it is remembered and still holds, without reading the file.

    Raises:
        OSError: There is no such file.
    """
    path, stamp = path.resolve(), file_stamp(path)
    if path not in _in_process:
        kept = _kept(path)
        if kept is None:
            return None
        _in_process[path] = kept
    then, digest = _in_process[path]
    return digest if then == stamp else None


def remember_digest(path: Path, stamp: _Stamp, digest: str) -> None:
    """Remember a digest of a file that was read whole.

    Args:
        path: The file.
        stamp: Its `file_stamp` before the first byte was read; if it has another by now, nothing
            is remembered.
        digest: Of the bytes that were read.
    """
    path = path.resolve()
    if file_stamp(path) != stamp:
        return
    _in_process[path] = stamp, digest
    place = _place(path)
    if place is None or time.time_ns() - max(stamp[3:]) < SETTLED_NS:
        return
    try:
        write_json(place, {"path": str(path), "stamp": stamp, "sha256": digest})
    except RunError:
        return  # a home that cannot be written costs time, not the run


def _kept(path: Path) -> tuple[_Stamp, str] | None:
    place = _place(path)
    try:
        kept = json.loads(place.read_text()) if place else None
        if kept is None or kept["path"] != str(path):
            return None
        device, inode, size, modified, changed = map(int, kept["stamp"])
        return (device, inode, size, modified, changed), str(kept["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or damaged: the file is read again


def _place(path: Path) -> Path | None:
    named = os.environ.get(CACHE)
    if named == "":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(named or f"{base}/merit-interp").expanduser()
    return directory / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"


class PassingDigest:
    """SHA-256 of blocks as they pass by, worked out in a thread of its own.

    Args:
        threads: An executor of one thread, so that blocks keep their order.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._digest = hashlib.sha256()
        self._threads = threads
        self._pending: Future[None] | None = None

    def update(self, block: memoryview) -> None:
        """Take the next block, which may not change any more; waits for the one before it."""
        self._wait()
        self._pending = self._threads.submit(self._digest.update, block)

    def hexdigest(self) -> str:
        """Digest of all blocks."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
