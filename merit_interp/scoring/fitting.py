"""Forwards that a device has no room for, run in halves instead, and said in one line a halving.

    fitting = Fitting(split)
    for part, logits in fitting.run(batch, forward): ...

How many rows fit depends on frames, model and device, which no default can know. A score does not
depend on the rows beside it, but another shape may be summed in another order: over 120 items of
the embedded pair on the CPU, scores at 64 rows and at 1 differ by at most 6e-6 nats in float32, by
nothing in bfloat16, and no answer differs. GPUs choose kernels by shape too; not measured there.
This file must not know what a forward computes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from merit_interp.errors import SettingError
from merit_interp.scoring.batches import Batch

Result = TypeVar("Result")
Split = Callable[[Sequence[int], int], Sequence[Batch]]
"""(prepared items, most rows) -> their batches; an item with more rows has a batch to itself."""


class Fitting:
    """Knows how many rows a forward may have, once one did not fit.

    Args:
        split: Makes smaller batches of a batch's items.
    """

    def __init__(self, split: Split) -> None:
        self._split = split
        self._most_rows: int | None = None

    def run(
        self, batch: Batch, forward: Callable[[Batch], Result]
    ) -> Iterator[tuple[Batch, Result]]:
        """What a forward gives of a batch, or of its parts where the whole does not fit.

        Raises:
            SettingError: One item alone does not fit.
        """
        n_rows = len(batch.row_items)
        if self._most_rows is None or n_rows <= self._most_rows or len(batch.items) == 1:
            try:
                result = forward(batch)
            except torch.OutOfMemoryError:
                self._halve(batch)
            else:
                yield batch, result
                return
        # out of the handler, whose traceback holds what the forward had made
        torch.cuda.empty_cache()
        assert self._most_rows is not None
        for part in self._split(batch.items, self._most_rows):
            yield from self.run(part, forward)

    def _halve(self, batch: Batch) -> None:
        n_rows, device = len(batch.row_items), batch.input_ids.device
        if len(batch.items) == 1:
            raise SettingError(
                f"one item of {n_rows} rows of {batch.input_ids.shape[1]} tokens does not fit on "
                f"{device}",
                valid="fewer --max-frames, --dtype bfloat16, --device-map auto, another --device",
            ) from None
        self._most_rows = max(1, n_rows // 2)
        logging.getLogger(__name__).warning(
            "%d rows do not fit on %s: going on with at most %d, as --batch-size %d would",
            n_rows, device, self._most_rows, self._most_rows,
        )  # fmt: skip
