"""What a run will take, told from one item before it starts.

    estimate_run(vlm, framed, settings, methods=["ig"] * 20, n_items=64).text

Memory is counted: what the forward of one row keeps for its backward. Time is that of one full
forward of each method, with its backward where it needs one, times the forwards that it takes. This
file must not know recipes or records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, join
from merit_interp.attribution.methods import METHODS, MethodSettings
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.models.loading import LoadedModel


@dataclass(frozen=True)
class RunEstimate:
    """Time and memory of a run."""

    seconds: float
    """Of all methods on all items, no item tried again."""
    activation_bytes: int
    """What one forward of the main method keeps for its backward, beside the weights; 0 for a
    method without gradients."""
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
    copies = max(1, settings.batch_size // batch.n_rows)
    seconds = 0.0
    for name in dict.fromkeys(methods):
        method = METHODS[name]
        steps = method.default_steps if settings.steps is None else settings.steps
        passes = method.passes(batch.n_units, steps)
        each = _seconds_per_pass(value, name, min(copies, passes), settings.batch_size)
        seconds += methods.count(name) * n_items * passes * each
    kept = _kept_for_backward(value, settings.method)
    return RunEstimate(seconds, kept * copies, copies * batch.n_rows)


def _seconds_per_pass(value: AnswerValue, name: str, copies: int, rows: int) -> float:
    """Time of one pass over the item where `copies` of them make a forward; warmed up."""
    if METHODS[name].uses_gradients:
        settings = MethodSettings(steps=copies, rows=rows)
        return _seconds(value.vlm, lambda: METHODS[name].scores(value, settings)) / copies
    pixels = value.batch.shown.repeat(copies, 1, 1)
    with torch.no_grad():
        return _seconds(value.vlm, lambda: value(pixels)) / copies


def _kept_for_backward(value: AnswerValue, name: str) -> int:
    """Bytes that a pass of a method keeps, weights left out; each storage once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in value.vlm.model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        METHODS[name].scores(value, MethodSettings(steps=1, rows=1))
    return sum(kept.values())


def _seconds(vlm: LoadedModel, run: Callable[[], object]) -> float:
    """Wall time of the second of two runs; the first one warms up."""
    run()
    started = time.perf_counter()
    run()
    if vlm.device.type == "cuda":
        torch.cuda.synchronize(vlm.device)
    return time.perf_counter() - started
