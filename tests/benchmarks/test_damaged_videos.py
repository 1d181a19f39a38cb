"""Copies damaged at random: each is read or refused with a reason, and none stops the reading."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from merit_interp.benchmarks.decoding_process import DecodingProcess
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.errors import VideoError
from tests.videos_on_disk import encoded_video, lively_frames

FILES = {"a.mp4": "libx264", "a.mkv": "libx264", "a.ts": "libx264", "a.webm": "libvpx-vp9"}
KINDS = ("cut", "overwritten", "flipped", "put in")


def damaged(content: bytes, kind: str, rng: random.Random) -> bytes:
    bad = bytearray(content)
    place = rng.randrange(1, len(bad))
    if kind == "cut":
        return bytes(bad[:place])
    if kind == "put in":
        bad[place:place] = rng.randbytes(rng.randrange(1, 200))
    elif kind == "flipped":
        for _ in range(rng.randrange(1, 20)):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    else:
        length = min(rng.randrange(1, len(bad) // 4), len(bad) - place)
        bad[place : place + length] = rng.randbytes(length)
    return bytes(bad)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    frames = lively_frames(24)
    whole = encoded_video(tmp_path / name, frames, FILES[name], options={"g": "8"})
    rng = random.Random(name)
    process = DecodingProcess()
    outcomes = set()
    refusals = []
    for number in range(24):
        path = tmp_path / f"{number}{whole.suffix}"
        path.write_bytes(damaged(whole.read_bytes(), KINDS[number % 4], rng))
        try:
            row, pixels = process.ask(path, FrameRequest(8), limit_s=60.0)
        except VideoError as error:
            outcomes.add("refused")
            refusals.append((error.problem, path))
        else:
            assert pixels.shape == (len(row["indices"]), *frames.shape[1:])
            outcomes.add("damaged" if row["problems"] else "read")
    process.close()
    assert {"refused", "damaged"} <= outcomes
    assert all(problem.startswith(f"{path}: ") for problem, path in refusals)
    assert not [problem for problem, _ in refusals if "decoder died" in problem]
