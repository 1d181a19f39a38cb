from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.models.loading import LoadedModel, load_backbone
from merit_interp.models.processors import VideoProcessor, video_processor_for
from tests.tiny_models import TinyPair
from tests.videos_on_disk import tiny_video

CIRCLE, SQUARE, STAR = "the circle", "the square", "the star"


@pytest.fixture(scope="session")
def backbone(pair: TinyPair) -> LoadedModel:
    return load_backbone(pair.backbone)


@pytest.fixture(scope="session")
def processor(vlm: LoadedModel) -> VideoProcessor:
    return video_processor_for(vlm.directory, vlm.family)


@pytest.fixture(scope="session")
def item_file(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Eight items on three clips of 8, 5 and 8 frames; one clip is asked about in parts."""
    folder = tmp_path_factory.mktemp("items")
    for seed, (name, n_frames) in enumerate([("a", 8), ("b", 5), ("c", 8)]):
        tiny_video(folder / f"{name}.mp4", n_frames=n_frames, fps=4, seed=seed)
    three = (CIRCLE, SQUARE, STAR)
    colours = ("red", "green", "blue", "red and green")
    items = (
        Item("a0", "a.mp4", "What comes right after the circle?", three, 1, "reasoning"),
        Item("a1", "a.mp4", "Is it red?", ("yes", "no"), 0, "perception"),
        Item("a2", "a.mp4", "What comes first?", three, 2, "reasoning", start_s=0.5, end_s=1.5),
        Item("b0", "b.mp4", "Which colour is the square?", colours, 3, "perception"),
        Item("b1", "b.mp4", "What comes last of all that appears?", three, 0, "reasoning"),
        Item("c0", "c.mp4", "Which colour has the star?", colours, 2, "perception"),
        Item("c1", "c.mp4", "Does the star appear?", ("yes", "no"), 1, "perception"),
        Item("c2", "c.mp4", "What comes first?", three, 2, "reasoning", category="order"),
    )
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")


@pytest.fixture(scope="session")
def item_path(item_file: ItemFile) -> Path:
    return item_file.path
