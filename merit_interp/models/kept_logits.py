"""Logits of the asked positions only, from a forward that gives all of them.

    give_kept_logits(model, "lm_head")
    model(input_ids=ids, logits_to_keep=positions).logits      # (batch, positions, vocab)

transformers' models take `logits_to_keep`, all but some (VideoLLaMA3 as of 5.23), which take it for
an argument of their attention and return every position's logits without a word: wrong numbers for
whoever reads them by place, and gigabytes. This file must not know families or prompts.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import slice_logits_to_keep

ARGUMENT = "logits_to_keep"


def give_kept_logits(model: nn.Module, lm_head: str) -> None:
    """Make a model's forward take `logits_to_keep`, where it does not.

    Args:
        model: The model; one whose forward takes the argument is left alone.
        lm_head: Path of its output embedding, which then sees those positions only.
    """
    if ARGUMENT in inspect.signature(model.forward).parameters:
        return
    asked: list[int | Tensor] = [0]

    def note(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        asked[0] = kwargs.pop(ARGUMENT, 0)
        return args, kwargs

    def select(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept: Tensor = slice_logits_to_keep(args[0], asked[0])
        return (kept, *args[1:])

    model.register_forward_pre_hook(note, with_kwargs=True)
    model.get_submodule(lm_head).register_forward_pre_hook(select)
