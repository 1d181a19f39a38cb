from __future__ import annotations

from dataclasses import dataclass

import pytest

from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import LoadedModel, Placement, load_backbone, load_vlm
from merit_interp.recipe import ModelReference, Recipe
from tests.tiny_models import TinyPair, tiny_pair


@dataclass(frozen=True)
class Opened:
    """A pair in every form that the tests need."""

    directories: TinyPair
    vlm: Checkpoint
    backbone: Checkpoint
    loaded: LoadedModel
    loaded_backbone: LoadedModel
    identity: Recipe

    def recipe(self, **fields: object) -> Recipe:
        return self.identity.replaced(**fields)

    def merge(self, **settings: object) -> InMemoryMerge:
        return InMemoryMerge(self.loaded, self.backbone, **settings)


def opened(directories: TinyPair, placement: Placement) -> Opened:
    vlm, backbone = Checkpoint.open(directories.vlm), Checkpoint.open(directories.backbone)
    loaded = load_vlm(directories.vlm, placement=placement)
    identity = Recipe(
        vlm=loaded.reference(),
        backbone=ModelReference(source=backbone.source, fingerprint=fingerprint(backbone)),
    )
    loaded_backbone = load_backbone(directories.backbone, placement=placement)
    return Opened(directories, vlm, backbone, loaded, loaded_backbone, identity)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A float32 pair in one file a side; tests leave the model restored."""
    return opened(tiny_pair(tmp_path_factory.mktemp("whole")), Placement())


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A bfloat16 pair in many shards, embeddings untied; tests leave the model restored."""
    directories = tiny_pair(
        tmp_path_factory.mktemp("sharded"),
        dtype="bfloat16",
        max_shard_size="20KB",
        tie_word_embeddings=False,
    )
    return opened(directories, Placement(dtype="bfloat16"))
