"""The hidden directory that a merge writes into, and those that killed merges left behind.

    with merged_directory(Path("merged")) as directory: ...

A merge that ends takes its directory away or gives it its name; one that is killed (SIGKILL, or the
machine goes down) can do neither and leaves gigabytes that nobody sees. So each holds a lock on a
file in its directory as long as it lives, and the next merge into the same place clears what
nobody holds. This file must not know what is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from merit_interp.record_files import directory_written_whole

HELD = ".merging"
"""The file that is locked; a directory without it is left alone, whoever made it."""


@contextlib.contextmanager
def merged_directory(out: Path) -> Iterator[Path]:
    """`directory_written_whole`, held for this process; what dead merges into `out` left is gone.

    Raises:
        RunError: As `directory_written_whole`.
    """
    clear_left_parts(out)
    # the lock outlives the move to the final name, so that nobody clears what is being moved
    with contextlib.ExitStack() as locks, directory_written_whole(out) as directory:
        held = directory / HELD
        # locked before it has its name, so that it is never seen unlocked
        unnamed = held.with_suffix(".new")
        file = locks.enter_context(unnamed.open("xb"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            unnamed.unlink()  # a file system without locks
        else:
            unnamed.rename(held)
        yield directory
        held.unlink(missing_ok=True)


def clear_left_parts(out: Path) -> None:
    """Delete the hidden directories of merges into `out` whose process is dead."""
    # as `directory_written_whole` names them
    name = re.compile(rf"\.{re.escape(out.name)}\.[a-z0-9_]{{8}}\.part")
    if not out.parent.is_dir():
        return
    for part in out.parent.iterdir():
        if not name.fullmatch(part.name):
            continue
        # an error: a process that lives holds it, or it is no merge's
        with contextlib.suppress(OSError), (part / HELD).open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(part, ignore_errors=True)
