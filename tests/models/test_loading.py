from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from merit_interp.errors import CheckpointError, SettingError
from merit_interp.models import loading
from merit_interp.models.families import BACKBONE_FAMILIES, VLM_FAMILIES
from merit_interp.models.loading import Placement, load_backbone, load_vlm
from tests.models.edited_checkpoints import Tensors, copied, with_config, with_tensors
from tests.tiny_models import N_LAYERS, TinyPair, tiny_backbone

ATTENTION = "language_model.model.layers.2.self_attn.k_proj.weight"


def test_a_vlm_is_loaded_whole_frozen_and_quietly(
    pair_on_disk: TinyPair, capfd: pytest.CaptureFixture[str]
) -> None:
    vlm = load_vlm(pair_on_disk.vlm)
    assert capfd.readouterr().err == ""
    assert vlm.n_layers == N_LAYERS
    assert not vlm.model.training
    assert not any(parameter.requires_grad for parameter in vlm.model.parameters())
    assert vlm.model.dtype == torch.float32
    assert vlm.device == torch.device("cpu")
    assert vlm.model.config.get_text_config()._attn_implementation == "sdpa"
    assert vlm.tokenizer.chat_template is not None
    reference = vlm.reference()
    assert reference.source == str(pair_on_disk.vlm)
    assert reference.revision is None
    assert reference.fingerprint == vlm.fingerprint


def test_projections_are_the_models_own_modules(pair_on_disk: TinyPair) -> None:
    vlm, backbone = load_vlm(pair_on_disk.vlm), load_backbone(pair_on_disk.backbone)
    assert vlm.projection(1, "o") is vlm.model.model.language_model.layers[1].self_attn.o_proj
    assert backbone.projection(1, "k") is backbone.model.model.layers[1].self_attn.k_proj
    assert isinstance(backbone.projection(0, "q"), nn.Linear)


def test_the_type_in_memory_is_the_placements(sharded_pair: TinyPair) -> None:
    for dtype in ("float32", "bfloat16"):
        vlm = load_vlm(sharded_pair.vlm, placement=Placement(dtype=dtype))
        assert {p.dtype for p in vlm.model.parameters()} == {getattr(torch, dtype)}


def test_the_verbosity_of_transformers_stays_as_it_was(pair_on_disk: TinyPair) -> None:
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.INFO)
    try:
        load_backbone(pair_on_disk.backbone)
        assert transformers_logging.get_verbosity() == logging.INFO
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity(before)


def test_a_backbone_may_have_other_embedding_rows(tmp_path: Path) -> None:
    backbone = load_backbone(tiny_backbone(tmp_path / "b", vocab_size=500))
    assert backbone.model.get_input_embeddings().weight.shape[0] == 500


def without(key: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {k: t for k, t in tensors.items() if k != key}


def with_extra(tensors: Tensors) -> Tensors:
    return {**tensors, "language_model.model.layers.0.self_attn.sink": torch.zeros(1)}


def with_nan(tensors: Tensors) -> Tensors:
    tensors[ATTENTION][0, 0] = torch.nan
    return tensors


def with_other_shape(tensors: Tensors) -> Tensors:
    return {**tensors, ATTENTION: torch.zeros(8, 32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(ATTENTION), r"1 missing keys, the first model.*layers.2.self_attn.k_proj.weight"),
        (without("vision_tower.post_layernorm.weight"), r"1 missing keys, the first .*post_layer"),
        (with_extra, r"1 unexpected keys, the first .*self_attn.sink"),
        (with_other_shape, r"1 mismatched keys, the first .*layers.2.self_attn.k_proj.weight"),
        (with_nan, r"layers.2.self_attn.k_proj.weight holds NaN or infinity"),
    ],
)
def test_weights_that_do_not_fill_the_model_are_named(
    pair_on_disk: TinyPair,
    tmp_path: Path,
    change: Callable[[Tensors], Tensors],
    message: str,
) -> None:
    directory = with_tensors(pair_on_disk.vlm, tmp_path / "vlm", change)
    with pytest.raises(CheckpointError, match=message) as refused:
        load_vlm(directory)
    assert "\n" not in str(refused.value)


def test_a_quantised_checkpoint_is_refused(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    directory = with_config(
        pair_on_disk.backbone, tmp_path / "b", quantization_config={"quant_method": "awq"}
    )
    with pytest.raises(CheckpointError, match="is quantised; valid: float weights"):
        load_backbone(directory)


def test_a_config_that_transformers_refuses_is_one_line(
    pair_on_disk: TinyPair, tmp_path: Path
) -> None:
    directory = with_config(pair_on_disk.backbone, tmp_path / "b", num_hidden_layers="many")
    with pytest.raises(CheckpointError, match="cannot load"):
        load_backbone(directory)


def test_a_tokenizer_is_needed(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    directory = copied(pair_on_disk.backbone, tmp_path / "b")
    for path in directory.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer; valid: one of tokenizer.json"):
        load_backbone(directory)
    (directory / "tokenizer.json").write_text('{"version": ')
    with pytest.raises(CheckpointError, match="cannot load the tokenizer"):
        load_backbone(directory)


def test_the_wrong_kind_of_model_is_refused(pair_on_disk: TinyPair) -> None:
    with pytest.raises(CheckpointError, match=r"is a text-only model \(qwen2\), not a VLM"):
        load_vlm(pair_on_disk.backbone)
    with pytest.raises(CheckpointError, match=r"is a VLM \(llava_onevision\), not a backbone"):
        load_backbone(pair_on_disk.vlm)


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (Placement(dtype="float8"), "no dtype 'float8'; valid: float32, bfloat16, float16"),
        (Placement(device="cuda:77"), "no device 'cuda:77' here; valid: cpu"),
        (Placement(device="gpu"), "no device 'gpu' here; valid: cpu"),
    ],
)
def test_a_placement_that_is_not_there_is_refused(
    pair_on_disk: TinyPair, placement: Placement, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        load_backbone(pair_on_disk.backbone, placement=placement)


def test_a_family_row_that_transformers_no_longer_fits_is_noticed(
    pair_on_disk: TinyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = dataclasses.replace(BACKBONE_FAMILIES["qwen2"], self_attention="attention")
    monkeypatch.setattr(loading, "backbone_family", lambda config, name: row)
    with pytest.raises(CheckpointError, match=r"no Linear at 'attention.q_proj'"):
        load_backbone(pair_on_disk.backbone)


def test_a_prefix_that_is_not_the_text_stacks_is_noticed(
    pair_on_disk: TinyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the tower has layers with self_attn.q_proj too
    tower = dataclasses.replace(
        VLM_FAMILIES["llava_onevision"], disk_layers=("vision_tower.encoder.layers",)
    )
    monkeypatch.setattr(loading, "vlm_family", lambda config, name: tower)
    with pytest.raises(CheckpointError, match=r"vision_tower.* is not what transformers .* put"):
        load_vlm(pair_on_disk.vlm)
