"""The one intervention: edit the self-attention of any text layers while the model runs.

    with AttentionTraces(vlm.text_layers) as traces:
        traced = traces.run(forward, edits={3: Edit(where, torch.zeros(()))})
        traced.result

An edit replaces a layer's self-attention output, or the slices of single heads where they enter the
output projection, at chosen tokens. A run may start at a layer: the layers below are not run, and
the hidden state that enters it is given. This is the only file that knows nnsight, and it must not
know modes, items or recipes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Literal

import torch
from nnsight import NNsight
from torch import Tensor, nn

AttentionOf = Callable[[tuple[Any, ...], dict[str, Any]], Tensor]
"""Self-attention's output, (rows, seq, hidden), as a function of its arguments."""

Site = Literal["output", "heads"]
"""Where self-attention is read and edited: its output, or the input of its output projection."""


# No shape annotations here: nnsight captures values in this file, and an annotated function would
# be handed a value before it exists.
@dataclass(frozen=True, eq=False)
class Edit:
    """What takes the place of one layer's self-attention."""

    where: Tensor
    """(rows, seq) booleans: the tokens at which it is replaced."""
    value: Tensor | AttentionOf
    """The replacement, which broadcasts to (rows, seq, width); or how to compute it from the
    arguments that self-attention is called with."""
    columns: Tensor | None = None
    """(width,) booleans: the heads' columns of the output projection's input; None edits the
    output of the whole of self-attention."""
    leaves_nothing: bool = False
    """Whether `where` is every token but padding: then self-attention need not be computed, and
    padding, which no other token attends to, is replaced too."""

    @property
    def site(self) -> Site:
        """Where the edit takes place."""
        return "output" if self.columns is None else "heads"

    def applied(self, old: Tensor, value: Tensor) -> Tensor:
        """`old`, (rows, seq, width), with `value` where the edit says so."""
        # a model may be spread over devices, its inputs on the first
        chosen = self.where[..., None].to(old.device)
        if self.columns is not None:
            chosen = chosen & self.columns.to(old.device)
        return torch.where(chosen, value.to(old), old)


@dataclass(frozen=True, eq=False)
class Entry:
    """Where a run starts."""

    layer: int
    """The first layer that is run."""
    hidden: Tensor
    """(rows, seq, hidden) the hidden state that enters it."""


@dataclass(frozen=True, eq=False)
class Traced:
    """What a run gave; every tensor is detached."""

    result: Any
    """What `forward` returned."""
    entering: Mapping[int, Tensor]
    """Hidden state that entered each layer asked for, (rows, seq, hidden)."""
    attention: Mapping[int, Tensor]
    """Self-attention of each layer asked for, before its edit, (rows, seq, width)."""


@dataclass
class AttentionTraces:
    """nnsight over a model's text layers, for as long as the context lasts.

    Inside the context the layers' modules carry nnsight's controllers, which do nothing outside a
    run; leaving it takes them off, also after an exception.
    """

    layers: nn.ModuleList
    self_attention: str = "self_attn"
    """Name of the self-attention module within a layer."""
    output_projection: str = "o_proj"
    """Name of the output projection within self-attention."""
    _envoy: Any = field(default=None, init=False, repr=False)
    _parts: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    """Into how many parts each layer's self-attention was seen to return its output, 0 for one
    that is no tuple."""
    _before: list[tuple[nn.Module, dict[str, Any]]] = field(
        default_factory=list, init=False, repr=False
    )

    def __enter__(self) -> AttentionTraces:
        self._before = [(module, dict(module.__dict__)) for module in self.layers.modules()]
        self._envoy = NNsight(self.layers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Literal[False]:
        self._envoy = None
        for module, before in self._before:
            for name in set(module.__dict__) - set(before):
                del module.__dict__[name]
            if "forward" in before:
                module.__dict__["forward"] = before["forward"]
        self._before = []
        return False

    @torch.no_grad()
    def run(
        self,
        forward: Callable[[], Any],
        *,
        edits: Mapping[int, Edit] = MappingProxyType({}),
        entry: Entry | None = None,
        entering: Collection[int] = (),
        attention: Collection[int] = (),
        site: Site = "output",
    ) -> Traced:
        """Run the model once, with edits, and read what was asked for.

        Args:
            forward: Runs the whole model on one batch and returns what is wanted of it.
            edits: Edit of each edited layer; none below the entry.
            entry: Start here: layers below are skipped. None runs every layer.
            entering: Layers whose entering hidden state is read; none up to the entry's.
            attention: Layers whose self-attention is read, before any edit.
            site: Where `attention` is read.
        """
        states: dict[int, Tensor] = {}
        read: dict[int, Tensor] = {}
        start = 0 if entry is None else entry.layer
        # nnsight runs this block beside `forward`; it reads and edits in the model's own order
        with self._envoy.trace(0, fn=lambda _: forward()) as tracer:
            for number in range(len(self.layers)):
                layer = self._envoy[number]
                if number < start:
                    # any state will do: what the entry's layer takes is given below
                    layer.skip(layer.input)
                    continue
                if entry is not None and number == start:
                    layer.input = entry.hidden
                if number in entering:
                    states[number] = layer.input.detach()
                if number in attention or not self._skipped(number, edits.get(number), layer):
                    old = self._attention(number, layer, site, edits.get(number))
                    if number in attention:
                        read[number] = old.detach()
            result = tracer.result.save()
        return Traced(result, states, read)

    def _skipped(self, number: int, edit: Edit | None, layer: Any) -> bool:
        """Whether nothing is left to do: no edit, or one that spares the module's computation."""
        if edit is None:
            return True
        if not (edit.leaves_nothing and edit.site == "output" and number in self._parts):
            return False
        if not isinstance(edit.value, Tensor):
            return False
        hidden = layer.input
        new = edit.value.to(hidden).expand(hidden.shape)
        parts = self._parts[number]
        getattr(layer, self.self_attention).skip((new, *[None] * (parts - 1)) if parts else new)
        return True

    def _attention(self, number: int, layer: Any, site: Site, edit: Edit | None) -> Any:
        """Read one layer's self-attention as it runs, and edit it if asked; what was there."""
        module = getattr(layer, self.self_attention)
        if edit is None:
            return _first(module.output if site == "output" else self._heads_of(module).input)
        value = edit.value if isinstance(edit.value, Tensor) else edit.value(*module.inputs)
        if edit.site == "heads":
            projection = self._heads_of(module)
            old = projection.input
            projection.input = edit.applied(old, value)
            return old
        outputs = module.output
        old = _first(outputs)
        new = edit.applied(old, value)
        module.output = (new, *outputs[1:]) if isinstance(outputs, tuple) else new
        self._parts[number] = len(outputs) if isinstance(outputs, tuple) else 0
        return old

    def _heads_of(self, module: Any) -> Any:
        return getattr(module, self.output_projection)


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, tuple) else outputs
