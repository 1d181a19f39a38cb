"""How a clip looks: shapes drawn by PIL, one event a frame, written as real mp4 by PyAV.

    write_clip(clip, random.Random(0), SEARCH_LOOKS, Path("clip.mp4"))
    pixels = read_pixels(Path("clip.mp4"))     # (frames, 3, 32, 32) in [-1, 1], by decord

It must not know questions, tokens or models.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from merit_interp.microworld.world import Clip, Event

FRAME_SIZE = 96
FRAMES_PER_SECOND = 2
PIXEL_SIZE = 32
"""Side of a frame as the tower sees it."""
_SUPERSAMPLING = 3

COLOUR_VALUES: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (45, 80, 225),
    "yellow": (235, 215, 40),
    "purple": (150, 50, 180),
    "cyan": (60, 215, 225),
}

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Looks:
    """The ranges that a clip's looks are drawn from."""

    half_size: tuple[float, float]
    """Half the side of a shape's box, in frame pixels."""
    offset: tuple[float, float]
    """Distance of a shape's centre from the frame's, along each axis, in frame pixels."""
    grey: tuple[int, int]
    """Level of the background; one background a clip."""
    turn_degrees: float = 12.0
    """A shape is turned by up to this much either way."""


SEARCH_LOOKS = Looks(half_size=(25.0, 33.0), offset=(0.0, 7.0), grey=(95, 150))
"""The looks of the search set and of every held-out set but one."""
OTHER_LOOKS = (
    Looks(half_size=(20.0, 24.0), offset=(8.0, 12.0), grey=(45, 85)),
    Looks(half_size=(34.0, 37.0), offset=(3.0, 9.0), grey=(160, 190)),
)
"""Looks that search never sees: small ones on dark, large ones on light backgrounds."""
TRAINING_LOOKS = Looks(half_size=(19.0, 38.0), offset=(0.0, 13.0), grey=(40, 195))
"""The looks of training, wide enough for all of the above."""


def _arc(radius: float, start: float, end: float, steps: int, x: float = 0.0) -> Points:
    """Points of an arc about (x, 0), angles in degrees."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _star() -> Points:
    radii = (1.0, 0.42)
    angles = [math.radians(-90 + 36 * i) for i in range(10)]
    return [
        (radii[i % 2] * math.cos(angle), radii[i % 2] * math.sin(angle))
        for i, angle in enumerate(angles)
    ]


def _heart() -> Points:
    angles = [math.radians(6 * i) for i in range(60)]
    return [
        (
            math.sin(a) ** 3,
            -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16,
        )
        for a in angles
    ]


def _cross() -> Points:
    w = 0.33
    return [
        (-w, -1.0), (w, -1.0), (w, -w), (1.0, -w), (1.0, w), (w, w),
        (w, 1.0), (-w, 1.0), (-w, w), (-1.0, w), (-1.0, -w), (-w, -w),
    ]  # fmt: skip


_OUTLINES: dict[str, Callable[[], Points]] = {
    "circle": lambda: _arc(0.92, 0.0, 360.0, 48),
    "square": lambda: [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": lambda: [(0.0, -0.95), (0.95, 0.8), (-0.95, 0.8)],
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "diamond": lambda: [(0.0, -1.0), (0.7, 0.0), (0.0, 1.0), (-0.7, 0.0)],
    "moon": lambda: _arc(1.0, 60.0, 300.0, 36) + _arc(0.87, 270.0, 90.0, 24, x=0.5),
    "arrow": lambda: [
        (-1.0, -0.28), (0.1, -0.28), (0.1, -0.8), (1.0, 0.0), (0.1, 0.8), (0.1, 0.28), (-1.0, 0.28),
    ],
    "ring": lambda: _arc(0.95, 0.0, 360.0, 48),
    "hourglass": lambda: [(-0.8, -0.95), (0.8, -0.95), (-0.8, 0.95), (0.8, 0.95)],
    "chevron": lambda: [
        (-1.0, 0.1), (0.0, -0.75), (1.0, 0.1), (1.0, 0.75), (0.0, -0.1), (-1.0, 0.75),
    ],
}  # fmt: skip


def draw_event(event: Event, rng: random.Random, looks: Looks, grey: int) -> Image.Image:
    """Draws one event as a frame: an antialiased shape on a grey background."""
    half = rng.uniform(*looks.half_size)
    centre = [FRAME_SIZE / 2 + rng.choice((-1, 1)) * rng.uniform(*looks.offset) for _ in range(2)]
    centre = [min(max(c, half + 1), FRAME_SIZE - half - 1) for c in centre]
    angle = math.radians(rng.uniform(-looks.turn_degrees, looks.turn_degrees))
    colour = tuple(
        min(255, max(0, level + rng.randint(-10, 10))) for level in COLOUR_VALUES[event.colour]
    )

    def placed(points: Points, scale: float) -> Points:
        cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
        return [
            (
                (centre[0] + x * cosine - y * sine) * _SUPERSAMPLING,
                (centre[1] + x * sine + y * cosine) * _SUPERSAMPLING,
            )
            for x, y in points
        ]

    background = (grey, grey, grey)
    side = FRAME_SIZE * _SUPERSAMPLING
    image = Image.new("RGB", (side, side), background)
    pencil = ImageDraw.Draw(image)
    outline = _OUTLINES[event.shape]()
    pencil.polygon(placed(outline, half), fill=colour)
    if event.shape == "ring":
        pencil.polygon(placed(outline, 0.55 * half), fill=background)
    return image.reduce(_SUPERSAMPLING)


def draw_frames(clip: Clip, rng: random.Random, looks: Looks) -> list[NDArray[np.uint8]]:
    """Draws a clip's frames on one background, each (96, 96, 3)."""
    grey = rng.randint(*looks.grey)
    return [np.asarray(draw_event(event, rng, looks, grey)) for event in clip]


