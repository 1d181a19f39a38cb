"""A tiny pair of each family, loaded once, and items on clips of several lengths and sizes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.benchmarks.videos import decode_video
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.models.processors import VideoProcessor, video_processor_for
from merit_interp.recipe import Scoring
from merit_interp.scoring.encoding import EncodedItem, encode_item
from merit_interp.tensor_shapes import Frames
from tests.tiny_families import FAMILIES, tiny_family_pair
from tests.tiny_models import TinyPair
from tests.videos_on_disk import frames_of_levels, write_video

CLIPS = {"wide": (8, 48, 64), "high": (5, 64, 32), "small": (8, 32, 32)}
"""Frames, height and width of each clip; all have 4 frames a second.

None is 48 wide: decord 0.6.0 takes three channels of that for four and fails.
"""
LETTER = Scoring(answers="letter", max_frames=8)
TEXT = Scoring(answers="option_text", max_frames=8)


@dataclass(frozen=True, eq=False)
class TinyFamily:
    """A family's pair on disk, and its VLM as the package loads it."""

    pair: TinyPair
    vlm: LoadedModel
    processor: VideoProcessor

    def encoded(self, item: Item, folder: Path, frames: Frames | None = None) -> EncodedItem:
        """An item with its pixels; on other frames of the same clip where given."""
        video = decode_video(
            folder / item.video, max_frames=8, start_s=item.start_s, end_s=item.end_s
        )
        if frames is not None:
            video = dataclasses.replace(video, frames=frames)
        return encode_item(self.vlm, self.processor, item, video, LETTER)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyFamily:
    """Each family in turn; whoever changes its weights restores them."""
    pair = tiny_family_pair(request.param, tmp_path_factory.mktemp(request.param))
    vlm = load_vlm(pair.vlm)
    return TinyFamily(pair, vlm, video_processor_for(vlm.directory, vlm.family))


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Seven items on three clips, one of which is asked about in a part too."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, (name, (n_frames, height, width)) in enumerate(CLIPS.items()):
        frames = frames_of_levels(n_frames, size=64, seed=seed)[:, :height, :width]
        write_video(folder / f"{name}.mp4", frames, fps=4)
    three = ("the circle", "the square", "the star")
    colours = ("red", "green", "blue", "red and green")
    items = (
        Item("w0", "wide.mp4", "What comes right after the circle?", three, 1, "reasoning"),
        Item("w1", "wide.mp4", "Is it red?", ("yes", "no"), 0, "perception"),
        Item("w2", "wide.mp4", "What comes first?", three, 2, "reasoning", start_s=0.5, end_s=1.5),
        Item("h0", "high.mp4", "Which colour is the square?", colours, 3, "perception"),
        Item("h1", "high.mp4", "What comes last of all that appears?", three, 0, "reasoning"),
        Item("s0", "small.mp4", "Which colour has the star?", colours, 2, "perception"),
        Item("s1", "small.mp4", "Does the star appear?", ("yes", "no"), 1, "perception"),
    )
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")
