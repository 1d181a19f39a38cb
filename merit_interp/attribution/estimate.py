"""What a run will take, told from one item before it starts.

    estimate_run(vlm, framed, settings, methods=["ig"] * 20, n_items=64).text

Memory is counted: what the forward of one row keeps for its backward. Time is that of one full
forward, with its backward and without, times the forwards that the methods need. This file must not
know recipes or records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, join
from merit_interp.attribution.methods import METHODS
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.models.loading import LoadedModel


@dataclass(frozen=True)
class RunEstimate:
    """Time and memory of a run."""

    seconds: float
    """Of all methods on all items, no item tried again."""
    activation_bytes: int
    """What one forward keeps for its backward, beside the weights."""
    rows: int
    """Prompt rows of that forward."""

    @property
    def text(self) -> str:
        """One line for a reader."""
        minutes, seconds = divmod(round(self.seconds), 60)
        took = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
        mebibytes = self.activation_bytes / 2**20
        return (
            f"about {took}; {mebibytes:.0f} MiB of activations beside the weights, "
            f"{self.rows} rows at a time"
        )


def estimate_run(
    vlm: LoadedModel,
    item: FramedItem,
    settings: AttributionSettings,
    *,
    methods: Sequence[str],
    n_items: int,
) -> RunEstimate:
    """Time and memory from one item.

    Args:
        vlm: The model.
        item: A typical item.
        settings: Target, steps, rows.
        methods: Method of each model and condition of the run.
        n_items: Items that each goes through.
    """
    batch = join([item], vlm.device)
    value = AnswerValue(vlm, batch, settings.target)
    kept = _kept_for_backward(value)
    copies = max(1, settings.batch_size // batch.n_rows)
    pixels = batch.shown.repeat(copies, 1, 1)
    with torch.no_grad():
        forward = _seconds(vlm, lambda: value(pixels)) / copies
    pixels.requires_grad_()
    both = _seconds(vlm, lambda: torch.autograd.grad(value(pixels).sum(), pixels)) / copies
    seconds = 0.0
    for name in methods:
        method = METHODS[name]
        steps = method.default_steps if settings.steps is None else settings.steps
        passes = method.passes(batch.n_units, steps)
        seconds += n_items * passes * (both if method.uses_gradients else forward)
    return RunEstimate(seconds, kept * copies, copies * batch.n_rows)


def _kept_for_backward(value: AnswerValue) -> int:
    """Bytes that the forward of one pass keeps, weights left out; each storage once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in value.vlm.model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        value(value.batch.shown.clone().requires_grad_())
    return sum(kept.values())


def _seconds(vlm: LoadedModel, run: Callable[[], object]) -> float:
    """Wall time of the second of two runs; the first one warms up."""
    run()
    started = time.perf_counter()
    run()
    if vlm.device.type == "cuda":
        torch.cuda.synchronize(vlm.device)
    return time.perf_counter() - started
