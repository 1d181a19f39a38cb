from __future__ import annotations

import pytest

from tests.tiny_models import TinyPair, tiny_pair


@pytest.fixture(scope="session")
def pair_on_disk(tmp_path_factory: pytest.TempPathFactory) -> TinyPair:
    """A float32 pair in one file a side; tests must not write into it."""
    return tiny_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="session")
def sharded_pair(tmp_path_factory: pytest.TempPathFactory) -> TinyPair:
    """A bfloat16 pair in many shards; tests must not write into it."""
    return tiny_pair(tmp_path_factory.mktemp("sharded"), dtype="bfloat16", max_shard_size="20KB")
