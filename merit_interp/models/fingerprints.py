"""Digests that tie a recipe to the exact weights and items that it was found on.

    fingerprint(checkpoint)    # "sha256:..." over config and weights

A fingerprint does not depend on where the directory lies. This file must not know what the weights
mean.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.checkpoint_files import CONFIG, Checkpoint
from merit_interp.models.file_digests import file_digest, known_digest
from merit_interp.recipe import ModelReference


def fingerprint(checkpoint: Checkpoint, *, stop: threading.Event | None = None) -> str:
    """Digest of a checkpoint's config.json and of every weight file's bytes.

    Files are streamed, about a second per GiB, and read again only when they have changed
    (`models.file_digests` says how that is known).

    Args:
        checkpoint: Whose.
        stop: When set, a reading in progress ends with `file_digests.Stopped`.

    Raises:
        CheckpointError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in _fingerprinted(checkpoint):
        try:
            content = file_digest(path, stop=stop)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
        digest.update(f"{path.name}\0{content}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def is_fingerprinted(checkpoint: Checkpoint) -> bool:
    """Whether its fingerprint is known without reading its weights."""
    try:
        return all(known_digest(path) for path in checkpoint.files)
    except OSError as error:
        raise CheckpointError(f"cannot read {checkpoint.source}: {error.strerror}") from None


@contextlib.contextmanager
def fingerprinted_meanwhile(*checkpoints: Checkpoint) -> Iterator[Callable[[Checkpoint], str]]:
    """Read checkpoints in another thread while the block runs; a block that fails stops it.

    Yields:
        Gives the fingerprint of one of the checkpoints; waits until it is there.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        futures = {id(one): thread.submit(fingerprint, one, stop=stop) for one in checkpoints}
        try:
            yield lambda checkpoint: futures[id(checkpoint)].result()
        finally:
            stop.set()


def _fingerprinted(checkpoint: Checkpoint) -> tuple[Path, ...]:
    return (checkpoint.directory / CONFIG, *checkpoint.files)


def reference_to(checkpoint: Checkpoint) -> ModelReference:
    """What a recipe writes down of a checkpoint; reads files as `fingerprint` does."""
    return ModelReference(
        source=checkpoint.source,
        revision=checkpoint.revision,
        fingerprint=fingerprint(checkpoint),
    )


def items_digest(path: Path) -> str:
    """SHA-256 of an items file's bytes, in hexadecimal.

    Raises:
        ItemError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ItemError(f"cannot read {path}: {error.strerror}") from None
