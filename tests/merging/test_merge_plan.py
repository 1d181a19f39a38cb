from __future__ import annotations

import pytest

from merit_interp.errors import PairError, RecipeError
from merit_interp.merging.merge_plan import require_made_for, shared_tensors, tensor_shares
from merit_interp.models.families import BACKBONE_FAMILIES
from merit_interp.models.text_tensors import TextTensor
from merit_interp.recipe import ModelReference, Recipe

QWEN3 = BACKBONE_FAMILIES["qwen3"]
NAMES = (
    "self_attn.q_proj.weight",
    "self_attn.q_proj.bias",
    "self_attn.k_proj.weight",
    "self_attn.q_norm.weight",
    "mlp.up_proj.weight",
    "input_layernorm.weight",
)
TENSORS = tuple(TextTensor(layer, name) for layer in range(3) for name in NAMES)
IDENTITY = Recipe(
    vlm=ModelReference(source="v", fingerprint="sha256:1"),
    backbone=ModelReference(source="b", fingerprint="sha256:2"),
)


def shares(**fields: object) -> dict[TextTensor, float]:
    return tensor_shares(IDENTITY.replaced(**fields), TENSORS, QWEN3, n_layers=3)


def test_the_identity_changes_nothing() -> None:
    assert shares() == {}
    assert shares(weights="text") == {}


def test_self_attention_means_projections_with_their_biases() -> None:
    assert shares(layers={1: 0.5}) == {TextTensor(1, name): 0.5 for name in NAMES[:3]}


def test_projections_have_their_own_shares() -> None:
    assert shares(layers={0: {"q": 0.25}, 2: {"q": 1.0, "k": 0.5}}) == {
        TextTensor(0, "self_attn.q_proj.weight"): 0.25,
        TextTensor(0, "self_attn.q_proj.bias"): 0.25,
        TextTensor(2, "self_attn.q_proj.weight"): 1.0,
        TextTensor(2, "self_attn.q_proj.bias"): 1.0,
        TextTensor(2, "self_attn.k_proj.weight"): 0.5,
    }


def test_projections_that_the_recipe_leaves_out_stay() -> None:
    assert shares(layers={0: 1.0}, projections=("k",)) == {
        TextTensor(0, "self_attn.k_proj.weight"): 1.0
    }


def test_text_means_every_tensor_of_the_layer() -> None:
    assert shares(layers={2: 0.5}, weights="text") == {TextTensor(2, name): 0.5 for name in NAMES}


@pytest.mark.parametrize("fields", [{"layers": {0: {"q": 0.5}}}, {"projections": ("q", "k")}])
def test_text_has_no_shares_of_projections(fields: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="merges whole layers, not single projections"):
        shares(weights="text", **fields)


def test_a_layer_beyond_the_model_names_the_valid_ones() -> None:
    with pytest.raises(RecipeError, match="layer 3 is not in the model; valid: layers 0 to 2"):
        shares(layers={1: 0.5, 3: 0.5})


def test_what_one_side_lacks_stays_unless_it_is_a_projections_weight() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    no_bias = {t: s for t, s in vlm.items() if not t.name.endswith(("bias", "q_norm.weight"))}
    assert shared_tensors(vlm, no_bias, QWEN3) == tuple(no_bias)
    assert shared_tensors(no_bias, vlm, QWEN3) == tuple(no_bias)
    assert shared_tensors({}, vlm, QWEN3) == ()
    no_weight = {t: s for t, s in vlm.items() if t != TextTensor(1, NAMES[2])}
    with pytest.raises(PairError, match=r"layer 1 self_attn.k_proj.weight is missing in the backb"):
        shared_tensors(vlm, no_weight, QWEN3)


def test_shapes_must_be_equal() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    other = {**vlm, TextTensor(2, NAMES[4]): (8, 4)}
    with pytest.raises(PairError, match=r"layer 2 mlp.up_proj.weight is \[4, 4\] in the VLM and"):
        shared_tensors(vlm, other, QWEN3)


def test_a_recipe_fits_the_weights_that_it_was_made_for() -> None:
    require_made_for(IDENTITY, vlm="sha256:1", backbone="sha256:2")
    with pytest.raises(RecipeError, match="made for another VLM: v had fingerprint sha256:1"):
        require_made_for(IDENTITY, vlm="sha256:9", backbone="sha256:2")
    with pytest.raises(RecipeError, match="made for another backbone: b had"):
        require_made_for(IDENTITY, vlm="sha256:1", backbone="sha256:9")