def write_video(frames: Iterable[NDArray[np.uint8]], path: Path) -> None:
    """Encodes frames as H.264 in mp4, two a second, at a quality that keeps shapes crisp."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FRAMES_PER_SECOND))
        stream.width = stream.height = FRAME_SIZE
        stream.pix_fmt = "yuv420p"
        # One thread: the same frames then give the same bytes.
        stream.codec_context.thread_count = 1
        stream.options = {"crf": "12", "preset": "veryfast", "bf": "0"}
        for array in frames:
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_clip(clip: Clip, rng: random.Random, looks: Looks, path: Path) -> None:
    """Draws a clip and writes it as a video."""
    write_video(draw_frames(clip, rng, looks), path)


def frame_span(index: int) -> tuple[float, float]:
    """When an event is on screen, in seconds."""
    return index / FRAMES_PER_SECOND, (index + 1) / FRAMES_PER_SECOND


def resize_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scales a frame to what the tower sees, as the saved preprocessor does (bicubic)."""
    image = Image.fromarray(frame).resize((PIXEL_SIZE, PIXEL_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(image)


def read_frames(path: Path) -> NDArray[np.uint8]:
    """Every frame of a video by decord, (frames, height, width, 3)."""
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    frames: NDArray[np.uint8] = reader.get_batch(list(range(len(reader)))).asnumpy()
    return frames


def read_pixels(path: Path) -> NDArray[np.float32]:
    """A video as the tower takes it, (frames, 3, 32, 32) in [-1, 1]."""
    return to_pixels(np.stack([resize_frame(frame) for frame in read_frames(path)]))


def to_pixels(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(..., height, width, 3) bytes to (..., 3, height, width) in [-1, 1]."""
    scaled = frames.astype(np.float32) / 127.5 - 1.0
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


def render_bank(
    events: Sequence[Event], looks_per_event: int, seed: int, scratch: Path
) -> NDArray[np.uint8]:
    """Frames for training, (events, looks, 32, 32, 3), each through a real mp4 and decord."""
    bank = np.empty((len(events), looks_per_event, PIXEL_SIZE, PIXEL_SIZE, 3), np.uint8)
    for column in range(looks_per_event):
        rng = random.Random(f"{seed} bank {column}")
        order = list(range(len(events)))
        rng.shuffle(order)
        grey = TRAINING_LOOKS.grey
        frames = [
            np.asarray(draw_event(events[i], rng, TRAINING_LOOKS, rng.randint(*grey)))
            for i in order
        ]
        write_video(frames, scratch)
        for i, frame in zip(order, read_frames(scratch), strict=True):
            bank[i, column] = resize_frame(frame)
    return bank
