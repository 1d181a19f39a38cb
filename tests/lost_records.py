"""Records taken from a finished run, as a disk or a person may, and what is said of it."""

from __future__ import annotations

import re
from pathlib import Path


def lose_records(path: Path, *, first: bool = False) -> str:
    """Take two fifths of a file's lines, the last or the first, and cut the line next to them.

    Returns:
        A pattern of what is said on reading the run.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    lost = max(1, len(lines) * 2 // 5)
    kept = lines[lost:] if first else lines[:-lost]
    torn = b"" if first else lines[-lost][: len(lines[-lost]) // 2]
    path.write_bytes(b"".join(kept) + torn)
    said = f"{path} holds {len(kept)} of {len(lines)} records: the run was changed after it ended"
    return re.escape(f"{said}; run it again with --resume")
