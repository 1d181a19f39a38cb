"""What a process of its own costs for each video, and what kept frames save."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from merit_interp.benchmarks.decoding import Decoder
from merit_interp.benchmarks.decoding_process import DecodingProcess
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.reading import read_video
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.microworld.item_sets import write_item_sets
from tests.videos_on_disk import SHARED

REQUEST = FrameRequest(16)


def seconds_of(decode: Callable[[Path], object], clips: list[Path]) -> float:
    started = time.perf_counter()
    for clip in clips:
        decode(clip)
    return time.perf_counter() - started


@pytest.mark.benchmark
def test_a_child_against_this_process(tmp_path: Path) -> None:
    write_item_sets(tmp_path / "items", seed=0, sizes={"search": 160})
    clips = sorted((tmp_path / "items").rglob("*.mp4"))
    process = DecodingProcess()
    kept = Decoder(DecodingSettings(cache=tmp_path / "cache"))
    ways: dict[str, Callable[[Path], object]] = {
        "in this process": lambda clip: read_video(clip, REQUEST),
        "in a child": lambda clip: process.ask(clip, REQUEST, limit_s=60.0),
        "kept before": lambda clip: kept.read(clip, REQUEST),
    }
    started = time.perf_counter()
    process.ask(clips[0], REQUEST, limit_s=60.0)
    print(f"\nfirst video with its child: {time.perf_counter() - started:.2f} s")
    seconds_of(ways["kept before"], clips)
    for name, decode in ways.items():
        best = min(seconds_of(decode, clips) for _ in range(3))
        print(
            f"{len(clips)} demo clips {name}: {best:.2f} s, {best / len(clips) * 1e3:.1f} ms each"
        )
    large = SHARED / "nasa_13013.mp4"
    if large.exists():
        for name, decode in ways.items():
            decode(large)
            best = min(seconds_of(decode, [large]) for _ in range(5))
            print(f"16 of 390 frames of 480 x 270 {name}: {best * 1e3:.0f} ms")
    process.close()
