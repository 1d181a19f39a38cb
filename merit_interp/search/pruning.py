"""Leaves layers out of a recipe that it does not need.

    layers = pruned_layers(best.layers, floor=0.95 * best.objective, objective_of=try_layers)

A sampler of real numbers has no reason to leave a layer at 0 that changes nothing, yet which layers
carry a restoration is what a recipe is for. This file must not know how recipes are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from merit_interp.recipe import Coefficient

Layers = Mapping[int, Coefficient]


def pruned_layers(
    layers: Layers, *, floor: float, objective_of: Callable[[Layers], float]
) -> Layers:
    """The recipe's layers without those whose absence costs little.

    Backward elimination in two sweeps: each layer is left out alone, then layers are left out
    for good in the order of what their absence cost, as long as the objective stays at the floor
    or above. At most twice as many recipes are tried as there are layers.

    Args:
        layers: Coefficients of the recipe.
        floor: Least objective that the result may have.
        objective_of: Objective of a recipe with the given layers.

    Returns:
        The layers that stay; at least one.
    """
    if len(layers) < 2:
        return layers
    without = {layer: objective_of(_left_out(layers, layer)) for layer in layers}
    kept = layers
    for layer in sorted(without, key=lambda layer: (-without[layer], layer)):
        fewer = _left_out(kept, layer)
        if fewer and objective_of(fewer) >= floor:
            kept = fewer
    return kept


def _left_out(layers: Layers, layer: int) -> dict[int, Coefficient]:
    return {number: share for number, share in layers.items() if number != layer}
