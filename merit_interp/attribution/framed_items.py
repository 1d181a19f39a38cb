"""Items as the pixels of their units, with what stands for each unit's absence.

    framed = FramedItem.of(encoded, absent, in_evidence)
    batch = join([framed, other], device)

Items of one batch have units of one size; prompts may differ in length. Captum sees one row an
item: axis 0 is items, axis 1 is units, in every family, also in those that pack patches. This file
must not know methods or targets.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from merit_interp.attribution.units import pixels_by_unit, token_units
from merit_interp.errors import CheckpointError, SettingError
from merit_interp.scoring.batches import Batch, plan_batches
from merit_interp.scoring.encoding import EncodedItem
from merit_interp.scoring.frame_tokens import FrameTokenMap
from merit_interp.tensor_shapes import ItemIndices, ItemUnitPixels, PositionUnits, UnitPixels


@dataclass(frozen=True)
class ItemSize:
    """What of an item decides which others it can be joined with."""

    shape: Hashable
    """Shape of its pixels and number of its units: the same for all items of a batch."""
    n_rows: int
    """Prompt rows: one for all options of one token, and one for each longer option."""
    n_prompt: int
    """Tokens of the prompt."""


@dataclass(frozen=True, eq=False)
class FramedItem:
    """One item, encoded on its video and on its baseline."""

    encoded: EncodedItem
    """Without its pixels."""
    frame_tokens: FrameTokenMap
    pixels: str
    """Name of the forward's argument that carries the pixels."""
    pixel_shape: tuple[int, ...]
    """As the processor made them."""
    shown: UnitPixels
    """Pixels of each unit."""
    absent: UnitPixels
    """Pixels of each unit's baseline."""
    in_evidence: tuple[bool, ...]
    """Whether each unit shows evidence; empty where the item names none."""

    @classmethod
    def of(
        cls,
        shown: EncodedItem,
        absent: EncodedItem,
        in_evidence: tuple[bool, ...],
        *,
        drops_zero_frames: bool = False,
    ) -> FramedItem:
        """An item from its encodings on the video and on the baseline.

        Args:
            shown: On the video.
            absent: On the baseline.
            in_evidence: Whether each unit shows evidence.
            drops_zero_frames: As `Family.drops_zero_frames`.

        Raises:
            SettingError: The baseline is what the family drops as padding.
            CheckpointError: The two are not the same prompt on pixels of the same shape.
        """
        tokens = shown.frame_tokens
        name = next(iter(shown.vision_inputs))
        pixels, baseline = shown.vision_inputs[name], absent.vision_inputs[name]
        same = torch.equal(shown.input_ids, absent.input_ids) and pixels.shape == baseline.shape
        if tokens is None or not same:
            raise CheckpointError(f"item {shown.item.id}: video and baseline differ in tokens")
        by_unit = pixels_by_unit(baseline, len(tokens.units))
        if drops_zero_frames and bool((by_unit == 0).all(dim=1).any()):
            raise SettingError(
                f"the baseline of item {shown.item.id} has pixels of zero after normalisation, "
                "which this family drops as padding",
                valid="another --baseline",
            )
        return cls(
            encoded=shown.without([name]),
            frame_tokens=tokens,
            pixels=name,
            pixel_shape=tuple(pixels.shape),
            shown=pixels_by_unit(pixels, len(tokens.units)),
            absent=by_unit,
            in_evidence=in_evidence,
        )

    @property
    def n_units(self) -> int:
        """Units of the video."""
        return len(self.frame_tokens.units)

    @property
    def n_bytes(self) -> int:
        """Memory of its pixels."""
        return 2 * self.shown.numel() * self.shown.element_size()

    def vision_inputs(self, units: UnitPixels) -> dict[str, Tensor]:
        """What the family's forward takes of a video with these pixels, a batch of one."""
        pixels = units.reshape(self.pixel_shape)
        return {self.pixels: pixels, **self.encoded.vision_inputs}

    @property
    def size(self) -> ItemSize:
        """What it can be joined with."""
        options = self.encoded.option_ids
        longer = sum(len(ids) > 1 for ids in options)
        return ItemSize(
            shape=(self.pixel_shape, self.n_units),
            n_rows=longer + (longer < len(options)),
            n_prompt=len(self.encoded.input_ids),
        )


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Items joined: what one call of a method takes."""

    items: tuple[FramedItem, ...]
    batch: Batch
    """Prompt rows and queries; an item has several rows where its options have several tokens."""
    item_of_row: Tensor
    """(rows,) place among `items` of each row."""
    shown: ItemUnitPixels
    absent: ItemUnitPixels
    unit_of_token: PositionUnits
    answers: ItemIndices
    """Index of each item's right option."""
    vision_inputs: Mapping[str, Tensor]
    """What else the forward takes of the videos, one or more entries a row."""

    @property
    def n_items(self) -> int:
        """Items joined."""
        return len(self.items)

    @property
    def n_rows(self) -> int:
        """Rows that a forward has for one pass over the items."""
        return len(self.item_of_row)

    @property
    def n_units(self) -> int:
        """Units of each item."""
        return self.shown.shape[1]


def join(items: Sequence[FramedItem], device: torch.device) -> FrameBatch:
    """Items of one shape as one batch; its order may differ from the one given."""
    encoded = {number: item.encoded for number, item in enumerate(items)}
    # a prompt ends after its video, so its last token is no visual one and can pad
    pad_id = int(items[0].encoded.input_ids[-1])
    (batch,) = plan_batches(encoded, batch_size=1 << 30, pad_id=pad_id, device=device)
    ordered = tuple(items[number] for number in batch.items)
    place = {number: index for index, number in enumerate(batch.items)}
    item_of_row = torch.tensor([place[number] for number in batch.row_items])
    rows = [ordered[place] for place in item_of_row.tolist()]
    maps = [item.frame_tokens for item in rows]
    return FrameBatch(
        items=ordered,
        batch=batch,
        item_of_row=item_of_row.to(device),
        shown=torch.stack([item.shown for item in ordered]).to(device),
        absent=torch.stack([item.absent for item in ordered]).to(device),
        unit_of_token=token_units(maps, batch.input_ids.shape[1]).to(device),
        answers=torch.tensor([item.encoded.item.answer for item in ordered], device=device),
        vision_inputs={
            name: torch.cat([item.encoded.vision_inputs[name] for item in rows]).to(device)
            for name in rows[0].encoded.vision_inputs
        },
    )


def grouped(sizes: Sequence[ItemSize], rows: int) -> list[list[int]]:
    """Places of items of one shape, shortest prompts first, in groups of at most `rows` rows."""
    groups: list[list[int]] = []
    open_groups: dict[Hashable, tuple[list[int], int]] = {}
    for place in sorted(range(len(sizes)), key=lambda place: sizes[place].n_prompt):
        size = sizes[place]
        group, room = open_groups.get(size.shape, ([], 0))
        if size.n_rows > room:
            group, room = [], rows
            groups.append(group)
        group.append(place)
        open_groups[size.shape] = (group, room - size.n_rows)
    return groups
