from __future__ import annotations

import pytest

from merit_interp.errors import CheckpointError
from merit_interp.models.families import (
    BACKBONE_FAMILIES,
    VLM_FAMILIES,
    Family,
    backbone_family,
    vlm_family,
)

ROWS = [*VLM_FAMILIES.values(), *BACKBONE_FAMILIES.values()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
def test_every_row_is_consistent(row: Family) -> None:
    assert set(row.projections) == {"q", "k", "v", "o"}
    assert row.text_layers.startswith(f"{row.text_model}.")
    assert row.disk_layers
    assert row.has_vision == (row.model_type in VLM_FAMILIES) == bool(row.video_token_id)


def test_families_are_found_by_model_type() -> None:
    assert vlm_family({"model_type": "llava_onevision"}).text_layers == (
        "model.language_model.layers"
    )
    assert backbone_family({"model_type": "qwen2"}).text_layers == "model.layers"


@pytest.mark.parametrize("config", [{}, {"model_type": None}, {"model_type": "gpt_neox"}])
def test_an_unknown_family_lists_the_known_ones(config: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match=r"no VLM family .* valid: .*llava_onevision"):
        vlm_family(config)
    with pytest.raises(CheckpointError, match=r"no backbone family .* valid: .*llama.*qwen2"):
        backbone_family(config)


def test_the_wrong_kind_of_model_is_named_as_such() -> None:
    with pytest.raises(CheckpointError, match=r"m is a text-only model \(qwen2\), not a VLM"):
        vlm_family({"model_type": "qwen2"}, "m")
    with pytest.raises(CheckpointError, match=r"m is a VLM \(llava_onevision\), not a backbone"):
        backbone_family({"model_type": "llava_onevision"}, "m")


@pytest.mark.parametrize(
    ("tensor", "projection"),
    [
        ("self_attn.q_proj.weight", "q"),
        ("self_attn.o_proj.bias", "o"),
        ("self_attn.q_norm.weight", None),
        ("self_attn.q_proj.weight_scale", None),
        ("post_self_attn.q_proj.weight", None),
        ("mlp.gate_proj.weight", None),
        ("weight", None),
    ],
)
def test_only_the_projections_own_tensors_are_theirs(tensor: str, projection: str | None) -> None:
    assert backbone_family({"model_type": "qwen3"}).projection_of(tensor) == projection


def test_labels_are_of_self_attention_only() -> None:
    family = backbone_family({"model_type": "qwen3"})
    labels = {
        "self_attn.v_proj.bias": "v.bias",
        "self_attn.k_norm.weight": "k_norm.weight",
        "self_attn.rotary_emb.inv_freq": None,
        "k_norm.weight": None,
        "mlp.up_proj.weight": None,
    }
    assert {name: family.attention_label(name) for name in labels} == labels
