"""The merges that a found recipe must be held against.

    for name, baseline in baseline_recipes(recipe, n_layers=28, draws=20, seed=0).items(): ...

Each baseline is itself a recipe, so that everything that takes a recipe takes it too. This file
must not know how recipes are scored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from merit_interp.recipe import PROJECTIONS, Coefficient, Recipe

UNIFORM_ATTENTION = (0.25, 0.5, 0.75, 1.0)
UNIFORM_TEXT = (0.25, 0.5, 0.75, 1.0)
"""Coefficients of the uniform merges; several, so that no weak one stands for all."""


def baseline_recipes(
    recipe: Recipe, *, n_layers: int, draws: int = 20, seed: int = 0
) -> dict[str, Recipe]:
    """The baselines of a recipe, by name.

    `uniform_attention_A` merges the self-attention of every layer with coefficient A (MERIT's
    uniform baseline); `uniform_text_A` merges every weight of every text layer, as "Bring Reason
    to Vision" (arXiv 2505.05464) does; `random_layers_NN` puts the recipe's own coefficients on
    as many layers drawn at random; `first_k` and `last_k` put them on the first or last layers.

    Args:
        recipe: The found recipe. The identity has only the uniform baselines.
        n_layers: Text layers of the model.
        draws: How many sets of random layers.
        seed: Seed of the draws.
    """
    plain = recipe.replaced(method="linear", weights="self_attention", projections=PROJECTIONS)
    everything = plain.replaced(weights="text")
    baselines = {
        **{f"uniform_attention_{a}": _uniform(plain, a, n_layers) for a in UNIFORM_ATTENTION},
        **{f"uniform_text_{a}": _uniform(everything, a, n_layers) for a in UNIFORM_TEXT},
    }
    coefficients = list(recipe.layers.values())
    if not coefficients:
        return baselines
    count = len(coefficients)
    baselines["first_k"] = recipe.with_layers(_placed(range(count), coefficients))
    baselines["last_k"] = recipe.with_layers(
        _placed(range(n_layers - count, n_layers), coefficients)
    )
    generator = np.random.default_rng(seed)
    for draw in range(draws):
        # in random order, so that which layer gets which coefficient is random too
        layers = generator.permutation(n_layers)[:count].tolist()
        baselines[f"random_layers_{draw:02d}"] = recipe.with_layers(_placed(layers, coefficients))
    return baselines


def _uniform(recipe: Recipe, coefficient: float, n_layers: int) -> Recipe:
    return recipe.with_layers(dict.fromkeys(range(n_layers), coefficient))


def _placed(
    layers: range | list[int], coefficients: list[Coefficient]
) -> Mapping[int, Coefficient]:
    return dict(zip(layers, coefficients, strict=True))
