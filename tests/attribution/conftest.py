from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.attribution.video_items import VideoItems, VideoSettings
from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import ItemsReference, ModelReference, Recipe, Scoring
from tests.tiny_models import TinyPair
from tests.videos_on_disk import tiny_video

N_FRAMES = 4
SCORING = Scoring(answers="letter", max_frames=N_FRAMES)


@pytest.fixture(scope="session")
def item_file(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Six items on four clips of 4 frames at 4 frames per second, and one clip of 3 frames."""
    folder = tmp_path_factory.mktemp("attribution-items")
    for seed, name in enumerate("abcd"):
        tiny_video(folder / f"{name}.mp4", n_frames=N_FRAMES, fps=4, seed=seed)
    tiny_video(folder / "e.mp4", n_frames=3, fps=4, seed=9)
    three = ("the circle", "the square", "star")
    last, third = ((0.75, 1.0),), ((0.5, 0.75),)
    items = (
        Item("a0", "a.mp4", "Which comes after?", three, 1, "reasoning", evidence=((0.0, 0.5),)),
        Item("a1", "a.mp4", "Is it red?", ("yes", "no"), 0, "perception", evidence=last),
        Item("b0", "b.mp4", "Which is first?", three, 2, "reasoning", evidence=((0.0, 0.25),)),
        Item("c0", "c.mp4", "Is the star green?", ("yes", "no"), 1, "perception", evidence=third),
        Item("d0", "d.mp4", "Which is last?", three, 0, "reasoning", evidence=((5.0, 6.0),)),
        Item("e0", "e.mp4", "Is it blue?", ("yes", "no"), 0, "perception"),
    )
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")


@pytest.fixture(scope="session")
def videos(vlm: LoadedModel, item_file: ItemFile) -> VideoItems:
    return VideoItems(vlm, item_file, item_file.items, "all", VideoSettings(SCORING))


@pytest.fixture(scope="session")
def recipe(pair: TinyPair, item_file: ItemFile) -> Recipe:
    def reference(directory: Path) -> ModelReference:
        return ModelReference(
            source=str(directory), fingerprint=fingerprint(Checkpoint.open(directory))
        )

    return Recipe(
        vlm=reference(pair.vlm),
        backbone=reference(pair.backbone),
        layers={1: 0.5, 3: 1.0},
        items=ItemsReference(
            source=str(item_file.path),
            sha256=items_digest(item_file.path),
            split="all",
            scoring=SCORING,
        ),
    )
