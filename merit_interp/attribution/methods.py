"""Attribution methods: how much each unit of each item adds to the answer's value.

    found = METHODS["ig"].scores(value, MethodSettings(steps=32, rows=64))
    found.scores     # (items, units), nats

All measure a unit against its baseline. Integrated gradients, input x gradient and leave-one-out
are Captum's; Shapley values enumerate coalitions (`shapley`), because Captum's are factorial. This
file must not know models, items or families.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from captum.attr import (
    FeatureAblation,
    InputXGradient,
    IntegratedGradients,
    LayerIntegratedGradients,
)
from numpy.typing import NDArray
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.shapley import (
    MOST_EXACT,
    all_coalitions,
    coalitions_of,
    drawn_orders,
    exact_shapley,
    sampled_shapley,
)
from merit_interp.attribution.units import sum_over_units
from merit_interp.tensor_shapes import ItemUnits


@dataclass(frozen=True)
class MethodSettings:
    """What a method is told beside the value."""

    steps: int
    """Steps of the path, or sampled orders; a method that takes none ignores it."""
    rows: int = 64
    """Most prompt rows in one forward; one pass over the items is never torn apart."""
    seed: int = 0
    """Of sampled orders."""


@dataclass(frozen=True, eq=False)
class UnitScores:
    """What a method found."""

    scores: ItemUnits
    """In nats: what each unit adds to the value."""
    standard_errors: ItemUnits | None = None
    """Of each score, where it was sampled."""


@dataclass(frozen=True)
class Method:
    """One attribution method."""

    scores: Callable[[AnswerValue, MethodSettings], UnitScores]
    default_steps: int
    """1 for a method that takes no steps."""
    is_complete: bool
    """Whether the scores must add up to the difference between all units shown and none."""
    uses_gradients: bool
    passes: Callable[[int, int], int]
    """Forwards of an item, given its units and the steps."""


def _copies(value: AnswerValue, settings: MethodSettings) -> int:
    """Passes over the items that go into one forward."""
    return max(1, settings.rows // value.batch.n_rows)


def _integrated_gradients(value: AnswerValue, settings: MethodSettings) -> UnitScores:
    """Along the straight line from the baseline's pixels to the video's (Sundararajan 2017)."""
    attributions = IntegratedGradients(value).attribute(
        value.batch.shown,
        baselines=value.batch.absent,
        n_steps=settings.steps,
        internal_batch_size=_copies(value, settings) * value.batch.n_items,
    )
    return UnitScores(_by_unit(attributions))


def _layer_integrated_gradients(value: AnswerValue, settings: MethodSettings) -> UnitScores:
    """Along the line between the two inputs of the first text layer: the encoder is left out."""
    batch = value.batch
    switches = torch.ones(batch.n_items, 1, device=batch.shown.device)
    attributions = LayerIntegratedGradients(value.encoded(), value.vlm.text_layers[0]).attribute(
        switches,
        baselines=0.0 * switches,
        n_steps=settings.steps,
        internal_batch_size=_copies(value, settings) * batch.n_rows,
        attribute_to_layer_input=True,
    )
    # some layers take more than the hidden state of each token (Gemma 4's per-layer inputs)
    entering = attributions if isinstance(attributions, tuple) else (attributions,)
    by_row = torch.stack(
        [sum_over_units(part, batch.unit_of_token, n_units=batch.n_units) for part in entering]
    ).sum(dim=0)
    by_item = by_row.new_zeros(batch.n_items, batch.n_units)
    return UnitScores(by_item.index_add_(0, batch.item_of_row, by_row))


def _input_x_gradient(value: AnswerValue, settings: MethodSettings) -> UnitScores:
    """Input, measured from its baseline, times the gradient at the video."""
    absent = value.batch.absent
    difference = (value.batch.shown - absent).requires_grad_()
    attributions = InputXGradient(lambda changed: value(absent + changed)).attribute(difference)
    return UnitScores(_by_unit(attributions.detach()))


def _occlusion(value: AnswerValue, settings: MethodSettings) -> UnitScores:
    """What is lost when one unit is absent and all others are shown."""
    switches = torch.ones_like(value.batch.shown[:, :, 0])
    attributions = FeatureAblation(value.of_switches).attribute(
        switches, baselines=0.0, perturbations_per_eval=_copies(value, settings)
    )
    return UnitScores(attributions.double())


def _shapley(value: AnswerValue, settings: MethodSettings) -> UnitScores:
    """Exact up to `MOST_EXACT` units, from random orders above."""
    units, device = value.batch.n_units, value.batch.shown.device
    if units <= MOST_EXACT:
        scores = exact_shapley(coalition_values(value, all_coalitions(units), settings.rows))
        return UnitScores(torch.from_numpy(scores).to(device))
    orders = drawn_orders(units, settings.steps, settings.seed)
    coalitions = coalitions_of(orders)
    values = coalition_values(value, coalitions.reshape(-1, units), settings.rows)
    found = sampled_shapley(values.reshape(-1, *coalitions.shape[:2]), orders)
    return UnitScores(
        torch.from_numpy(found.scores).to(device),
        torch.from_numpy(found.standard_errors).to(device),
    )


def coalition_values(
    value: AnswerValue, coalitions: NDArray[np.bool_], rows: int
) -> NDArray[np.float64]:
    """(items, coalitions) value of each item with only a coalition's units shown.

    Args:
        value: The value.
        coalitions: (coalitions, units); one that comes twice is computed once.
        rows: Most prompt rows in one forward.
    """
    distinct, place = np.unique(coalitions, axis=0, return_inverse=True)
    items = value.batch.n_items
    switches = torch.from_numpy(distinct).to(value.batch.shown.device, torch.float32)
    found: list[Tensor] = []
    with torch.no_grad():
        for part in torch.split(switches, max(1, rows // value.batch.n_rows)):
            values = value.of_switches(part.repeat_interleave(items, dim=0))
            found.append(values.double().cpu().reshape(len(part), items))
    by_coalition: NDArray[np.float64] = torch.cat(found).numpy()
    return by_coalition[place.reshape(-1)].T


def _by_unit(attributions: Tensor) -> ItemUnits:
    """Sum of (items, units, values) over each unit's values."""
    items, units = attributions.shape[:2]
    unit_of = torch.arange(units, device=attributions.device).expand(items, units)
    return sum_over_units(attributions, unit_of, n_units=units)


def _shapley_passes(units: int, steps: int) -> int:
    return 2**units if units <= MOST_EXACT else steps * units


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "ig": Method(_layer_integrated_gradients, 32, True, True, lambda units, steps: steps),
        "ig_pixels": Method(_integrated_gradients, 32, True, True, lambda units, steps: steps),
        "gradient": Method(_input_x_gradient, 1, False, True, lambda units, steps: 1),
        "occlusion": Method(_occlusion, 1, False, False, lambda units, steps: units + 1),
        "shapley": Method(_shapley, 32, True, False, _shapley_passes),
    }
)
"""Every method by name, the default first.

`ig` starts at the input of the first text layer, `ig_pixels` at the pixels. Merging changes nothing
before the first text layer, so that is where two models begin to differ; from there the path is
smoother (it converges in fewer steps) and a backward costs a fraction. A family that hands visual
features to later layers too (Qwen3-VL's deepstack, Gemma 4's per-layer inputs) is not complete
there: its items are flagged, and `ig_pixels` serves."""
