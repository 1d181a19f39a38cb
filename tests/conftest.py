"""Shape annotations are checked while the suite runs; one tiny pair serves every room's tests."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MERIT_INTERP_CACHE", "")  # tests leave the user's cache alone

# before nnsight, which gives every object a `save` that the import of beartype does not survive
import beartype  # noqa: F401
from jaxtyping import install_import_hook

install_import_hook("merit_interp", "beartype.beartype")

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.tiny_models import TinyPair, tiny_pair

if TYPE_CHECKING:
    from merit_interp.models.loading import LoadedModel


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Tiny matrices gain nothing from threads, and two test processes share two cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> TinyPair:
    """A tiny VLM and its backbone on disk; read them, do not change them."""
    return tiny_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="session")
def vlm(pair: TinyPair) -> LoadedModel:
    """The tiny VLM, loaded; whoever changes its weights restores them."""
    from merit_interp.models.loading import load_vlm

    return load_vlm(pair.vlm)
