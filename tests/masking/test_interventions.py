"""nnsight's edits against plain torch hooks, bit for bit, on four families."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from merit_interp.masking.interventions import AttentionTraces, Edit, Entry
from tests.masking.tiny_families import HEADS, HIDDEN, LAYERS, TINY_FAMILIES, TinyModel

HEAD_WIDTH = HIDDEN // HEADS


@pytest.fixture(scope="module", params=sorted(TINY_FAMILIES))
def tiny(request: pytest.FixtureRequest) -> TinyModel:
    return TINY_FAMILIES[request.param]()


@contextlib.contextmanager
def hooked(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A plain forward hook on the first tensor of a module's output."""

    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def hooked_heads(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    handle = module.o_proj.register_forward_pre_hook(lambda _, args: (change(args[0]),))
    try:
        yield
    finally:
        handle.remove()


def attention_of(layer: nn.Module) -> nn.Module:
    return layer.self_attn


def token_masks(tiny: TinyModel) -> dict[str, Tensor]:
    last = torch.zeros_like(tiny.visual)
    last[:, -1] = True
    return {
        "all": torch.ones_like(tiny.visual),
        "visual": tiny.visual,
        "text": ~tiny.visual,
        "last": last,
    }


def values(tiny: TinyModel) -> dict[str, Tensor]:
    rows, seq = tiny.visual.shape
    generator = torch.Generator().manual_seed(1)
    return {
        "zero": torch.zeros(()),
        "mean": torch.randn(HIDDEN, generator=generator),
        "another run": torch.randn(rows, seq, HIDDEN, generator=generator),
    }


@pytest.mark.parametrize("tokens", ["all", "visual", "text", "last"])
@pytest.mark.parametrize("value", ["zero", "mean", "another run"])
def test_edits_equal_plain_hooks(tiny: TinyModel, tokens: str, value: str) -> None:
    where, replacement = token_masks(tiny)[tokens], values(tiny)[value]
    layers = (1, 3)
    before = tiny.logits()
    with contextlib.ExitStack() as stack:
        for layer in layers:
            change = _written_in(where, replacement)
            stack.enter_context(hooked(attention_of(tiny.layers[layer]), change))
        wanted = tiny.logits()
    with AttentionTraces(tiny.layers) as traces:
        found = traces.run(tiny.logits, edits=dict.fromkeys(layers, Edit(where, replacement)))
    assert torch.equal(found.result, wanted)
    assert not torch.equal(wanted, before)
    assert torch.equal(tiny.logits(), before)


def _written_in(where: Tensor, value: Tensor) -> Callable[[Tensor], Tensor]:
    """The same edit, written another way."""

    def change(old: Tensor) -> Tensor:
        new = old.clone()
        new[where] = value.expand_as(old)[where]
        return new

    return change


@pytest.mark.parametrize("tokens", ["all", "visual"])
def test_heads_equal_plain_hooks(tiny: TinyModel, tokens: str) -> None:
    where, head = token_masks(tiny)[tokens], 2
    columns = torch.arange(HIDDEN) // HEAD_WIDTH == head
    start, end = head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH

    def change(old: Tensor) -> Tensor:
        new = old.clone()
        new[..., start:end] = torch.where(where[..., None], 0.0, old[..., start:end])
        return new

    with hooked_heads(attention_of(tiny.layers[1]), change):
        wanted = tiny.logits()
    with AttentionTraces(tiny.layers) as traces:
        found = traces.run(tiny.logits, edits={1: Edit(where, torch.zeros(()), columns)})
    assert torch.equal(found.result, wanted)
    assert not torch.equal(wanted, tiny.logits())


def test_other_weights_equal_swapped_weights(tiny: TinyModel) -> None:
    """What `revert` does: the attention of other weights on the same input."""
    layer, everywhere = 2, token_masks(tiny)["all"]
    module = attention_of(tiny.layers[layer])
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.q_proj.weight.mul_(-1.5)
        other.o_proj.weight.add_(0.1)
    with AttentionTraces(tiny.layers) as traces:
        edit = Edit(everywhere, lambda args, kwargs: other(*args, **kwargs)[0])
        found = traces.run(tiny.logits, edits={layer: edit})
    kept = module.state_dict(keep_vars=False)
    kept = {name: tensor.clone() for name, tensor in kept.items()}
    module.load_state_dict(other.state_dict())
    wanted = tiny.logits()
    module.load_state_dict(kept)
    assert torch.equal(found.result, wanted)
    assert not torch.equal(wanted, tiny.logits())


def test_attention_is_read_as_hooks_read_it(tiny: TinyModel) -> None:
    seen: dict[str, Tensor] = {}
    module = attention_of(tiny.layers[2])
    handles = [
        module.register_forward_hook(lambda m, a, output: seen.update(output=output[0])),
        module.o_proj.register_forward_pre_hook(lambda m, args: seen.update(heads=args[0])),
        tiny.layers[2].register_forward_pre_hook(lambda m, args: seen.update(entering=args[0])),
    ]
    tiny.logits()
    for handle in handles:
        handle.remove()
    with AttentionTraces(tiny.layers) as traces:
        for site in ("output", "heads"):
            found = traces.run(tiny.logits, attention=range(LAYERS), entering=(2,), site=site)
            assert torch.equal(found.attention[2], seen[site])
            assert torch.equal(found.entering[2], seen["entering"])
            assert sorted(found.attention) == list(range(LAYERS))


@pytest.mark.parametrize("start", range(LAYERS))
def test_starting_at_a_layer_gives_the_same_numbers(tiny: TinyModel, start: int) -> None:
    where = token_masks(tiny)["all"]
    edits = {3: Edit(where, torch.zeros(()))}
    with AttentionTraces(tiny.layers) as traces:
        whole = traces.run(tiny.logits, edits=edits, entering=range(LAYERS))
        entry = Entry(start, whole.entering[start])
        part = traces.run(tiny.logits, edits=edits, entry=entry, entering=range(start + 1, LAYERS))
    assert torch.equal(part.result, whole.result)
    for layer, state in part.entering.items():
        assert torch.equal(state, whole.entering[layer])


def test_layers_below_the_entry_do_not_run(tiny: TinyModel) -> None:
    ran = []
    handles = [
        layer.self_attn.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(tiny.layers)
    ]
    with AttentionTraces(tiny.layers) as traces:
        state = traces.run(tiny.logits, entering=(2,)).entering[2]
        ran.clear()
        traces.run(tiny.logits, entry=Entry(2, state))
    for handle in handles:
        handle.remove()
    assert ran == [2, 3]


class BrokenError(Exception):
    """Raised in the middle of a run."""


def test_an_exception_inside_leaves_the_model_as_it_was(tiny: TinyModel) -> None:
    before = tiny.logits()
    attributes = [set(module.__dict__) for module in tiny.layers.modules()]
    where = token_masks(tiny)["all"]

    def breaks(args: Any, kwargs: Any) -> Tensor:
        raise BrokenError

    def forward_breaks() -> Tensor:
        tiny.logits()
        raise BrokenError

    edits = {1: Edit(where, torch.zeros(())), 2: Edit(where, breaks)}
    with AttentionTraces(tiny.layers) as traces:
        with pytest.raises(BrokenError):
            traces.run(tiny.logits, edits=edits)
        assert torch.equal(tiny.logits(), before)
        with pytest.raises(BrokenError):
            traces.run(forward_breaks, edits={1: edits[1]})
        assert torch.equal(tiny.logits(), before)
        assert torch.equal(traces.run(tiny.logits).result, before)
    with pytest.raises(BrokenError), AttentionTraces(tiny.layers):
        raise BrokenError
    assert torch.equal(tiny.logits(), before)
    assert [set(module.__dict__) for module in tiny.layers.modules()] == attributes


def test_no_gradients_are_kept(tiny: TinyModel) -> None:
    tiny.model.requires_grad_(True)
    with AttentionTraces(tiny.layers) as traces:
        found = traces.run(tiny.logits, attention=(0,), entering=(0,))
    tiny.model.requires_grad_(False)
    for tensor in (found.result, found.attention[0], found.entering[0]):
        assert not tensor.requires_grad
