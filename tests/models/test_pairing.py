from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from merit_interp.errors import CheckpointError, PairError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.pairing import PairReport, pair, require_pair
from tests.models.edited_checkpoints import Tensors, copied, with_config, with_tensors
from tests.tiny_models import N_LAYERS, TinyPair, tiny_backbone


def report_of(vlm: Path, backbone: Path) -> PairReport:
    return pair(Checkpoint.open(vlm), Checkpoint.open(backbone))


def text_of_vlm(vlm: Path, target: Path, backbone: Path, scale: float) -> Path:
    """The VLM's own text stack as a backbone, every tensor scaled."""
    source = Checkpoint.open(vlm)

    def taken(tensors: Tensors) -> Tensors:
        return {k: source.tensor(f"language_model.{k}") * scale for k in tensors}

    return with_tensors(backbone, target, taken)


@pytest.mark.parametrize(("scale", "distance", "cosine"), [(1.0, 0, 1), (3.0, 2, 1), (-1.0, 2, -1)])
def test_known_distances(
    pair_on_disk: TinyPair, tmp_path: Path, scale: float, distance: float, cosine: float
) -> None:
    own = text_of_vlm(pair_on_disk.vlm, tmp_path / "own", pair_on_disk.backbone, scale)
    report = report_of(pair_on_disk.vlm, own)
    require_pair(report)
    assert report.pairs
    assert all(t.relative_norm == pytest.approx(distance, abs=1e-6) for t in report.tensors)
    assert all(t.cosine == pytest.approx(cosine, abs=1e-6) for t in report.tensors)


def test_a_row_a_tensor_in_order(pair_on_disk: TinyPair) -> None:
    report = report_of(pair_on_disk.vlm, pair_on_disk.backbone)
    names = ["q.weight", "q.bias", "k.weight", "k.bias", "v.weight", "v.bias", "o.weight"]
    assert [(t.layer, t.tensor) for t in report.tensors] == [
        (layer, name) for layer in range(N_LAYERS) for name in names
    ]
    assert report.n_layers == report.n_backbone_layers == N_LAYERS
    assert report.tensors[2].vlm_shape == report.tensors[2].backbone_shape == (16, 32)
    assert report.notes == ()
    assert report.missing_in_vlm == report.missing_in_backbone == ()
    row = json.loads(json.dumps(report.to_row()))
    assert row["pairs"] is True
    assert row["tensors"][0]["tensor"] == "q.weight"


def test_an_all_zero_tensor_has_no_cosine(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    def zeroed(tensors: Tensors) -> Tensors:
        key = "language_model.model.layers.0.self_attn.q_proj.bias"
        return {**tensors, key: torch.zeros_like(tensors[key])}

    report = report_of(
        with_tensors(pair_on_disk.vlm, tmp_path / "vlm", zeroed), pair_on_disk.backbone
    )
    assert report.tensors[1].relative_norm is None
    assert report.tensors[1].cosine is None
    json.dumps(report.to_row(), allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"hidden_size": 48}, "hidden_size 32 against 48"),
        ({"num_hidden_layers": 3}, "num_hidden_layers 4 against 3; layer 3 q.weight missing in"),
        ({"num_hidden_layers": 5}, "num_hidden_layers 4 against 5; layer 4 q.weight missing in"),
        ({"num_key_value_heads": 4}, "num_key_value_heads 2 against 4"),
        # equal shapes of every weight, other heads
        (
            {"num_attention_heads": 8, "num_key_value_heads": 4},
            "num_attention_heads 4 against 8; num_key_value_heads 2 against 4; head_dim 8",
        ),
    ],
)
def test_other_layouts_are_refused_by_name(
    pair_on_disk: TinyPair, tmp_path: Path, changes: dict[str, Any], difference: str
) -> None:
    report = report_of(pair_on_disk.vlm, tiny_backbone(tmp_path / "b", **changes))
    assert not report.pairs
    with pytest.raises(PairError, match=difference) as refused:
        require_pair(report)
    assert "\n" not in str(refused.value)
    assert "valid: the text model that this VLM was made from" in str(refused.value)


def test_the_rest_of_many_differences_is_counted(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    report = report_of(pair_on_disk.vlm, tiny_backbone(tmp_path / "b", hidden_size=48))
    with pytest.raises(PairError, match=rf"and {len(report.differences) - 3} more; valid"):
        require_pair(report)


def test_other_embedding_rows_and_rope_pair_with_a_note(
    pair_on_disk: TinyPair, tmp_path: Path
) -> None:
    rope = {"rope_type": "default", "rope_theta": 5e5}
    backbone = tiny_backbone(tmp_path / "b", vocab_size=500, rope_parameters=rope)
    report = report_of(pair_on_disk.vlm, backbone)
    require_pair(report)
    assert report.notes == ("vocab_size 416 against 500", "rope_theta 10000.0 against 500000.0")


def test_another_mlp_pairs_with_a_note(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    report = report_of(pair_on_disk.vlm, tiny_backbone(tmp_path / "b", intermediate_size=64))
    require_pair(report)
    assert len(report.notes) == 1
    assert report.notes[0].endswith("differs in shape: merge attention only")


def test_a_backbone_without_biases_pairs_with_a_note(
    pair_on_disk: TinyPair, tmp_path: Path
) -> None:
    config = LlamaConfig(
        vocab_size=416,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    report = report_of(pair_on_disk.vlm, tmp_path / "llama")
    require_pair(report)
    assert report.missing_in_backbone[:2] == ("layer 0 q.bias", "layer 0 k.bias")
    assert "the backbone lacks k.bias, q.bias, v.bias: not merged" in report.notes


def test_swapped_and_wrong_models_are_named(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    vlm, backbone = pair_on_disk.vlm, pair_on_disk.backbone
    with pytest.raises(PairError, match=rf"swapped.* valid: --vlm {vlm} --backbone {backbone}"):
        report_of(backbone, vlm)
    for twice in (vlm, backbone):
        with pytest.raises(PairError, match=rf"{twice} is given as VLM and as backbone; valid"):
            report_of(twice, twice)
    copy = copied(vlm, tmp_path / "copy")
    with pytest.raises(PairError, match=r"copy is a VLM .llava_onevision., not a backbone"):
        report_of(vlm, copy)
    copy = copied(backbone, tmp_path / "text")
    with pytest.raises(CheckpointError, match=r"is a text-only model .qwen2., not a VLM"):
        report_of(backbone, copy)
    other = with_config(backbone, tmp_path / "other", model_type="gpt_neox")
    with pytest.raises(CheckpointError, match=r"gpt_neox.* valid: backbone families .*llama"):
        report_of(vlm, other)


def test_nan_is_named(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    def damaged(tensors: Tensors) -> Tensors:
        tensors["model.layers.1.self_attn.v_proj.weight"][3, 3] = torch.inf
        return tensors

    directory = with_tensors(pair_on_disk.backbone, tmp_path / "b", damaged)
    with pytest.raises(CheckpointError, match=r"model.layers.1.self_attn.v_proj.weight holds NaN"):
        report_of(pair_on_disk.vlm, directory)


def test_shards_and_types_make_no_difference(
    pair_on_disk: TinyPair, sharded_pair: TinyPair
) -> None:
    whole = report_of(pair_on_disk.vlm, pair_on_disk.backbone)
    sharded = report_of(sharded_pair.vlm, sharded_pair.backbone)
    for a, b in zip(whole.tensors, sharded.tensors, strict=True):
        assert a.relative_norm == pytest.approx(b.relative_norm, rel=2e-2)
