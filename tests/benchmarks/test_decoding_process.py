"""The decoding child: it answers, it is ended, it dies with its parent, and another one starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from merit_interp.benchmarks.decoding_process import DecodingProcess
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import VideoError
from tests.videos_on_disk import tiny_video

ROOT = Path(__file__).parents[2]
REQUEST = FrameRequest(4)
LIMIT_S = 60.0

SPINS = """
def VideoReader(path, ctx):
    while True:  # this thread gives the interpreter's lock away; the next test's does not
        pass
"""
HOLDS_THE_LOCK = """
import ctypes
def VideoReader(path, ctx):
    while True:
        ctypes.PyDLL(None).sleep(3600)
"""
CRASHES = """
import ctypes, sys
def VideoReader(path, ctx):
    print("the last words", file=sys.stderr, flush=True)
    ctypes.string_at(0)
"""
CRASHES_LATE = """
import ctypes
calls = []
def VideoReader(path, ctx):
    if calls:
        ctypes.string_at(0)
    calls.append(path)
    raise DECORDError("no more")
"""
PRINTS = """
import sys
def VideoReader(path, ctx):
    print("to stdout " * 10_000, flush=True)
    print("to stderr " * 10_000, file=sys.stderr, flush=True)
    raise DECORDError("no more")
"""
FAKE = """
class DECORDError(Exception): ...
def cpu(number): ...
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return tiny_video(tmp_path / "clip.mp4")


@pytest.fixture
def process() -> Iterator[DecodingProcess]:
    one = DecodingProcess()
    yield one
    one.close()


def inject(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the child another decord."""
    (tmp_path / "injected").mkdir(exist_ok=True)
    (tmp_path / "injected" / "decord.py").write_text(FAKE + body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "injected"))


def is_gone(pid: int, *, within_s: float = 20.0) -> bool:
    """Whether a process ends in time; one that nobody has waited for counts as ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_it_gives_the_frames_that_this_process_reads(process: DecodingProcess, clip: Path) -> None:
    row, frames = process.ask(clip, REQUEST, limit_s=LIMIT_S)
    here = decode_video(clip, max_frames=4)
    assert (frames == here.frames).all()
    assert tuple(row["indices"]) == here.indices
    assert row["decoder"] == "decord"


def test_one_child_serves_many_videos(process: DecodingProcess, clip: Path) -> None:
    pids = set()
    for _ in range(3):
        process.ask(clip, REQUEST, limit_s=LIMIT_S)
        pids.add(process.pid)
    assert len(pids) == 1
    with pytest.raises(VideoError, match=r"gone\.mp4: No such file"):
        process.ask(clip.with_name("gone.mp4"), REQUEST, limit_s=LIMIT_S)
    assert process.pid in pids


def test_threads_take_turns(process: DecodingProcess, clip: Path) -> None:
    shapes = []

    def ask() -> None:
        shapes.append(process.ask(clip, REQUEST, limit_s=LIMIT_S)[1].shape)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == [(4, 32, 32, 3)] * 4


@pytest.mark.parametrize("body", [SPINS, HOLDS_THE_LOCK], ids=["spins", "holds the lock"])
def test_what_never_ends_is_ended_and_the_next_video_has_a_fresh_child(
    body: str, process: DecodingProcess, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as injected:
        inject(body, tmp_path, injected)
        with pytest.raises(VideoError, match=r"not decoded within 4 s; the decoder was stopped"):
            process.ask(clip, REQUEST, limit_s=4.0)
    assert process.pid is None
    assert process.ask(clip, REQUEST, limit_s=LIMIT_S)[1].shape == (4, 32, 32, 3)


def test_a_stopped_child_is_ended_too(process: DecodingProcess, clip: Path) -> None:
    process.ask(clip, REQUEST, limit_s=LIMIT_S)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(VideoError, match="not decoded within 1 s"):
        process.ask(clip, REQUEST, limit_s=1.0)
    assert is_gone(first)
    process.ask(clip, REQUEST, limit_s=LIMIT_S)


def test_a_child_that_died_unasked_is_replaced(process: DecodingProcess, clip: Path) -> None:
    process.ask(clip, REQUEST, limit_s=LIMIT_S)
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert is_gone(first)
    assert process.ask(clip, REQUEST, limit_s=LIMIT_S)[1].shape == (4, 32, 32, 3)
    assert process.pid != first


def test_a_crash_is_one_failed_video_with_the_last_words(
    process: DecodingProcess, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(CRASHES, tmp_path, monkeypatch)
    with pytest.raises(VideoError, match=r"the decoder died \(SIGSEGV\): the last words"):
        process.ask(clip, REQUEST, limit_s=LIMIT_S)


def test_a_crash_in_a_used_child_is_tried_again_in_a_fresh_one(
    process: DecodingProcess, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it dies of its second video, whichever that is: the first one's doing
    inject(CRASHES_LATE, tmp_path, monkeypatch)
    pids = set()
    for _ in range(3):
        assert process.ask(clip, REQUEST, limit_s=LIMIT_S)[1].shape == (4, 32, 32, 3)
        pids.add(process.pid)
    assert len(pids) == 3


def test_what_a_decoder_prints_blocks_nothing_and_is_a_problem(
    process: DecodingProcess, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(PRINTS, tmp_path, monkeypatch)
    row, frames = process.ask(clip, REQUEST, limit_s=LIMIT_S)
    assert frames.shape == (4, 32, 32, 3)
    assert row["decoder"] == "pyav"
    assert any(problem.startswith("to stdout") for problem in row["problems"])


PARENT = """
import os, signal, sys, threading, time
from pathlib import Path
from merit_interp.benchmarks.decoding_process import decoding_process
from merit_interp.benchmarks.sampling import FrameRequest
# a suite that a shell runs in the background inherits that Ctrl-C is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
process = decoding_process()
def tell():
    while process.pid is None:
        time.sleep(0.01)
    time.sleep(3)  # it is in the decoder by now
    print(process.pid, flush=True)
threading.Thread(target=tell, daemon=True).start()
process.ask(Path(sys.argv[1]), FrameRequest(4), limit_s=3600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_busy_child_dies_with_its_parent(
    number: signal.Signals, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject(HOLDS_THE_LOCK, tmp_path, monkeypatch)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(clip)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_gone(child, within_s=0.1)
        parent.send_signal(number)
        try:
            assert is_gone(child)
            parent.communicate(timeout=60)
        finally:
            parent.kill()
    assert parent.returncode != 0


def test_an_idle_child_dies_with_its_parent_and_the_parent_waits_for_none(clip: Path) -> None:
    code = PARENT.rpartition("process.ask")[0] + (
        "process.ask(Path(sys.argv[1]), FrameRequest(4), limit_s=60)\nprint(process.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(clip)], cwd=ROOT, capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    assert is_gone(int(done.stdout.split()[-1]))
    assert done.stderr == ""


def test_the_child_loads_no_torch() -> None:
    code = "import merit_interp.benchmarks.decoding_child, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
