"""Copies damaged at random: each is read or refused with a reason, and none stops the reading."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
import pytest

from merit_interp.benchmarks.decoding_process import DecodingProcess
from merit_interp.benchmarks.reading import read_video
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


def without_packets(whole: Path, path: Path, lost: set[int]) -> Path:
    """A copy with zeros in place of these packets, in the order of decoding."""
    content = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for number in lost:
        start, size = places[number]
        content[start : start + size] = bytes(size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("lost", [{16}, {19}, {29}], ids=["key frame", "early", "late"])
def test_what_is_made_from_damaged_frames_is_counted(lost: set[int], tmp_path: Path) -> None:
    """Every frame after a lost one is off until the next key frame, and none is missing."""
    options = {"g": "16", "bf": "0", "sc_threshold": "0"}
    whole = encoded_video(tmp_path / "a.mp4", lively_frames(80), "libx264", options=options)
    damaged = without_packets(whole, tmp_path / "b.mp4", lost)
    good, reading = (read_video(path, FrameRequest(80)) for path in (whole, damaged))
    (place,) = lost
    off = np.abs(good.frames.astype(int) - reading.frames).mean(axis=(1, 2, 3)) > 1
    assert off[place:32].all()
    assert not off[:place].any()
    assert not off[32:].any()
    assert reading.replaced + reading.doubtful == 32 - place
    assert reading.doubtful > 0


def test_a_video_of_frames_made_from_damaged_ones_has_failed(tmp_path: Path) -> None:
    frames = lively_frames(48)
    options = {"g": "48", "bf": "0", "sc_threshold": "0"}
    whole = encoded_video(tmp_path / "a.mp4", frames, "libx264", options=options)
    damaged = without_packets(whole, tmp_path / "b.mp4", {20})
    says = r"too damaged: 7 of 12 frames are made from damaged ones"
    with pytest.raises(VideoError, match=says):
        read_video(damaged, FrameRequest(12))
    # a bound that ends before the damage is good
    assert read_video(damaged, FrameRequest(12, end_s=1.5)).doubtful == 0
