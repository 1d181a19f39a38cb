"""The process that decodes: reads requests from stdin, one JSON line each, and answers on stdout.

    python -P -m merit_interp.benchmarks.decoding_child LIFELINE

An answer is eight bytes with the length of a JSON object, the object, and the frames' bytes. A
request without `request` is for the name that the frames are kept under, for which the whole file
is read: disks may be slow or dead, so nothing of a video is read in the parent.

It is a process of its own since a decoder can turn for ever holding the interpreter's lock, or
crash (dmlc/decord issues 373, 363, 293). It starts in a quarter of a second: this file loads no
torch, and must not know items.

It dies with its parent: an idle one when stdin ends, a busy one by SIGIO from the lifeline, a pipe
that only the parent can write to, and in any case by the alarm that it sets for each video.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from merit_interp.benchmarks.frame_cache import content_key
from merit_interp.benchmarks.reading import read_video
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.errors import VideoError

GRACE_S = 5.0
"""Seconds after its time limit that a child whose parent did not end it ends itself."""
MOST_WARNINGS = 2**26
"""Bytes of what decoders print; a decoder in a loop would fill the disk."""
QUOTED_WARNINGS = 2**16


def main(lifeline: int) -> None:
    """Answer requests until there are no more."""
    _die_with_parent(lifeline)
    answers = _own_stdout()
    _limit_warnings()
    _print_what_libav_says()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, asked["limit_s"] + GRACE_S)
        path, frames = Path(asked["path"]), memoryview(b"")
        if "request" in asked:
            row, frames = _answer(path, FrameRequest.from_row(asked["request"]))
        else:
            row = {"key": _key(path, asked["also"])}
        head = json.dumps(row).encode()
        answers.write(struct.pack("<Q", len(head)) + head)
        answers.write(frames)
        answers.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)


def _die_with_parent(lifeline: int) -> None:
    for number in (signal.SIGIO, signal.SIGALRM):
        # the default action ends the process even while a decoder holds the interpreter's lock
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO, signal.SIGALRM})
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _own_stdout() -> BinaryIO:
    """Where answers go; what a library prints goes to stderr, among its warnings."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "wb")


def _limit_warnings() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = MOST_WARNINGS if most == resource.RLIM_INFINITY else min(MOST_WARNINGS, most)
    # what goes beyond is not written, and nothing ends: Python ignores SIGXFSZ
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))


def _print_what_libav_says() -> None:
    import av

    # PyAV keeps libav's messages to itself if not told
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)


def _key(path: Path, also: Sequence[str]) -> str | None:
    """Name of a video file's frames; None for what is no file, and for what cannot be read."""
    try:
        return content_key(path, *also) if path.is_file() else None
    except (OSError, ValueError):
        return None  # decoding says why


def _answer(path: Path, request: FrameRequest) -> tuple[dict[str, Any], memoryview]:
    started = time.monotonic()
    try:
        reading = read_video(path, request, _printed)
    except VideoError as error:
        return {"problem": error.problem, "valid": error.valid}, memoryview(b"")
    except MemoryError:
        problem = f"{path}: its frames do not fit into memory"
        return {"problem": problem, "valid": None}, memoryview(b"")
    seconds = round(time.monotonic() - started, 4)
    return {**reading.to_row(), "seconds": seconds}, reading.frames.reshape(-1).data


def _printed() -> str:
    """What was printed to stderr since the last call; stderr is a file."""
    text = os.pread(2, QUOTED_WARNINGS, 0).decode(errors="replace")
    with contextlib.suppress(OSError):
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
    return text


if __name__ == "__main__":
    main(int(sys.argv[1]))
