from __future__ import annotations

import pytest
import torch

from merit_interp.attribution.model_states import (
    ModelState,
    attention_zeroed,
    in_force,
    model_states,
    weights_randomised,
)
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import Recipe
from tests.tiny_models import TinyPair


@pytest.fixture(scope="module")
def merge(vlm: LoadedModel, pair: TinyPair) -> InMemoryMerge:
    return InMemoryMerge(vlm, Checkpoint.open(pair.backbone))


def states(recipe: Recipe) -> dict[str, ModelState]:
    found = model_states(recipe, n_layers=4, draws=3, randomised=2, seed=0)
    return {state.name: state for state in found}


def logits(vlm: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = vlm.model(input_ids=torch.arange(5, 15)[None]).logits
    return found


def test_what_a_recipe_is_held_against(recipe: Recipe) -> None:
    found = states(recipe)
    assert list(found)[:5] == [
        "vlm", "merged", "random_layers_00", "random_layers_01", "random_layers_02",
    ]  # fmt: skip
    assert found["masked"].masked == (1, 3)
    others = [state.masked for name, state in found.items() if name.startswith("masked_others")]
    assert others == [(0, 2)]  # the only other layers, once
    assert [name for name in found if name.startswith("randomised")] == [
        "randomised_00", "randomised_01",
    ]  # fmt: skip
    for name, state in found.items():
        if name.startswith("random_layers"):
            assert state.recipe is not None
            assert sorted(state.recipe.layers.values()) == [0.5, 1.0]


def test_a_recipe_that_merges_nothing_has_nothing_to_mask(recipe: Recipe) -> None:
    assert [name for name in states(recipe.with_layers({})) if "randomised" not in name] == [
        "vlm", "merged",
    ]  # fmt: skip


def test_every_model_is_another_and_leaves_the_vlm_as_it_was(
    vlm: LoadedModel, merge: InMemoryMerge, recipe: Recipe
) -> None:
    before = {name: value.clone() for name, value in vlm.model.state_dict().items()}
    seen = [logits(vlm)]
    for name, state in states(recipe).items():
        with in_force(state, vlm, merge):
            seen.append(logits(vlm))
        if name != "vlm":
            assert not torch.allclose(seen[-1], seen[0]), name
    assert torch.equal(logits(vlm), seen[0])
    for name, value in vlm.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_without_the_recipes_attention_vlm_and_merged_model_are_one(
    vlm: LoadedModel, merge: InMemoryMerge, recipe: Recipe
) -> None:
    with attention_zeroed(vlm, (1, 3)):
        plain = logits(vlm)
    with in_force(states(recipe)["masked"], vlm, merge):
        assert torch.equal(logits(vlm), plain)


def test_randomised_weights_keep_their_scale_and_come_back_after_an_error(
    vlm: LoadedModel,
) -> None:
    weight = vlm.projection(0, "q").weight
    original = weight.clone()

    def fails() -> None:
        with weights_randomised(vlm.model, seed=1):
            assert abs(float(weight.std() / original.std()) - 1) < 0.1
            correlation = torch.corrcoef(torch.stack([weight.flatten(), original.flatten()]))[0, 1]
            assert abs(float(correlation)) < 0.1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert torch.equal(weight, original)
