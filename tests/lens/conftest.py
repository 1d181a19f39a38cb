"""The tiny pair with items of several lengths, prepared once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from merit_interp.benchmarks.items import ItemFile
from merit_interp.lens.reads import Reads, read_batch
from merit_interp.lens.sites import Engine
from merit_interp.lens.token_kinds import token_kinds
from merit_interp.models.loading import LoadedModel, load_backbone
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation
from tests.masking.conftest import item_file, item_set, merge, recipe
from tests.tiny_models import TinyPair

__all__ = ["item_file", "item_set", "merge", "recipe"]

LETTER = Scoring(answers="letter", max_frames=4)
TEXT = Scoring(answers="option_text", max_frames=4)


@pytest.fixture(scope="session")
def lettered(vlm: LoadedModel, item_file: ItemFile) -> Evaluation:
    """Options of one token each."""
    return Evaluation(vlm, item_file, item_file.items, LETTER, batch_size=4)


@pytest.fixture(scope="session")
def spelled(vlm: LoadedModel, item_file: ItemFile) -> Evaluation:
    """Options of several tokens, so that an item has several rows."""
    return Evaluation(vlm, item_file, item_file.items, TEXT, batch_size=16)


@pytest.fixture(scope="session")
def backbone(pair: TinyPair) -> LoadedModel:
    return load_backbone(pair.backbone)


@pytest.fixture(scope="session")
def read_aloud(backbone: LoadedModel, item_file: ItemFile) -> Evaluation:
    """The backbone on transcripts."""
    items = [item for item in item_file.items if item.transcript is not None]
    return Evaluation(backbone, item_file, items, LETTER, batch_size=16, transcripts=True)


Read = Callable[[Engine, Evaluation], list[Reads]]


@pytest.fixture(scope="session")
def read() -> Read:
    """Every batch of an evaluation, read by an engine."""

    def every_batch(engine: Engine, evaluation: Evaluation) -> list[Reads]:
        kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
        return [read_batch(engine, evaluation, batch, kinds) for batch in evaluation.batches]

    return every_batch


@pytest.fixture
def unchanged(lettered: Evaluation, read_aloud: Evaluation) -> Iterator[None]:
    """Both models leave the test as they entered it, to the last hook and setting."""
    models = (lettered.model, read_aloud.model)
    for loaded in models:
        # transformers puts hooks of its own on at a model's first forward
        loaded.model(input_ids=torch.tensor([[7, 8, 9]]))
    before = [_state(loaded) for loaded in models]
    yield
    for loaded, (weights, rest) in zip(models, before, strict=True):
        after, rest_after = _state(loaded)
        assert rest == rest_after
        assert list(weights) == list(after)
        assert all(torch.equal(weights[name], after[name]) for name in weights)


def _state(loaded: LoadedModel) -> tuple[dict[str, Tensor], object]:
    weights = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    modules = {
        name: (type(module), len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in loaded.model.named_modules()
    }
    text = loaded.model.get_submodule(loaded.family.text_model)
    return weights, (modules, text.config._attn_implementation, loaded.model.training)
