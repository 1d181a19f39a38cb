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
from merit_interp.models.checkpoint_files import Checkpoint


@functools.cache
def fingerprint(checkpoint: Checkpoint) -> str:
    """Digest of a checkpoint's config.json and of every weight file's bytes.

    Files are streamed, about a second per GiB; one opened checkpoint is digested once.

    Raises:
        CheckpointError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in (checkpoint.directory / "config.json", *checkpoint.files):
        try:
            digest.update(f"{path.name}\0{_file_digest(path)}\0".encode())
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    return f"sha256:{digest.hexdigest()}"


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
