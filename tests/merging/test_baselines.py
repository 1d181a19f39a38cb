from __future__ import annotations

import pytest

from merit_interp.errors import RecipeError, SettingError
from merit_interp.merging.baselines import (
    BASELINE_METHODS,
    baseline_recipes,
    check_methods,
    method_baselines,
)
from merit_interp.merging.merge_plan import method_of
from merit_interp.merging.methods import METHODS
from merit_interp.recipe import ModelReference, Recipe

BASE = ModelReference(source="o", fingerprint="sha256:3")
FOUND = Recipe(
    vlm=ModelReference(source="v", fingerprint="sha256:1"),
    backbone=ModelReference(source="b", fingerprint="sha256:2"),
    layers={1: 0.25, 3: {"q": 1.0}},
)
TIES = FOUND.replaced(
    method="ties", base=BASE, settings={"density": 0.5}, weights="pattern", pattern="mlp.*",
    layers={1: 0.25, 3: 1.0},
)  # fmt: skip


@pytest.mark.parametrize("recipe", [FOUND, TIES])
def test_every_evaluation_has_uniform_merges_and_the_recipe_on_other_layers(recipe: Recipe) -> None:
    found = baseline_recipes(recipe, n_layers=5, draws=3, seed=0)
    assert list(found) == [
        *(f"uniform_attention_{a}" for a in (0.25, 0.5, 0.75, 1.0)),
        *(f"uniform_text_{a}" for a in (0.25, 0.5, 0.75, 1.0)),
        "first_k", "last_k", "random_layers_00", "random_layers_01", "random_layers_02",
    ]  # fmt: skip
    uniform = found["uniform_text_0.5"]
    # those are plain, whatever the recipe is
    assert (uniform.method, uniform.base, dict(uniform.settings)) == ("linear", None, {})
    assert (uniform.weights, uniform.pattern) == ("text", None)
    assert dict(uniform.layers) == dict.fromkeys(range(5), 0.5)
    assert dict(found["last_k"].layers) == {3: 0.25, 4: recipe.layers[3]}
    assert found["last_k"].replaced(layers={}) == recipe.replaced(layers={})


def test_the_identity_has_only_uniform_baselines() -> None:
    assert len(baseline_recipes(FOUND.with_layers({}), n_layers=5)) == 8


def test_each_method_is_tried_on_attention_and_on_text() -> None:
    schedule = {0: 0.0, 1: 0.5, 2: 1.0}
    found = method_baselines(
        FOUND, BASELINE_METHODS, n_layers=3, base=BASE, schedule=schedule, seed=4
    )
    for name, made in found.items():
        method_of(made)  # each is a recipe that its method takes
        assert made.weights == ("text" if "_text" in name else "self_attention")
    assert dict(found["method_ties_text_0.25"].layers) == dict.fromkeys(range(3), 0.25)
    assert found["method_ties_attention_0.5"].base == BASE
    assert found["method_slerp_attention_0.5"].base is None
    assert dict(found["method_dare_ties_text_0.75"].settings) == {"seed": 4}
    assert dict(found["method_task_arithmetic_text_0.5"].settings) == {"keep_vlm": True}
    assert dict(found["method_layer_swap_attention"].layers) == {1: 1.0, 3: 1.0}
    assert dict(found["method_attention_schedule_text"].layers) == {1: 0.5, 2: 1.0}
    n_shares = sum(not METHODS[name].ends_only for name in METHODS) - 1
    assert len(found) == 2 * (3 * n_shares + 2)
    assert len({made.merge_hash for made in found.values()}) == len(found)


def test_the_identity_has_no_layers_to_swap() -> None:
    assert method_baselines(FOUND.with_layers({}), ("layer_swap",), n_layers=3) == {}


def test_names_are_checked() -> None:
    check_methods(("slerp", "attention", "layer_swap"), has_base=False)
    check_methods(("ties",), has_base=True)
    with pytest.raises(SettingError, match="no baseline 'linear'; valid: layer_swap, slerp, task"):
        check_methods(("linear",), has_base=True)
    with pytest.raises(RecipeError, match="method ties needs a base; valid: "):
        check_methods(("slerp", "ties"), has_base=False)
