from __future__ import annotations

from pathlib import Path

import pytest
import torch

from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import BACKBONE_FAMILIES, VLM_FAMILIES
from merit_interp.models.loading import load_backbone, load_vlm
from merit_interp.models.text_tensors import text_tensors
from tests.models.edited_checkpoints import Tensors, with_key_prefix, with_tensors
from tests.tiny_models import N_LAYERS, TinyPair

LLAVA = VLM_FAMILIES["llava_onevision"]
QWEN2 = BACKBONE_FAMILIES["qwen2"]


@pytest.mark.parametrize("prefix", LLAVA.disk_layers)
def test_every_tensor_on_disk_is_the_modules_own_in_memory(
    pair_on_disk: TinyPair, tmp_path: Path, prefix: str
) -> None:
    directory = with_key_prefix(
        pair_on_disk.vlm,
        tmp_path / "vlm",
        "language_model.model.",
        prefix.removesuffix("layers"),
    )
    checkpoint, loaded = Checkpoint.open(directory), load_vlm(directory)
    keys, parameters = text_tensors(checkpoint, LLAVA), loaded.text_parameters()
    assert set(keys) == set(parameters)
    for tensor, key in keys.items():
        assert key.startswith(f"{prefix}.{tensor.layer}.")
        assert torch.equal(checkpoint.tensor(key), parameters[tensor])


def test_a_backbones_too(pair_on_disk: TinyPair) -> None:
    checkpoint = Checkpoint.open(pair_on_disk.backbone)
    parameters = load_backbone(pair_on_disk.backbone).text_parameters()
    keys = text_tensors(checkpoint, QWEN2)
    assert set(keys) == set(parameters)
    assert all(torch.equal(checkpoint.tensor(keys[t]), p) for t, p in parameters.items())


def test_layers_come_in_the_order_of_their_numbers(pair_on_disk: TinyPair) -> None:
    tensors = text_tensors(Checkpoint.open(pair_on_disk.vlm), LLAVA)
    layers = [tensor.layer for tensor in tensors]
    assert layers == sorted(layers)
    assert set(layers) == set(range(N_LAYERS))


def test_keys_under_an_unknown_prefix_are_refused(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    directory = with_key_prefix(
        pair_on_disk.vlm, tmp_path / "vlm", "language_model.model.", "llm.model."
    )
    with pytest.raises(CheckpointError, match=r"no known prefix; valid: one of language_model"):
        text_tensors(Checkpoint.open(directory), LLAVA)


def test_keys_under_two_prefixes_are_refused(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    def twice(tensors: Tensors) -> Tensors:
        extra = tensors["language_model.model.layers.0.mlp.up_proj.weight"].clone()
        return {**tensors, "model.language_model.layers.0.mlp.up_proj.weight": extra}

    directory = with_tensors(pair_on_disk.vlm, tmp_path / "vlm", twice)
    with pytest.raises(CheckpointError, match=r"text layers under language_model.model.layers and"):
        text_tensors(Checkpoint.open(directory), LLAVA)


def test_a_layer_left_out_is_named(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    directory = with_tensors(
        pair_on_disk.backbone,
        tmp_path / "backbone",
        lambda tensors: {k: t for k, t in tensors.items() if ".layers.1." not in k},
    )
    with pytest.raises(CheckpointError, match="no tensor of text layer 1"):
        text_tensors(Checkpoint.open(directory), QWEN2)
