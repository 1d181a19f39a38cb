"""A tiny real pair and items on real videos, shared by the tests of this room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, write_items
from tests.tiny_models import tiny_pair
from tests.videos_on_disk import tiny_video


@dataclass(frozen=True)
class World:
    """Paths of a pair and its items."""

    vlm: str
    backbone: str
    items: Path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """12 videos of 3 frames, a reasoning and a perception item on each."""
    root = tmp_path_factory.mktemp("search_world")
    pair = tiny_pair(root)
    items = []
    for number in range(12):
        video = tiny_video(root / f"{number}.mp4", n_frames=3, seed=number)
        for skill in ("reasoning", "perception"):
            items.append(
                Item(
                    id=f"{skill} {number}",
                    video=video.name,
                    question=f"Which shape comes {'after' if skill == 'reasoning' else 'first'}?",
                    options=("the circle", "the square", f"the star {number}"),
                    answer=number % 3,
                    skill=skill,
                )
            )
    write_items(root / "items.jsonl", items)
    return World(str(pair.vlm), str(pair.backbone), root / "items.jsonl")
