"""Reads a model through hooks on its own modules: for families that TransformerLens lacks.

    with module_engine(vlm) as engine:
        logits = engine.run(inputs, listeners)

Sites are found by the family's row. The model itself is run, with eager attention for as long as
the context lasts, and is as before after it. This file must not know what is read for what.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from merit_interp.lens.sites import Calls, Listener, Site
from merit_interp.models.loading import LoadedModel

NORM, MLP = "norm", "mlp"
"""Names of the final norm within every text stack, and of the MLP within every layer."""


@contextlib.contextmanager
def eager_attention(loaded: LoadedModel) -> Iterator[None]:
    """The text stack with eager attention, which alone gives the shares; then as before."""
    text = loaded.model.get_submodule(loaded.family.text_model)
    before = text.config._attn_implementation  # type: ignore[union-attr]
    text.set_attn_implementation("eager")  # type: ignore[operator]
    try:
        yield
    finally:
        text.set_attn_implementation(before)  # type: ignore[operator]


@contextlib.contextmanager
def module_engine(loaded: LoadedModel) -> Iterator[ModuleEngine]:
    """The engine, for as long as the model runs with eager attention."""
    with eager_attention(loaded):
        yield ModuleEngine(loaded)


class ModuleEngine:
    """Hooks on transformers' modules; see `sites.Engine`."""

    name = "modules"

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._hooked = dict(_hooked_modules(loaded))

    @property
    def sites(self) -> frozenset[Site]:
        """Where this model can be listened to."""
        return frozenset(self._hooked)

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Any], listeners: Mapping[Site, Listener]) -> Tensor:
        """As `Engine.run`."""
        calls = Calls(listeners)
        with contextlib.ExitStack() as stack:
            for site, listener in listeners.items():
                module, read = self._hooked[site]
                handle = module.register_forward_hook(
                    _hook(site, read, listener, calls), with_kwargs=True
                )
                stack.callback(handle.remove)
            logits: Tensor = self._loaded.model(**inputs).logits
        calls.require_one_each(self.name, self._loaded.source)
        return logits


Read = Callable[[tuple[Any, ...], dict[str, Any], Any], Tensor]
"""What is read of a module's arguments and output."""


def _hook(site: Site, read: Read, listener: Listener, calls: Calls) -> Callable[..., None]:
    def hook(_: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        calls.count(site)
        listener(read(args, kwargs, output))

    return hook


def _hooked_modules(loaded: LoadedModel) -> Iterator[tuple[Site, tuple[nn.Module, Read]]]:
    """Each site with the module that has it, and how it is read there."""
    family = loaded.family
    for number, layer in enumerate(loaded.text_layers):
        attention = layer.get_submodule(family.self_attention)
        output_projection = loaded.projection(number, "o")
        yield Site("entering", number), (layer, _entering)
        yield Site("pattern", number), (attention, lambda args, kwargs, output: output[1])
        yield Site("heads", number), (output_projection, _entering)
        yield Site("attention", number), (output_projection, _leaving)
        if isinstance(getattr(layer, MLP, None), nn.Module):
            yield Site("mlp", number), (layer.get_submodule(MLP), _leaving)
    yield Site("final"), (final_norm(loaded), _entering)


def final_norm(loaded: LoadedModel) -> nn.Module:
    """The norm between the last layer and the output embedding."""
    return loaded.model.get_submodule(f"{loaded.family.text_model}.{NORM}")


def _entering(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Tensor:
    state: Tensor = args[0] if args else kwargs["hidden_states"]
    return state


def _leaving(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Tensor:
    state: Tensor = output[0] if isinstance(output, tuple) else output
    return state
