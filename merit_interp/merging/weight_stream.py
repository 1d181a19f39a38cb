"""One weight file written again with some of its tensors changed: one pass, in blocks.

    stream_weight_file(source, target, [Change(place, rewritten)], seen=digest.update)

Each byte of the source is read once and written once, so that the target has the source's header,
key names, element types and order by construction, and memory holds a few blocks (or one tensor,
where a change needs all of it at once). This file must not know what a change is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import torch

from merit_interp.models.checkpoint_files import StoredTensor, read_bytes

BLOCK = 2**23
"""Bytes read at a time."""
WRITE_BEHIND = 2**26
"""Bytes after which what was written is sent on to the disk."""

Rewritten = Callable[[int, torch.Tensor], torch.Tensor]
"""(first element, bytes of the source's elements from there on) -> as many bytes to write."""


@dataclass(frozen=True)
class Change:
    """A tensor that is not written as it was read."""

    place: StoredTensor
    rewritten: Rewritten
    in_blocks: bool
    """Whether a block of it can be rewritten without the rest."""


def stream_weight_file(
    source: Path,
    target: Path,
    changes: Iterable[Change],
    *,
    seen: Callable[[memoryview], None] | None = None,
) -> None:
    """Write a file's bytes to another, those of some tensors rewritten; on disk when it returns.

    Args:
        source: The file that is read.
        target: The file that is written; new.
        changes: What is rewritten; places in `source`.
        seen: Gets every block of the source, in order.

    Raises:
        OSError: The target cannot be written.
        CheckpointError: The source cannot be read to its end.
    """
    with source.open("rb", buffering=0) as reader, target.open("wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        position = 0
        for change in sorted(changes, key=lambda change: change.place.start):
            end = change.place.start + change.place.n_bytes
            _stream(reader, writer, change.place.start - position, seen)
            _stream(reader, writer, change.place.n_bytes, seen, change)
            position = end
        _stream(reader, writer, size - position, seen)
        writer.flush()
        os.fsync(writer.fileno())


def _stream(
    reader: FileIO,
    writer: BinaryIO,
    n_bytes: int,
    seen: Callable[[memoryview], None] | None,
    change: Change | None = None,
) -> None:
    step = n_bytes if change is not None and not change.in_blocks else BLOCK
    for start in range(0, n_bytes, max(step, 1)):
        # a new block each time: the last one may still be on its way through the digest
        block = read_bytes(reader, min(step, n_bytes - start))
        if seen is not None:
            seen(block.numpy().data)
        written = block if change is None else change.rewritten(start, block)
        assert len(written) == len(block), "a rewritten tensor changed its size"
        before = writer.tell()
        after = before + writer.write(written.numpy().data)
        if after // WRITE_BEHIND > before // WRITE_BEHIND:
            _write_behind(writer)


def _write_behind(writer: BinaryIO) -> None:
    """Begin to put on disk what was written, and give its memory back once it is there.

    Left alone, the kernel collects gigabytes before it begins, the last fsync waits for all of
    them, and other files are driven out of its memory.
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(writer.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
