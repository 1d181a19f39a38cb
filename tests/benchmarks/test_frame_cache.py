from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from merit_interp.benchmarks.frame_cache import SUFFIX, FrameCache, content_key
from merit_interp.models import file_digests

ROOT = Path(__file__).parents[2]


def frames(level: int, n: int = 4) -> np.ndarray:
    return np.full((n, 8, 8, 3), level, np.uint8)


def row(n: int = 4) -> dict[str, object]:
    return {"shape": [n, 8, 8, 3], "fps": 4.0}


def test_what_is_put_comes_back_and_can_be_written_to(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "new", 2**20)
    assert cache.get("a") is None
    cache.put("a", row(), frames(7))
    found = FrameCache(tmp_path / "new", 2**20).get("a")
    assert found is not None
    assert found[0] == row()
    assert (found[1] == 7).all()
    found[1][0] = 0


@pytest.mark.parametrize("damage", ["torn", "empty", "changed", "longer", "other file"])
def test_a_file_that_is_not_whole_is_thrown_away(tmp_path: Path, damage: str) -> None:
    cache = FrameCache(tmp_path, 2**20)
    cache.put("a", row(), frames(7))
    path = tmp_path / f"a{SUFFIX}"
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[-1] ^= 1
    path.write_bytes(
        {"torn": content[:-9], "empty": b"", "longer": content + b"x", "other file": b"x" * 99}.get(
            damage, bytes(content)
        )
    )
    assert cache.get("a") is None
    assert not path.exists()
    cache.put("a", row(), frames(7))
    assert cache.get("a") is not None


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Of a user who names the folder of the videos themselves."""
    (tmp_path / "holiday.mp4").write_bytes(b"x" * 5000)
    (tmp_path / "download.part").write_bytes(b"x" * 5000)
    cache = FrameCache(tmp_path, 2000)
    for number in range(4):
        cache.put(str(number), row(), frames(number))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"holiday.mp4", "download.part"} < names
    assert len(names) == 4  # two of ours fit


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    (tmp_path / "tmp1.frames.part").write_bytes(b"x" * 5000)
    os.utime(tmp_path / "tmp1.frames.part", (0, 0))
    FrameCache(tmp_path, 4000).put("a", row(), frames(1))
    assert [path.name for path in tmp_path.iterdir()] == [f"a{SUFFIX}"]


def test_those_not_used_for_longest_go(tmp_path: Path) -> None:
    size = 4 * 8 * 8 * 3 + 200
    cache = FrameCache(tmp_path, 4 * size)
    for number in range(4):
        cache.put(str(number), row(), frames(number))
        os.utime(tmp_path / f"{number}{SUFFIX}", (number, number))
    assert cache.get("0") is not None  # used now
    for number in range(4, 6):
        cache.put(str(number), row(), frames(number))
    left = {path.stem for path in tmp_path.iterdir()}
    assert {"0", "5"} <= left
    assert "1" not in left
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4 * size


def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path / "none", 100)
    cache.put("a", row(), frames(7))
    assert not (tmp_path / "none").exists()


def test_a_directory_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = FrameCache(tmp_path / "file", 2**20)
    cache.put("a", row(), frames(7))
    assert cache.get("a") is None


def test_the_key_is_the_content_and_what_else_matters(tmp_path: Path) -> None:
    one, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    assert content_key(one, "x") == content_key(other, "x") != content_key(one, "y")
    os.utime(one, (1, 1))
    assert content_key(one, "x") == content_key(other, "x")
    other.write_bytes(b"else")
    os.utime(other, (2, 2))  # two writes of a test may have one time
    assert content_key(one, "x") != content_key(other, "x")


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the next run: the bytes of a benchmark's videos are hundreds of gigabytes."""
    video = tmp_path / "a.mp4"
    video.write_bytes(b"frames")
    monkeypatch.setenv("MERIT_INTERP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "SETTLED_NS", 0)
    key = content_key(video, "x")
    file_digests._in_process.clear()  # as in another process
    opened = []
    opens = Path.open
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: opened.append(p) or opens(p, *a, **k))
    assert content_key(video, "x") == key
    assert video not in opened
    video.write_bytes(b"others")
    os.utime(video, (2, 2))
    assert content_key(video, "x") != key
    assert video in opened


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from merit_interp.benchmarks.frame_cache import FrameCache
cache = FrameCache(Path(sys.argv[1]), 6000)
for turn in range(300):
    key = str(turn % 12)
    found = cache.get(key)
    if found is None:
        frames = np.full((4, 8, 8, 3), turn % 12, np.uint8)
        cache.put(key, {"shape": [4, 8, 8, 3]}, frames)
    else:
        assert (found[1] == turn % 12).all()
"""


def test_two_processes_share_it(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT) for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    assert not list(tmp_path.glob("*.part"))
