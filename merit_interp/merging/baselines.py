"""The merges that a found recipe must be held against.

    for name, baseline in baseline_recipes(recipe, n_layers=28, draws=20, seed=0).items(): ...

Each baseline is itself a recipe, so that everything that takes a recipe takes it too. This file
must not know how recipes are scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from merit_interp.errors import SettingError
from merit_interp.merging.methods import METHODS, merge_method
from merit_interp.recipe import PROJECTIONS, Coefficient, ModelReference, Recipe, Setting

UNIFORM_ATTENTION = (0.25, 0.5, 0.75, 1.0)
UNIFORM_TEXT = (0.25, 0.5, 0.75, 1.0)
"""Coefficients of the uniform merges; several, so that no weak one stands for all."""

OF_METHODS = (0.25, 0.5, 0.75)
"""Coefficients of the other methods; at 1 every method is the uniform merge."""

ATTENTION_SCHEDULE = "attention"
"""Among the names of methods: the schedule of `attention_schedule`, which searches nothing."""

BASELINE_METHODS = (*(name for name in METHODS if name != "linear"), ATTENTION_SCHEDULE)
"""What may be asked for beside the baselines that every evaluation has."""


def baseline_recipes(
    recipe: Recipe,
    *,
    n_layers: int,
    draws: int = 20,
    seed: int = 0,
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
    scopes = _scopes(recipe)
    baselines = {
        **{f"uniform_attention_{a}": _uniform(scopes["attention"], a, n_layers)
           for a in UNIFORM_ATTENTION},
        **{f"uniform_text_{a}": _uniform(scopes["text"], a, n_layers) for a in UNIFORM_TEXT},
    }  # fmt: skip
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


def method_baselines(
    recipe: Recipe,
    methods: Sequence[str],
    *,
    n_layers: int,
    base: ModelReference | None = None,
    schedule: Mapping[int, float] | None = None,
    seed: int = 0,
) -> dict[str, Recipe]:
    """What other methods make of the pair, by name, each on self-attention and on all text weights.

    `method_M_attention_A` and `method_M_text_A` merge every layer by method M with its default
    settings and coefficient A; task arithmetic in its additive form, since the other is the uniform
    merge again. A layer swap takes the recipe's layers whole, and `method_attention_schedule_...`
    has the schedule's coefficients.

    Args:
        recipe: The found recipe.
        methods: Of `BASELINE_METHODS`.
        n_layers: Text layers of the model.
        base: The common ancestor, for the methods that need one.
        schedule: Coefficients by visual attention, if that baseline is asked for.
        seed: Of the methods that draw.
    """
    baselines: dict[str, Recipe] = {}
    for name in methods:
        for scope, plain in _scopes(recipe).items():
            if name == ATTENTION_SCHEDULE:
                made = plain.with_layers(schedule or {})
                baselines[f"method_attention_schedule_{scope}"] = made
            elif METHODS[name].ends_only and not recipe.is_identity:
                swapped = plain.replaced(method=name, layers=dict.fromkeys(recipe.layers, 1.0))
                baselines[f"method_{name}_{scope}"] = swapped
            elif not METHODS[name].ends_only:
                own = plain.replaced(
                    method=name,
                    settings=_settings(name, seed),
                    base=base if METHODS[name].needs_base else None,
                )
                for a in OF_METHODS:
                    baselines[f"method_{name}_{scope}_{a}"] = _uniform(own, a, n_layers)
    return baselines


def _settings(name: str, seed: int) -> dict[str, Setting]:
    """What a method is told beyond its defaults."""
    if name == "task_arithmetic":
        return {"keep_vlm": True}
    return {"seed": seed} if "seed" in METHODS[name].settings else {}


def check_methods(methods: Sequence[str], *, has_base: bool) -> None:
    """Refuse names that are no baseline, or need a base that is not there.

    Raises:
        SettingError: There is no such baseline.
        RecipeError: The method needs a base.
    """
    for name in methods:
        if name not in BASELINE_METHODS:
            raise SettingError(f"no baseline {name!r}", valid=", ".join(BASELINE_METHODS))
        if name != ATTENTION_SCHEDULE and merge_method(name).needs_base and not has_base:
            merge_method(name).refuse_without_base()


def _scopes(recipe: Recipe) -> dict[str, Recipe]:
    """The recipe's pair with nothing merged, linearly: on self-attention, on all text weights."""
    plain = recipe.replaced(
        method="linear", settings={}, base=None, weights="self_attention", pattern=None,
        projections=PROJECTIONS, layers={},
    )  # fmt: skip
    return {"attention": plain, "text": plain.replaced(weights="text")}


def _uniform(recipe: Recipe, coefficient: float, n_layers: int) -> Recipe:
    return recipe.with_layers(dict.fromkeys(range(n_layers), coefficient))


def _placed(
    layers: range | list[int], coefficients: list[Coefficient]
) -> Mapping[int, Coefficient]:
    return dict(zip(layers, coefficients, strict=True))
