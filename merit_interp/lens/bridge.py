"""Reads a model through TransformerLens: its bridge on a copy, which it rewrites in place.

    if is_bridgeable(vlm):
        with bridge_engine(vlm) as engine:
            logits = engine.run(inputs, listeners)

The bridge is built from the copied module alone. Booting it by name would load a processor, and
where torchvision is missing TransformerLens then runs pip in this interpreter, which replaces
torch; that function is put out of action here. Importing the library takes
seconds, so it is imported where it is used. This is the only file that knows TransformerLens.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from merit_interp.errors import CheckpointError
from merit_interp.lens.module_engine import eager_attention
from merit_interp.lens.sites import Calls, Listener, Site
from merit_interp.models.loading import LoadedModel

_NAMES: Mapping[str, str] = {
    "entering": "blocks.{}.hook_in",
    "pattern": "blocks.{}.attn.hook_pattern",
    "heads": "blocks.{}.attn.o.hook_in",
    "attention": "blocks.{}.attn.o.hook_out",
    "mlp": "blocks.{}.mlp.hook_out",
    "final": "ln_final.hook_in",
}
"""Hook of each kind of site; the canonical names, since aliases differ between adapters."""


@contextlib.contextmanager
def never_installing() -> Iterator[None]:
    """TransformerLens without the function that installs torchvision."""
    from transformer_lens.model_bridge.sources.transformers import helpers

    before = helpers._ensure_torchvision
    helpers._ensure_torchvision = lambda: False
    try:
        yield
    finally:
        helpers._ensure_torchvision = before


def is_bridgeable(loaded: LoadedModel) -> bool:
    """Whether TransformerLens has an adapter for the model's architecture."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES

    return type(loaded.model).__name__ in SUPPORTED_ARCHITECTURES


@contextlib.contextmanager
def bridge_engine(loaded: LoadedModel) -> Iterator[BridgeEngine]:
    """A bridge to a copy of the model as it is now; the copy goes when the context ends.

    Raises:
        CheckpointError: TransformerLens cannot build it, or lacks a hook that is needed.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    # the adapter reads from the copy's own config which attention is in force
    with eager_attention(loaded):
        model = copy.deepcopy(loaded.model)
    with never_installing():
        try:
            bridge = build_bridge_from_module(
                model, type(loaded.model).__name__, hf_config=model.config
            )
        except (
            # ImportError: the adapter wants torchvision, which is not installed for its sake
            AttributeError, ImportError, KeyError, NotImplementedError, RuntimeError, ValueError,
        ) as error:  # fmt: skip
            # its advice on what to install would replace torch
            why = str(error).partition(". ")[0]
            raise CheckpointError(
                f"TransformerLens cannot bridge {loaded.source}: {why}", valid="--engine modules"
            ) from error
        yield BridgeEngine(bridge, loaded.n_layers, loaded.source)


class BridgeEngine:
    """TransformerLens' hook points; see `sites.Engine`."""

    name = "transformer_lens"

    def __init__(self, bridge: Any, n_layers: int, source: str) -> None:
        self._bridge, self._source = bridge, source
        points = bridge.hook_dict
        sites = {Site("final"): _NAMES["final"]}
        for layer in range(n_layers):
            sites |= {Site(k, layer): n.format(layer) for k, n in _NAMES.items() if k != "final"}
        missing = sorted(name for name in sites.values() if name not in points)
        if missing:
            raise CheckpointError(
                f"TransformerLens' bridge to {source} has no hook {missing[0]}",
                valid="--engine modules",
            )
        self._points = {site: points[name] for site, name in sites.items()}

    @property
    def sites(self) -> frozenset[Site]:
        """Where this model can be listened to."""
        return frozenset(self._points)

    @torch.no_grad()
    def run(self, inputs: Mapping[str, Any], listeners: Mapping[Site, Listener]) -> Tensor:
        """As `Engine.run`."""
        calls = Calls(listeners)
        points = [self._points[site] for site in listeners]
        try:
            for point, (site, listener) in zip(points, listeners.items(), strict=True):
                point.add_hook(_hook(site, listener, calls))
            # not the bridge's own forward, which takes tokens alone
            logits: Tensor = self._bridge.original_model(**inputs).logits
        finally:
            for point in points:
                point.remove_hooks()
        calls.require_one_each("TransformerLens", self._source)
        return logits


def _hook(site: Site, listener: Listener, calls: Calls) -> Callable[..., None]:
    def hook(activation: Tensor, hook: object) -> None:
        calls.count(site)
        # TransformerLens shows heads as an axis of their own
        listener(activation.flatten(2) if site.kind == "heads" else activation)

    return hook
