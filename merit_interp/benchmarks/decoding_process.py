"""The child process that decodes, from its parent's side: started, asked, ended, started again.

    row, frames = decoding_process().ask(path, request, limit_s=60.0)

One child serves the whole process, since it decodes one video at a time and starts in a quarter of
a second. This file must not know items or what a reading means.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy import ndarray

import merit_interp
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.errors import VideoError

PIPE_BYTES = 2**20
QUOTED = 300
"""Characters of a dead decoder's last words."""


Filled = TypeVar("Filled", bytearray, memoryview)


class _Ended(Exception):  # noqa: N818
    """The child is no more."""


class DecodingProcess:
    """Starts a child when there is something to decode, and another one when that had to go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._printed: BinaryIO | None = None
        self._owner = os.getpid()

    def ask(
        self, path: Path, request: FrameRequest, *, limit_s: float, spent_s: float = 0.0
    ) -> tuple[dict[str, Any], ndarray]:
        """Have a video decoded.

        Args:
            path: The video.
            request: Which frames.
            limit_s: Seconds that it may take.
            spent_s: Seconds of these that are over already.

        Returns:
            (`Reading.to_row` with `seconds`, the frames).

        Raises:
            VideoError: It cannot be decoded, the time is over, or the decoder died of it.
        """
        asked = {"path": str(path.absolute()), "request": request.to_row()}
        return self._asked(path, asked, limit_s, spent_s)

    def key(self, path: Path, also: Sequence[str], *, limit_s: float) -> str | None:
        """Have a video's bytes read: what its frames are kept under, `frame_cache.content_key`.

        Args:
            path: The video.
            also: What else the frames depend on.
            limit_s: Seconds that it may take.

        Returns:
            None for what is no file, and for a file that cannot be read.

        Raises:
            VideoError: The time is over, or the child died.
        """
        asked = {"path": str(path.absolute()), "also": list(also)}
        key: str | None = self._asked(path, asked, limit_s, 0.0)[0]["key"]
        return key

    def _asked(
        self, path: Path, asked: dict[str, Any], limit_s: float, spent_s: float
    ) -> tuple[dict[str, Any], ndarray]:
        with self._lock:
            deadline = time.monotonic() + limit_s - spent_s
            try:
                if self._child is not None:
                    # what that one dies of may be an earlier video's doing: then a fresh one is
                    # asked, within the same time
                    with contextlib.suppress(_Ended):
                        return _checked(path, *self._answer(asked, deadline))
                return _checked(path, *self._answer(asked, deadline))
            except _Ended as ended:
                raise VideoError(f"{path}: the decoder died{ended}") from None
            except TimeoutError:
                raise VideoError(
                    f"{path}: not decoded within {limit_s:g} s; the decoder was stopped",
                    valid="a whole video file, or a higher --video-time-limit",
                ) from None

    def close(self) -> None:
        """End the child, if there is one; the next request starts another."""
        with self._lock:
            self._end()

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._child.pid if self._child else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():
            # forked: the child is the parent's
            self._child, self._owner = None, os.getpid()
        if self._child is not None and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._start()
        assert self._child is not None
        return self._child

    def _start(self) -> None:
        read_end, self._lifeline = os.pipe()
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the child)
        package = str(Path(merit_interp.__file__).parents[1])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "merit_interp.benchmarks.decoding_child",
                 str(read_end)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed,
                pass_fds=[read_end], env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                # Ctrl-C on a terminal is the parent's to answer
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(read_end)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._child.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[arg-type]

    def _answer(self, asked: dict[str, Any], deadline: float) -> tuple[dict[str, Any], ndarray]:
        """Ask the child that there is, or a new one; one that does not answer is ended.

        Raises:
            TimeoutError: The deadline came first.
            _Ended: The child died; says of what.
        """
        child = self._running()
        answered = False
        try:
            answer = self._exchange(child, asked, deadline)
            answered = True
        except (_Ended, BrokenPipeError):
            raise _Ended(self._last_words(child)) from None
        finally:
            # after Ctrl-C too: half an answer would be taken for the next one's
            if not answered:
                self._end()
        return answer

    def _exchange(
        self, child: subprocess.Popen[bytes], asked: dict[str, Any], deadline: float
    ) -> tuple[dict[str, Any], ndarray]:
        assert child.stdin is not None
        assert child.stdout is not None
        left = max(0.0, deadline - time.monotonic())
        child.stdin.write(json.dumps({**asked, "limit_s": left}).encode() + b"\n")
        child.stdin.flush()
        output = child.stdout.fileno()
        (size,) = struct.unpack("<Q", _received(output, bytearray(8), deadline))
        row = json.loads(_received(output, bytearray(size), deadline))
        frames = np.empty(row.get("shape", 0), dtype=np.uint8)
        _received(output, frames.reshape(-1).data, deadline)
        return row, frames

    def _last_words(self, child: subprocess.Popen[bytes]) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1.0)
        cause = ""
        if child.returncode is not None and child.returncode < 0:
            cause = f" ({signal.Signals(-child.returncode).name})"
        assert self._printed is not None
        size = os.fstat(self._printed.fileno()).st_size
        text = os.pread(self._printed.fileno(), QUOTED, max(0, size - QUOTED))
        lines = text.decode(errors="replace").strip().splitlines()
        return f"{cause}: {lines[-1]}" if lines else cause

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            for stream in (child.stdin, child.stdout):
                assert stream is not None
                # an unsent rest cannot be written any more
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
            # one that waits for a dead disk cannot be killed: it is left behind
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5.0)
        if self._printed is not None:
            self._printed.close()
            self._printed = None
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _checked(path: Path, row: dict[str, Any], frames: ndarray) -> tuple[dict[str, Any], ndarray]:
    if "problem" in row:
        problem = row["problem"].replace(str(path.absolute()), str(path), 1)
        raise VideoError(problem, valid=row["valid"])
    return row, frames


def _received(descriptor: int, buffer: Filled, deadline: float) -> Filled:
    """Fill the buffer.

    Raises:
        TimeoutError: The deadline came first.
        _Ended: The other end was closed.
    """
    rest = memoryview(buffer)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while rest:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
        count = os.readv(descriptor, [rest])
        if not count:
            raise _Ended
        rest = rest[count:]
    return buffer


@cache
def decoding_process() -> DecodingProcess:
    """The one of this process."""
    process = DecodingProcess()
    atexit.register(process.close)
    return process
