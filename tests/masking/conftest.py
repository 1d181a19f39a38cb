from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.item_sets import ItemSet
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import ModelReference, Recipe, Scoring
from merit_interp.scoring.evaluation import Evaluation
from tests.tiny_models import TinyPair
from tests.videos_on_disk import tiny_video

OPTIONS = ("circle", "square", "star")


@pytest.fixture(scope="session")
def recipe(pair: TinyPair) -> Recipe:
    def reference(directory: Path) -> ModelReference:
        found = fingerprint(Checkpoint.open(str(directory)))
        return ModelReference(source=str(directory), fingerprint=found)

    layers = {1: 1.0, 2: {"q": 0.5, "v": 1.0}}
    return Recipe(vlm=reference(pair.vlm), backbone=reference(pair.backbone), layers=layers)


@pytest.fixture(scope="session")
def merge(vlm: LoadedModel, pair: TinyPair) -> InMemoryMerge:
    return InMemoryMerge(vlm, Checkpoint.open(str(pair.backbone)))


@pytest.fixture(scope="session")
def item_file(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Nine items on three clips, two of one length; most have a transcript."""
    folder = tmp_path_factory.mktemp("items")
    for seed, (name, n_frames) in enumerate([("a", 4), ("b", 3), ("c", 4)]):
        tiny_video(folder / f"{name}.mp4", n_frames=n_frames, fps=4, seed=seed)
    items = [
        Item(
            f"{video}{number}",
            f"{video}.mp4",
            question,
            OPTIONS,
            (number + shift) % 3,
            "reasoning" if number else "perception",
            category=("colour", "order", "order")[number],
            transcript=None if (video, number) == ("b", 2) else "red circle blue star.",
        )
        for shift, video in enumerate("abc")
        for number, question in enumerate(("Which is red?", "Which is first?", "Which is last?"))
    ]
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")


@pytest.fixture(scope="session")
def item_set(item_file: ItemFile) -> ItemSet:
    return ItemSet(item_file.path)


@pytest.fixture(scope="session")
def evaluation(vlm: LoadedModel, item_file: ItemFile) -> Evaluation:
    """Options of several tokens, so that an item has several rows."""
    scoring = Scoring(answers="option_text", max_frames=4)
    return Evaluation(vlm, item_file, item_file.items, scoring, batch_size=8)
