"""The models that are held against each other, each in force for a block and taken back.

    for state in model_states(recipe, n_layers=28, settings=settings):
        with in_force(state, vlm, merge):
            ...    # vlm.model is that model here

Where masking and attribution meet, the recipe's layers are masked by a hook that puts zero in the
place of what their self-attention gives. It is zero and not a revert, for reverting the recipe's
layers of the merged model is the VLM itself, which is a row already; and without their
self-attention VLM and merged model are one and the same, so one row stands for both. This file must
not know items or methods.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from merit_interp.merging.baselines import baseline_recipes
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import Recipe

VLM, MERGED, MASKED = "vlm", "merged", "masked"
RANDOM_LAYERS = "random_layers_"
MASKED_OTHERS = "masked_others_"
RANDOMISED = "randomised_"


@dataclass(frozen=True)
class ModelState:
    """One model, as a change of the VLM."""

    name: str
    recipe: Recipe | None = None
    """What is merged."""
    masked: tuple[int, ...] = ()
    """Text layers whose self-attention gives zero."""
    randomised: int | None = None
    """Seed of weights drawn anew, structure lost (Adebayo et al. 2018)."""

    @property
    def merge_hash(self) -> str:
        """What is merged, as records have it."""
        return self.recipe.merge_hash if self.recipe else VLM


def model_states(
    recipe: Recipe, *, n_layers: int, draws: int, randomised: int, seed: int
) -> tuple[ModelState, ...]:
    """VLM, merged model, random-layer merges of the same size, masked and randomised models.

    Args:
        recipe: The recipe; the identity has neither random nor masked layers.
        n_layers: Text layers of the model.
        draws: Random-layer merges, and sets of other layers to mask.
        randomised: Draws of weights.
        seed: Of all draws.
    """
    states = [ModelState(VLM), ModelState(MERGED, recipe)]
    layers = tuple(recipe.layers)
    if layers:
        baselines = baseline_recipes(recipe, n_layers=n_layers, draws=draws, seed=seed)
        states += [
            ModelState(name, baseline)
            for name, baseline in baselines.items()
            if name.startswith(RANDOM_LAYERS)
        ]
        states.append(ModelState(MASKED, recipe, masked=layers))
        states += [
            ModelState(f"{MASKED_OTHERS}{draw:02d}", recipe, masked=others)
            for draw, others in enumerate(_other_layers(layers, n_layers, draws, seed))
        ]
    states += [
        ModelState(f"{RANDOMISED}{draw:02d}", randomised=seed + draw) for draw in range(randomised)
    ]
    return tuple(states)


def _other_layers(
    layers: Sequence[int], n_layers: int, draws: int, seed: int
) -> list[tuple[int, ...]]:
    """As many layers as the recipe's, drawn among the others; all others where they are fewer."""
    others = [layer for layer in range(n_layers) if layer not in layers]
    generator = np.random.default_rng(seed)
    count = min(len(layers), len(others))
    drawn = {tuple(sorted(generator.permutation(others)[:count].tolist())) for _ in range(draws)}
    return sorted(drawn - {()})


@contextlib.contextmanager
def in_force(state: ModelState, vlm: LoadedModel, merge: InMemoryMerge) -> Iterator[None]:
    """The VLM changed into a model for a block; what was before it comes back bit for bit."""
    with contextlib.ExitStack() as changes:
        if state.recipe is not None:
            changes.enter_context(merge.applied(state.recipe))
        if state.masked:
            changes.enter_context(attention_zeroed(vlm, state.masked))
        if state.randomised is not None:
            changes.enter_context(weights_randomised(vlm.model, state.randomised))
        yield


@contextlib.contextmanager
def attention_zeroed(vlm: LoadedModel, layers: Sequence[int]) -> Iterator[None]:
    """The self-attention of some text layers adds nothing to the residual stream."""

    def zeroed(module: nn.Module, arguments: object, output: Any) -> Any:
        # (attention output, weights) in every family of the table
        return (torch.zeros_like(output[0]), *output[1:])

    hooks = [
        vlm.text_layers[layer]
        .get_submodule(vlm.family.self_attention)
        .register_forward_hook(zeroed)
        for layer in layers
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def weights_randomised(model: nn.Module, seed: int) -> Iterator[None]:
    """Every weight matrix drawn anew from a normal of its own mean and deviation.

    Biases and norms stay, so that activations keep their scale. Copies of the weights are kept on
    the CPU meanwhile.
    """
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    originals = [parameter.detach().to("cpu", copy=True) for parameter in matrices]
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for parameter, original in zip(matrices, originals, strict=True):
                mean, deviation = original.float().mean(), original.float().std()
                drawn = torch.randn(original.shape, generator=generator) * deviation + mean
                parameter.copy_(drawn)
        yield
    finally:
        with torch.no_grad():
            for parameter, original in zip(matrices, originals, strict=True):
                parameter.copy_(original)
