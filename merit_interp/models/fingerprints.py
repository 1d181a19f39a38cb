"""Digests that tie a recipe to the exact weights and items that it was found on.

    fingerprint(checkpoint)    # "sha256:..." over config and weights

A fingerprint does not depend on where the directory lies. This file must not know what the weights
mean.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.checkpoint_files import CONFIG, Checkpoint


def fingerprint(checkpoint: Checkpoint) -> str:
    """Digest of a checkpoint's config.json and of every weight file's bytes.

    Files are streamed, about a second per GiB, and digested again only when they have changed.

    Raises:
        CheckpointError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in (checkpoint.directory / CONFIG, *checkpoint.files):
        try:
            stat = path.stat()
            content = _unchanged_digest(path, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
        digest.update(f"{path.name}\0{content}\0".encode())
    return f"sha256:{digest.hexdigest()}"


@functools.cache
def _unchanged_digest(path: Path, size: int, modified_ns: int) -> str:
    """Digest of a file; size and time are the cache's key, so that a changed file is read again."""
    return _file_digest(path)


def items_digest(path: Path) -> str:
    """SHA-256 of an items file's bytes, in hexadecimal.

    Raises:
        ItemError: The file cannot be read.
    """
    try:
        return _file_digest(path)
    except OSError as error:
        raise ItemError(f"cannot read {path}: {error.strerror}") from None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
