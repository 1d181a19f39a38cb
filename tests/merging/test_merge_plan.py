from __future__ import annotations

import pytest

from merit_interp.errors import PairError, RecipeError
from merit_interp.merging.merge_plan import (
    Shapes,
    TensorMerge,
    fault_of,
    merge_plan,
    require_made_for,
    shared_tensors,
    tensor_shares,
)
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


def shared(vlm: dict[TextTensor, tuple[int, ...]], backbone: object) -> tuple[TextTensor, ...]:
    return shared_tensors(vlm, Shapes(vlm=vlm, backbone=backbone), QWEN3)


def test_what_one_side_lacks_stays_unless_it_is_a_projections_weight() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    no_bias = {t: s for t, s in vlm.items() if not t.name.endswith(("bias", "q_norm.weight"))}
    assert shared(vlm, no_bias) == tuple(no_bias)
    assert shared(no_bias, vlm) == tuple(no_bias)
    assert shared({}, vlm) == ()
    no_weight = {t: s for t, s in vlm.items() if t != TextTensor(1, NAMES[2])}
    with pytest.raises(PairError, match=r"layer 1 self_attn.k_proj.weight is missing in the backb"):
        shared(vlm, no_weight)


def test_shapes_must_be_equal() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    other = {**vlm, TextTensor(2, NAMES[4]): (8, 4)}
    with pytest.raises(PairError, match=r"layer 2 mlp.up_proj.weight is \[4, 4\] in the VLM and"):
        shared(vlm, other)


def test_the_base_must_have_what_both_have() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    bias, norm = TextTensor(0, NAMES[1]), TextTensor(0, NAMES[3])
    no_bias = {t: s for t, s in vlm.items() if t != bias}
    assert fault_of(bias, Shapes(vlm, vlm, vlm), QWEN3) is None
    assert fault_of(bias, Shapes(vlm, vlm, no_bias), QWEN3) == (
        "layer 0 self_attn.q_proj.bias is missing in the base"
    )
    # what the backbone lacks stays the VLM's, whatever the base has
    assert fault_of(bias, Shapes(vlm, no_bias, no_bias), QWEN3) is None
    assert fault_of(norm, Shapes(vlm, vlm, {**vlm, norm: (5,)}), QWEN3) == (
        "layer 0 self_attn.q_norm.weight is [4, 4] in the VLM and [5] in the base"
    )


def test_a_plan_says_what_is_done_with_each_tensor() -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    backbone = {t: s for t, s in vlm.items() if not t.name.endswith("bias")}
    recipe = IDENTITY.replaced(layers={0: 0.5}, projections=("q",))
    plan = merge_plan(recipe, Shapes(vlm, backbone), QWEN3)
    assert plan == {TextTensor(0, NAMES[0]): TensorMerge("linear", {}, 0.5)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "mean"}, "no merge method 'mean'; valid: "),
        ({"settings": {"density": 0.5}}, "method linear has no setting 'density'"),
        ({"base": IDENTITY.backbone}, "method linear takes no base, and is given b"),
    ],
)
def test_a_method_is_given_what_it_takes(fields: dict[str, object], message: str) -> None:
    vlm = dict.fromkeys(TENSORS, (4, 4))
    with pytest.raises(RecipeError, match=message):
        merge_plan(IDENTITY.replaced(layers={0: 0.5}, **fields), Shapes(vlm, vlm), QWEN3)


def test_a_pattern_is_matched_on_whole_names() -> None:
    fields = {"layers": {1: 0.5}, "weights": "pattern"}
    assert shares(pattern=r"mlp\..*", **fields) == {TextTensor(1, NAMES[4]): 0.5}
    assert shares(pattern=r".*\.weight", **fields) == {
        TextTensor(1, name): 0.5 for name in NAMES if name.endswith("weight")
    }
    with pytest.raises(RecipeError, match="'mlp' matches no tensor of the recipe's layers; valid:"):
        shares(pattern="mlp", **fields)
    with pytest.raises(RecipeError, match="merges what its pattern matches, not single proj"):
        shares(pattern="mlp", weights="pattern", layers={0: {"q": 0.5}})


def test_a_recipe_fits_the_weights_that_it_was_made_for() -> None:
    require_made_for(IDENTITY, vlm="sha256:1", backbone="sha256:2")
    with pytest.raises(RecipeError, match="made for another VLM: v had fingerprint sha256:1"):
        require_made_for(IDENTITY, vlm="sha256:9", backbone="sha256:2")
    with pytest.raises(RecipeError, match="made for another backbone: b had"):
        require_made_for(IDENTITY, vlm="sha256:1", backbone="sha256:9")


def test_a_recipe_with_a_base_fits_no_other_base() -> None:
    base = ModelReference(source="a", fingerprint="sha256:3")
    recipe = IDENTITY.replaced(base=base)
    require_made_for(recipe, vlm="sha256:1", backbone="sha256:2", base="sha256:3")
    with pytest.raises(RecipeError, match="made for another base: a had"):
        require_made_for(recipe, vlm="sha256:1", backbone="sha256:2", base="sha256:9")
    with pytest.raises(RecipeError, match="the recipe needs its base, a"):
        require_made_for(recipe, vlm="sha256:1", backbone="sha256:2")
    # a merge that holds a base takes recipes without one
    require_made_for(IDENTITY, vlm="sha256:1", backbone="sha256:2", base="sha256:9")
