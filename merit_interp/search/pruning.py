"""Leaves layers out of a recipe that it does not need.

    path = pruning_path(best.layers, floor=0.95 * best.objective, objective_of=try_layers)

A sampler of real numbers has no reason to leave a layer at 0 that changes nothing, yet which layers
carry a restoration is what a recipe is for. This file must not know how recipes are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from merit_interp.recipe import Coefficient

Layers = Mapping[int, Coefficient]


def pruning_path(
    layers: Layers, *, floor: float, objective_of: Callable[[Layers], float]
) -> list[Layers]:
    """The recipe with fewer and fewer of its layers, those first whose absence costs little.

    Backward elimination in two sweeps: each layer is left out alone, then layers are left out
    for good in the order of what their absence cost, as long as the objective stays at the floor
    or above. At most twice as many recipes are tried as there are layers. All of the path is
    returned, not its end alone: pruning fits the items that it sees, and how far along the path
    others hold is for those to say.

    Args:
        layers: Coefficients of the recipe.
        floor: Least objective that a recipe of the path may have.
        objective_of: Objective of a recipe with the given layers.

    Returns:
        Each with one layer less than the one before, beginning with one less than `layers`; none
        is without layers, and there may be no such recipe.
    """
    if len(layers) < 2:
        return []
    without = {layer: objective_of(_left_out(layers, layer)) for layer in layers}
    path: list[Layers] = []
    kept = layers
    for layer in sorted(without, key=lambda layer: (-without[layer], layer)):
        fewer = _left_out(kept, layer)
        if fewer and objective_of(fewer) >= floor:
            kept = fewer
            path.append(fewer)
    return path


def _left_out(layers: Layers, layer: int) -> dict[int, Coefficient]:
    return {number: share for number, share in layers.items() if number != layer}
