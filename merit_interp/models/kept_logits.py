"""Logits of the asked positions only, from a forward that gives all of them.

    give_kept_logits(model, "lm_head")
    model(input_ids=ids, logits_to_keep=positions).logits      # (batch, positions, vocab)

transformers' models take `logits_to_keep`, all but some (VideoLLaMA3 as of 5.23), which take it for
an argument of their attention and return every position's logits without a word: wrong numbers for
whoever reads them by place, and gigabytes. Those that take it pick the positions where the last
layer is, with indices that are where the first is, which fails where the two are different GPUs.
This file must not know families or prompts.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import slice_logits_to_keep

ARGUMENT = "logits_to_keep"


def give_kept_logits(model: nn.Module, lm_head: str) -> None:
    """Make a model's forward take `logits_to_keep`, where it does not or is on several devices.

    Args:
        model: The model; one on one device whose forward takes the argument is left alone.
        lm_head: Path of its output embedding, which then sees those positions only.
    """
    devices = getattr(model, "hf_device_map", None) or {}
    if ARGUMENT in inspect.signature(model.forward).parameters and len({*devices.values()}) < 2:
        return
    asked: list[int | Tensor] = [0]

    def note(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        asked[0] = kwargs.pop(ARGUMENT, 0)
        return args, kwargs

    def select(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, where = args[0], asked[0]
        if isinstance(where, Tensor):
            where = where.to(hidden.device)
        kept: Tensor = slice_logits_to_keep(hidden, where)
        return (kept, *args[1:])

    model.register_forward_pre_hook(note, with_kwargs=True)
    model.get_submodule(lm_head).register_forward_pre_hook(select)
