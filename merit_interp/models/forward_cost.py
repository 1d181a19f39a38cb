"""What one forward of a text stack computes and holds, counted on the meta device.

    cost = text_forward_cost(meta_model(...), family, n_tokens=2176)
    cost.flops, cost.peak_bytes

The family's own code runs on tensors without data; its operations and allocations are counted, so
no formula can drift from the code. Attention counts as a fused kernel, which keeps no scores, and
as if it were not causal. This file must not know weights, items or runs.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from merit_interp.models.families import Family

BACKWARD_ATTENTION = 2.5
"""Five products of the size of the forward's two: scores again, and four gradients."""


@dataclass(frozen=True)
class ForwardCost:
    """One row of `n_tokens` through all text layers; head and embeddings left out."""

    n_tokens: int
    flops: int
    """Floating-point operations of the forward; a multiplication with its addition is two."""
    peak_bytes: int
    """Most bytes alive at once without gradients, beside the weights."""
    kept_bytes: int
    """Bytes that a backward to the embeddings needs kept, beside the weights."""
    backward_flops: int
    """Of that backward; the weights themselves take no gradient."""


def text_forward_cost(model: PreTrainedModel, family: Family, *, n_tokens: int) -> ForwardCost:
    """Run the text model on the meta device, without gradients and with.

    Args:
        model: On the meta device, frozen; its type is the activations'.
        family: Its row.
        n_tokens: Tokens of the row.
    """
    text = model.get_submodule(family.text_model)
    # ids and not embeddings, since a family may look up more than one embedding of each
    row = torch.empty(1, n_tokens, dtype=torch.long, device="meta")
    with torch.no_grad(), _Attention() as attention, _Alive() as alive, _flops() as products:
        text(input_ids=row, use_cache=False)
    kept: dict[int, int] = {}
    weights = {_storage(parameter) for parameter in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in weights:
            kept[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    hook = model.get_input_embeddings().register_forward_hook(
        lambda module, arguments, output: output.requires_grad_()
    )
    with _Attention() as again, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = text(input_ids=row, use_cache=False).last_hidden_state
        with _flops() as backward:
            out.backward(torch.empty_like(out))
    hook.remove()
    return ForwardCost(
        n_tokens=n_tokens,
        flops=products.get_total_flops() + attention.flops,
        peak_bytes=alive.peak,
        kept_bytes=sum(kept.values()),
        backward_flops=backward.get_total_flops() + round(BACKWARD_ATTENTION * again.flops),
    )


def _flops() -> FlopCounterMode:
    return FlopCounterMode(display=False)


def _storage(tensor: Tensor) -> int:
    key: int = tensor.untyped_storage()._cdata
    return key


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of storages that were made within it and are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._made: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = {_storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, Tensor):
                continue
            storage, key = tensor.untyped_storage(), _storage(tensor)
            if key not in self._made and key not in given:
                self._made.add(key)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._freed, key, storage.nbytes())
        return out

    def _freed(self, key: int, n_bytes: int) -> None:
        self._made.discard(key)
        self.now -= n_bytes


class _Attention(TorchFunctionMode):
    """Scaled dot-product attention as a fused kernel: the meta device has none of its own.

    A test of a tensor without data has no answer either; within this mode it is true.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__bool__:
            return True  # masks ask whether all tokens are of one sequence, and none is padding
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = args[:3]
        batch, heads, length, width = query.shape
        self.flops += 2 * batch * heads * length * key.shape[2] * (width + value.shape[-1])
        return _FusedAttention.apply(query, key, value)  # type: ignore[no-untyped-call]


class _FusedAttention(torch.autograd.Function):
    """Allocates and keeps what a fused kernel does, and computes nothing."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        out = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        query, key, value, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
