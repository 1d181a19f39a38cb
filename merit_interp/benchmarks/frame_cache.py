"""Decoded frames on disk, known by the content of their video, up to a size.

    cache = FrameCache(directory, most_bytes=4 * 2**30)
    cache.put(key, row, frames)
    cache.get(key)    # (row, frames), or None

Several processes may use one directory. A file that was torn or damaged is thrown away and nobody
is told: its frames are decoded again. Those not used for longest go first; files of others in the
directory are left alone. This file must not know what the row means.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from merit_interp.models.file_digests import file_digest

SUFFIX = ".frames"
PART = ".frames.part"
"""Of a file that is being written, or was when its process was killed."""
_HEAD = struct.Struct("<8sQII")
_MAGIC = b"mi-frm-1"
KEPT_SHARE = 0.9
"""What is left of the limit after files were thrown away, so that not every put does it."""


def content_key(path: Path, *also: str) -> str:
    """What names the frames of a file: its bytes, and all else that they depend on.

    An unchanged file's bytes are read once for all runs: of a long video that takes longer than to
    decode some frames.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256(file_digest(path).encode())
    for text in also:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()


def why_unusable(directory: Path) -> str | None:
    """Why no frames can be kept in a directory, which is made where it is not there; else None."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return None
    except OSError as error:
        return error.strerror or type(error).__name__


class FrameCache:
    """Frames in a directory.

    Args:
        directory: Made when something is put.
        most_bytes: Limit of all files together.
    """

    def __init__(self, directory: Path, most_bytes: int) -> None:
        self.directory = directory
        self.most_bytes = most_bytes
        self._n_bytes: int | None = None
        """Of all files, as far as this process knows."""

    def get(self, key: str) -> tuple[dict[str, Any], ndarray] | None:
        """What was put under a key; None where it is not here, or not whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        found = _parsed(content)
        with contextlib.suppress(OSError):
            if found is None:
                path.unlink()
            else:
                # used now: others go before it
                os.utime(path)
        return found

    def put(self, key: str, row: Mapping[str, Any], frames: ndarray) -> None:
        """Keep frames; where the disk is full or not to be written, nothing is kept."""
        head = json.dumps(dict(row)).encode()
        content = frames.reshape(-1).data
        checksum = zlib.crc32(content, zlib.crc32(head))
        n_bytes = _HEAD.size + len(head) + len(content)
        if n_bytes > self.most_bytes:
            return
        with contextlib.suppress(OSError):
            self._path(key).parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=PART, dir=self.directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_HEAD.pack(_MAGIC, len(content), len(head), checksum))
                    file.write(head)
                    file.write(content)
                Path(name).replace(self._path(key))
            finally:
                Path(name).unlink(missing_ok=True)
            self._count(n_bytes)

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}{SUFFIX}"

    def _count(self, n_bytes: int) -> None:
        """Throw away what was not used for longest, where there is more than the limit."""
        if self._n_bytes is not None:
            self._n_bytes += n_bytes
            if self._n_bytes <= self.most_bytes:
                return
        # other processes put too: only the directory knows
        files = []
        for entry in os.scandir(self.directory):
            # a user may have named a directory that holds other files too
            if not entry.name.endswith((SUFFIX, PART)):
                continue
            with contextlib.suppress(OSError):
                stat = entry.stat()
                files.append((stat.st_mtime_ns, entry.path, stat.st_size))
        total = sum(size for _, _, size in files)
        if total > self.most_bytes:
            for _, path, size in sorted(files):
                if total <= KEPT_SHARE * self.most_bytes:
                    break
                with contextlib.suppress(OSError):
                    Path(path).unlink()
                    total -= size
        self._n_bytes = total


def _parsed(content: bytes) -> tuple[dict[str, Any], ndarray] | None:
    if len(content) < _HEAD.size:
        return None
    magic, n_content, n_head, checksum = _HEAD.unpack_from(content)
    body = memoryview(content)[_HEAD.size :]
    if magic != _MAGIC or len(body) != n_content + n_head or zlib.crc32(body) != checksum:
        return None
    row = json.loads(bytes(body[:n_head]))
    # a copy, since what is read from bytes cannot be written to
    frames = np.frombuffer(body[n_head:], dtype=np.uint8).reshape(row["shape"]).copy()
    return row, frames
