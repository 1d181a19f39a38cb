"""TransformerLens and the modules themselves read the same, nothing is installed or changed."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path

import pytest
import torch

from merit_interp.errors import CheckpointError
from merit_interp.lens.bridge import BridgeEngine, bridge_engine, is_bridgeable, never_installing
from merit_interp.lens.model_reading import HeadStates, ReadModel, chosen_engine, read_model
from merit_interp.lens.module_engine import eager_attention, module_engine
from merit_interp.lens.sites import KINDS, Site
from merit_interp.lens.token_kinds import token_kinds
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.scoring.evaluation import Evaluation
from tests.lens.conftest import Read
from tests.tiny_families import tiny_family_pair


def installed() -> set[tuple[str, str]]:
    return {(found.name, found.version) for found in importlib.metadata.distributions()}


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts a program, pip say, fails."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a program was started: {args}")

    for name in ("check_call", "run", "Popen"):
        monkeypatch.setattr(subprocess, name, refuse)


@pytest.mark.usefixtures("unchanged", "no_processes")
@pytest.mark.parametrize("model", ["lettered", "spelled", "read_aloud"])
def test_both_engines_read_what_transformers_computes(
    model: str, request: pytest.FixtureRequest, read: Read
) -> None:
    evaluation: Evaluation = request.getfixturevalue(model)
    loaded = evaluation.model
    versions, before = torch.__version__, installed()
    with bridge_engine(loaded) as bridge:
        bridged = read(bridge, evaluation)
    with module_engine(loaded) as modules:
        plain = read(modules, evaluation)
    assert torch.__version__ == versions
    assert installed() == before
    for batch, one, other in zip(evaluation.batches, bridged, plain, strict=True):
        with eager_attention(loaded), torch.no_grad():
            own = loaded.model(**evaluation.batch_inputs(batch)).logits
        torch.testing.assert_close(one.logits, own, atol=1e-5, rtol=0)
        torch.testing.assert_close(other.logits, own, atol=0, rtol=0)
        # five sites a layer and the final norm, every one of which fired
        assert one.hooks == other.hooks == 5 * loaded.n_layers + 1
        for name in ("states", "heads", "attention", "mlps", "shares"):
            found, wanted = getattr(one, name), getattr(other, name)
            assert len(found) == len(wanted) == loaded.n_layers + (name == "states")
            for a, b in zip(found, wanted, strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_transformer_lens_cannot_install_torchvision(no_processes: None) -> None:
    from transformer_lens.model_bridge.sources.transformers import helpers

    before = helpers._ensure_torchvision
    with never_installing():
        assert helpers._ensure_torchvision() is False
    assert helpers._ensure_torchvision is before


def test_a_hook_that_does_not_fire_is_refused(
    lettered: Evaluation, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = lettered.model
    with bridge_engine(loaded) as engine:
        assert {site.kind for site in engine.sites} == set(KINDS)
        never_called = engine._bridge.hook_dict["blocks.0.hook_mlp_in"]
        monkeypatch.setitem(engine._points, Site("mlp", 2), never_called)
        with pytest.raises(CheckpointError, match="'mlp' of layer 2 fired 0 times"):
            read(engine, lettered)


def test_a_missing_hook_is_named(vlm: LoadedModel) -> None:
    class Bridge:
        hook_dict: dict[str, object] = {}  # noqa: RUF012

    with pytest.raises(CheckpointError, match=r"has no hook blocks\.0\.attn\.hook_pattern"):
        BridgeEngine(Bridge(), vlm.n_layers, vlm.source)


@pytest.mark.usefixtures("unchanged")
def test_other_logits_than_transformers_are_refused(lettered: Evaluation) -> None:
    loaded = lettered.model
    kinds = {index: token_kinds(lettered, index) for index in lettered.encoded}
    model = ReadModel("vlm", lettered, kinds, HeadStates({}))
    written: list[object] = []
    with bridge_engine(loaded) as engine:
        copy = engine._bridge.original_model
        with torch.no_grad():
            next(copy.lm_head.parameters()).mul_(1.01)
        with pytest.raises(CheckpointError, match=r"differ from transformers' logits by 0\.\d+"):
            read_model(model, engine, why="", write=written.append)
    assert not written


@pytest.mark.parametrize(
    ("name", "engine", "why"),
    [
        ("llava_onevision", "transformer_lens", ""),
        ("qwen2_vl", "modules", "no adapter for Qwen2VLForConditionalGeneration"),
        ("qwen3_vl", "modules", "torchvision"),
    ],
)
def test_families_that_transformer_lens_lacks(
    name: str, engine: str, why: str, tmp_path: Path, no_processes: None
) -> None:
    loaded = load_vlm(tiny_family_pair(name, tmp_path).vlm)
    with chosen_engine(loaded, "auto") as (found, reason):
        assert found.name == engine
        assert why in reason
        assert "install" not in reason
    if engine == "transformer_lens":
        assert is_bridgeable(loaded)
        with chosen_engine(loaded, "modules") as (found, reason):
            assert (found.name, reason) == ("modules", "")
        return
    with (
        pytest.raises(CheckpointError, match="TransformerLens cannot bridge"),
        chosen_engine(loaded, "transformer_lens"),
    ):
        pass
