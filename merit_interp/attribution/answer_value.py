"""The function that Captum attributes: pixels of units in, one number for each item's answer out.

    value = AnswerValue(vlm, batch, "margin")
    value(batch.shown)                           # (items,), nats
    value.of_switches(torch.ones(n_items, n_units))    # the same: every unit shown

Captum hands over the items again and again in one tensor, copy after copy of the whole batch; row
i is item i modulo the number of items. The forward is the family's own, from pixels on. This file
must not know methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from merit_interp.attribution.framed_items import FrameBatch
from merit_interp.attribution.target import Target, target_options, target_values
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.batches import option_log_probs
from merit_interp.scoring.visual_cache import encoder_outputs, visual_features
from merit_interp.tensor_shapes import ItemLogProbs, ItemUnitPixels, ItemUnits, ItemValues


class AnswerValue:
    """The target of a batch's items, as a function of what their units show.

    Args:
        vlm: The model as it is now.
        batch: The items.
        target: Which number; the option it is about is fixed here, on the unaltered video.
    """

    def __init__(self, vlm: LoadedModel, batch: FrameBatch, target: Target) -> None:
        self.vlm = vlm
        self.batch = batch
        self.target = target
        with torch.no_grad():
            self.shown_log_probs = self.log_probs(batch.shown)
            absent = self.log_probs(batch.absent)
        self.options = target_options(self.shown_log_probs, batch.answers, target)
        self.of_all = target_values(self.shown_log_probs, self.options, target)
        """(items,) with every unit shown."""
        self.of_none = target_values(absent, self.options, target)
        """(items,) with every unit absent."""

    def __call__(self, units: ItemUnitPixels) -> ItemValues:
        """Value of each item of each copy, in nats.

        Args:
            units: (copies x items, units, values) pixels, the copies one after another.
        """
        log_probs = self.log_probs(units)
        copies = len(units) // self.batch.n_items
        return target_values(log_probs, self.options.repeat(copies), self.target)

    def of_switches(self, switches: ItemUnits) -> ItemValues:
        """Value of each item of each copy, with each unit between absent (0) and shown (1)."""
        return self(self.pixels(switches))

    def pixels(self, switches: ItemUnits) -> ItemUnitPixels:
        """Pixels with each unit between absent (0) and shown (1), exact at both ends."""
        copies = len(switches) // self.batch.n_items
        absent, shown = (x.repeat(copies, 1, 1) for x in (self.batch.absent, self.batch.shown))
        return torch.lerp(absent, shown, switches[:, :, None].to(shown.dtype))

    def log_probs(self, units: ItemUnitPixels) -> ItemLogProbs:
        """Log-probability of each option of each item of each copy, in nats."""
        batch, item = self.batch, self.batch.items[0]
        copies = len(units) // batch.n_items
        by_copy = units.reshape(copies, batch.n_items, *units.shape[1:])[:, batch.item_of_row]
        # (copies, rows, units, values) back to what the family's processor makes
        pixels = by_copy.reshape(-1, *item.pixel_shape[1:]).to(self.vlm.model.dtype)
        return self._option_log_probs(copies, {item.pixels: pixels})

    def encoded(self) -> Callable[[Tensor], ItemValues]:
        """The value as a function of one switch an item, all units shown (1) or absent (0).

        The encoder runs once for either end, and not for every copy: for methods that look at what
        comes after it.
        """
        batch, dtype = self.batch, self.vlm.model.dtype
        ends = [
            tuple(
                visual_features(self.vlm, item.vision_inputs(units.to(dtype)))
                for units in (item.absent, item.shown)
            )
            for item in batch.items
        ]
        item_of_row = batch.item_of_row.tolist()

        def value(switches: Tensor) -> ItemValues:
            by_copy = (switches > 0.5).reshape(-1, batch.n_items).tolist()
            rows = [ends[item][int(copy[item])] for copy in by_copy for item in item_of_row]
            encoder = {"mm_encoder_outputs": encoder_outputs(self.vlm, rows)}
            log_probs = self._option_log_probs(len(by_copy), encoder)
            return target_values(log_probs, self.options.repeat(len(by_copy)), self.target)

        return value

    def _option_log_probs(self, copies: int, vision: Mapping[str, Any]) -> ItemLogProbs:
        """One forward of all copies, given the video as pixels or as the encoder's output."""
        batch = self.batch
        inputs: dict[str, Tensor] = {
            "input_ids": batch.batch.input_ids, **batch.batch.token_inputs, **batch.vision_inputs
        }  # fmt: skip
        repeated = {name: torch.cat([value] * copies) for name, value in inputs.items()}
        logits = self.vlm.model(
            **repeated, **vision, logits_to_keep=batch.batch.kept, use_cache=False
        ).logits.to(batch.shown.device)
        return torch.cat(
            [option_log_probs(part, batch.batch) for part in torch.split(logits, batch.n_rows)]
        )
