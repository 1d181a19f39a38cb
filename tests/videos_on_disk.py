"""Videos for tests: real mp4 files written by PyAV, frame directories, shared real clips."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared" / "data" / "videos"


def shared_video(name: str) -> Path:
    """A real clip that lies beside the repository; skips the test where it does not."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here: real clips lie beside the repository, not in it")
    return path


def frames_of_levels(n_frames: int, *, size: int = 32, seed: int = 0) -> np.ndarray:
    """Frames that codecs keep apart: frame i is grey of level 20 + i * 200 / n, with a square."""
    levels = 20 + np.arange(n_frames) * 200 // max(n_frames, 1)
    frames = np.broadcast_to(
        levels[:, None, None, None].astype(np.uint8), (n_frames, size, size, 3)
    ).copy()
    corners = np.random.default_rng(seed).integers(0, size // 2, (n_frames, 2))
    for frame, (y, x) in zip(frames, corners, strict=True):
        frame[y : y + size // 4, x : x + size // 4] = (200, 30, 60)
    return frames


def level_of(frame: np.ndarray, n_frames: int) -> int:
    """Which frame of `frames_of_levels` this is, read from its corner pixel."""
    return round((float(frame[-1, -1].mean()) - 20) * n_frames / 200)


def write_video(path: Path, frames: np.ndarray, *, fps: int = 4) -> Path:
    """A real H.264 mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "10", "g": "5"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def tiny_video(path: Path, *, n_frames: int = 8, fps: int = 4, seed: int = 0) -> Path:
    """A real mp4 of 32 x 32 pixels, like `frames_of_levels`."""
    return write_video(path, frames_of_levels(n_frames, seed=seed), fps=fps)


def write_frames(directory: Path, frames: np.ndarray) -> Path:
    """A directory of frames, named 1.png, 2.png, ..."""
    directory.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(directory / f"{number}.png")
    return directory


def encoded_video(
    path: Path,
    frames: np.ndarray,
    codec: str,
    *,
    fps: int = 10,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """A real video by any codec; skips the test where PyAV's build cannot write it."""
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV's build has no encoder {codec}")
    # x265 and SVT-AV1 talk to stderr by themselves
    quiet = {"libx265": {"x265-params": "log-level=none"}}.get(codec, {})
    given = options or {}
    joined = ":".join(part["x265-params"] for part in (quiet, given) if "x265-params" in part)
    every = {**given, **({"x265-params": joined} if joined else {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=every)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def lively_frames(
    n_frames: int, *, height: int = 96, width: int = 130, seed: int = 0
) -> np.ndarray:
    """Frames of moving coloured blocks, each unlike all others; large enough to be damaged."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
    whole = np.ones((8, 8, 1), np.uint8)
    frames = np.stack([np.kron(np.roll(blocks, i, axis=0), whole) for i in range(n_frames)])
    for i, frame in enumerate(frames):
        frame[:16, :16] = i * 5 % 256
    return frames[:, :height, :width]


def audio_file(path: Path, *, seconds: int = 1) -> Path:
    """An mp4 with sound and no picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(seconds * 16):
            tone = np.sin(np.arange(1024) / 20, dtype=np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def overwritten(path: Path, source: Path, *, start: float = 0.5, share: float = 0.1) -> Path:
    """A copy with random bytes in place of a share of it."""
    content = bytearray(source.read_bytes())
    first, count = int(len(content) * start), int(len(content) * share)
    content[first : first + count] = np.random.default_rng(0).bytes(count)
    path.write_bytes(content)
    return path
