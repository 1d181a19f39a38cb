"""Videos that are no video files: directories of pictures, and arrays of frames.

    source = open_frames(Path("frames/"), fps=3.0)
    source.read([0, 7])

`Source` is what every kind of video becomes. This file loads no torch and no decoder.
"""

from __future__ import annotations

import itertools
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from merit_interp.errors import VideoError

FRAME_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
MOST_BY_NUMBER = 2
"""Frames that numbers may promise for each that is there; with more they are no count of frames."""


@dataclass(frozen=True)
class ReadFrames:
    """Frames of a source."""

    frames: ndarray
    """(frames, height, width, 3) RGB."""
    replaced: int = 0
    """How many of them are the nearest frame that could be decoded, not the one asked for."""
    problems: tuple[str, ...] = ()
    """What was seen to be wrong with them."""
    doubtful: int = 0
    """How many of the others are made from frames that were lost."""


@dataclass(frozen=True)
class Source:
    """An opened video: when each of its frames is shown, and how to read some of them."""

    spans_s: ndarray
    """(frames, 2) start and end of each frame, in seconds."""
    fps: float
    decoder: str
    """What reads it: `decord`, `pyav`, `frames` or `array`."""
    read: Callable[[Sequence[int]], ReadFrames]
    counts_from: int = 0
    """Number of its first frame by which MVBench finds the frames of a bound."""


def even_spans(n_frames: int, fps: float) -> ndarray:
    """(frames, 2) spans of frames that all last equally long."""
    edges = np.arange(n_frames + 1) / fps
    return np.stack([edges[:-1], edges[1:]], axis=1)


def open_frames(path: Path, fps: float | None) -> Source:
    """A directory of frames, in the order of their numbers.

    A number that is missing in an even count is a frame that is missing: its time stays, and the
    nearest frame that is there is given in its place.

    Raises:
        VideoError: It holds none, or nobody says how fast they are shown.
    """
    names = sorted(
        # hidden ones are what macOS puts beside each file of an archive
        (
            file
            for file in path.iterdir()
            if file.suffix.lower() in FRAME_SUFFIXES and not file.name.startswith(".")
        ),
        key=lambda file: [
            int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)
        ],
    )
    if not names:
        raise VideoError(
            f"{path}: the directory holds no frames",
            valid=f"images named by number ({', '.join(sorted(FRAME_SUFFIXES))})",
        )
    if not fps:
        raise VideoError(
            f"{path}: a directory of frames does not know its rate", valid="an item with fps"
        )

    places = _places_by_number([file.stem for file in names])
    n_frames = len(names) if places is None else places[-1] + 1
    problems: tuple[str, ...] = ()
    if n_frames > MOST_BY_NUMBER * len(names):
        problems = (
            f"the numbers of its {len(names)} frames leave out {n_frames - len(names)}; "
            "they are timed by their order",
        )
    elif n_frames > len(names):
        problems = (f"{n_frames - len(names)} of {n_frames} frames are missing by their numbers",)
    if places is None or n_frames > MOST_BY_NUMBER * len(names):
        places, n_frames = list(range(len(names))), len(names)
    file_at = dict(zip(places, names, strict=True))

    def read(indices: Sequence[int]) -> ReadFrames:
        nearest = [min(places, key=lambda place: (abs(place - i), place)) for i in indices]
        frames = [_read_picture(file_at[place]) for place in nearest]
        sizes = {frame.shape for frame in frames}
        if len(sizes) > 1:
            raise VideoError(f"{path}: its frames have {len(sizes)} sizes", valid="one size")
        replaced = sum(i != place for i, place in zip(indices, nearest, strict=True))
        return ReadFrames(np.stack(frames), replaced, problems)

    return Source(even_spans(n_frames, fps), fps, "frames", read, counts_from=1)


def _places_by_number(stems: Sequence[str]) -> list[int] | None:
    """Place of each frame in the video, from 0, by its number; None where numbers do not count.

    Args:
        stems: Names without suffix, in the order of their numbers. They count where they end in
            numbers, are the same but for these, and every step is a multiple of the commonest one.
    """
    parts = [re.fullmatch(r"(.*?)([0-9]+)", stem) for stem in stems]
    numbers = [int(part[2]) for part in parts if part is not None]
    if len(numbers) < len(stems) or len({part[1] for part in parts if part is not None}) > 1:
        return None
    steps = Counter(other - one for one, other in itertools.pairwise(numbers))
    if not steps or min(steps) <= 0:
        return None
    commonest = min(steps, key=lambda step: (-steps[step], step))
    if any(step % commonest for step in steps):
        return None
    return [(number - numbers[0]) // commonest for number in numbers]


def _read_picture(path: Path) -> ndarray:
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                # Pillow would make white of all that is above 255
                raise VideoError(f"{path}: a frame of mode {image.mode}", valid="8 bits a channel")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise VideoError(f"{path}: the frame cannot be read: {error}") from None


def open_array(path: Path, fps: float | None) -> Source:
    """Frames in a file of numpy's: `.npy`, or `.npz` with `frames` and, if it knows it, `fps`.

    Raises:
        VideoError: It is no such file, its frames are not (n, height, width, 3) uint8, or nobody
            says how fast they are shown.
    """
    try:
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                file.seek(0)
                # a pickle could run code
                content = np.load(file, allow_pickle=False)
                frames: ndarray = content["frames"]
                fps = fps or (float(content["fps"]) if "fps" in content else None)
            else:
                frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except KeyError:
        raise VideoError(f"{path}: holds no `frames`", valid="frames and fps") from None
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise VideoError(f"{path}: the array cannot be read: {error}") from None
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise VideoError(
            f"{path}: an array of {frames.dtype} {frames.shape}",
            valid="uint8 of (frames, height, width, 3)",
        )
    if not fps or not 0 < fps < math.inf:
        raise VideoError(f"{path}: the array does not know its rate", valid="an item with fps")
    return Source(
        even_spans(len(frames), fps),
        fps,
        "array",
        lambda indices: ReadFrames(np.ascontiguousarray(frames[list(indices)])),
    )
