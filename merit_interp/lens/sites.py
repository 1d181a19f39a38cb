"""Where a forward is listened to, whatever reads it.

    logits = engine.run(inputs, {Site("entering", 0): states.append})

An engine runs a model with listeners at named sites and gives its logits. Every listener must have
been called exactly once, or what was read is not what it is taken for. This file must not know what
is done with what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from merit_interp.errors import CheckpointError

KINDS = ("entering", "pattern", "heads", "attention", "mlp", "final")
"""What enters a layer, (rows, seq, hidden); its attention, (rows, heads, seq, seq); its heads'
outputs, which enter the output projection, (rows, seq, width); what that projection and the MLP
give, (rows, seq, hidden); and what enters the final norm, of no layer."""


@dataclass(frozen=True)
class Site:
    """One place of a forward."""

    kind: str
    """One of `KINDS`."""
    layer: int = 0
    """Text layer, counted from 0; 0 for `final`."""


Listener = Callable[[Tensor], None]


@runtime_checkable
class Engine(Protocol):
    """Reads one model, as it is for as long as its context lasts."""

    name: str

    @property
    def sites(self) -> frozenset[Site]:
        """Where this model can be listened to."""

    def run(self, inputs: Mapping[str, Any], listeners: Mapping[Site, Listener]) -> Tensor:
        """Run the model without gradients, with eager attention.

        Args:
            inputs: Arguments of the forward.
            listeners: Given what is at each site.

        Returns:
            The logits.

        Raises:
            CheckpointError: A listener was not called exactly once.
        """


class Calls:
    """Counts the calls of listeners during one forward."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._counts = dict.fromkeys(sites, 0)

    def count(self, site: Site) -> None:
        """One more call."""
        self._counts[site] += 1

    def require_one_each(self, engine: str, source: str) -> None:
        """Refuse a forward whose hooks did not fire, or fired several times.

        Raises:
            CheckpointError: Names the first such site.
        """
        for site, count in self._counts.items():
            if count != 1:
                raise CheckpointError(
                    f"{source}: the {engine} hook on {site.kind!r} of layer {site.layer} fired "
                    f"{count} times in one forward",
                    valid="a model whose every layer is run once; or --engine modules",
                )
