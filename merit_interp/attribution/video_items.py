"""The items of a run: videos decoded, encoded on what is shown and on its baseline, pictured.

    videos = VideoItems(vlm, item_file, items, VideoSettings())
    videos.framed(0, "reversed")     # a FramedItem

Pixels are kept while there is room and made again where not: decoding costs little beside gradients
through a large model. This file must not know methods.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image

from merit_interp.attribution.baselines import BASELINES, baseline_frames
from merit_interp.attribution.controls import DEFAULT_CONTROLS, controlled_frames
from merit_interp.attribution.framed_items import FramedItem, ItemSize
from merit_interp.attribution.units import pixels_by_unit
from merit_interp.benchmarks.decoding import ItemVideos
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.benchmarks.video_controls import (
    CONTROLS,
    NotApplicable,
    frames_in_evidence,
    item_seed,
    not_applicable,
)
from merit_interp.benchmarks.videos import Video
from merit_interp.errors import CheckpointError, ItemError, SettingError, VideoError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import SeenVideo, video_processor_for
from merit_interp.recipe import Scoring
from merit_interp.records import AttributedItem
from merit_interp.scoring.encoding import EncodedItem, encode_item, see_video
from merit_interp.tensor_shapes import Frame, Frames

VIDEO = "video"
"""The condition that is no control: the video as it is."""
CONDITIONS = (VIDEO, *DEFAULT_CONTROLS, *(c for c in CONTROLS if c not in DEFAULT_CONTROLS))
"""Everything that an item can be shown as, in the order of a run."""
THUMBNAIL_PIXELS = 96
"""Longest side of a frame in a figure."""


@dataclass(frozen=True)
class VideoSettings:
    """How items become pixels."""

    scoring: Scoring = Scoring()
    baseline: str | None = None
    """One of `BASELINES`; None for the first of them that the family does not take for padding."""
    seed: int = 0
    """Of shuffled frames."""
    cache_gib: float = 2.0
    """Memory for pixels."""
    decoding: DecodingSettings | None = None
    """How videos are decoded; the defaults if not given."""


class VideoItems:
    """Items prepared for one family.

    Args:
        vlm: Says how prompts and pixels are made.
        item_file: Where the items are from; their videos lie beside it.
        items: Which of its items.
        item_set: Name of the items in the records.
        settings: Frames, baseline, seed.
        progress: Told how many items are prepared, and of how many.

    Raises:
        SettingError: The baseline is what the family drops as padding.
        CheckpointError: The checkpoint's processor does not serve.
    """

    def __init__(
        self,
        vlm: LoadedModel,
        item_file: ItemFile,
        items: Sequence[Item],
        item_set: str,
        settings: VideoSettings,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.items = tuple(items)
        self.item_set = item_set
        self.failures: dict[int, str] = {}
        """Why an item could not be prepared, by its place."""
        self.pictures: dict[int, AttributedItem] = {}
        """What figures show of each item, by its place."""
        self.sizes: dict[int, ItemSize] = {}
        """What each item can be joined with, the same in every condition."""
        self.not_applicable: dict[tuple[int, str], str] = {}
        """Why a control says nothing of an item, by its place and the control."""
        self.baseline = settings.baseline or next(iter(BASELINES))
        """What stands for an absent frame."""
        self._vlm = vlm
        self.videos = ItemVideos(item_file, settings.scoring, settings.decoding)
        """The items' frames."""
        self._settings = settings
        self._processor = video_processor_for(vlm.directory, vlm.family)
        self._kept: dict[tuple[int, str], FramedItem] = {}
        self._room = int(settings.cache_gib * 2**30)
        for place, item in enumerate(self.items):
            try:
                video = self.videos.decoded(item)
                framed = self._first_framed(item, video)
            except (VideoError, ItemError) as error:
                self.failures[place] = str(error)
            else:
                if not self.pictures:
                    self._check_time_order(item, video, framed)
                self._keep((place, VIDEO), framed)
                self._note_not_applicable(place, item, video)
                self.pictures[place] = self._picture(item, video, framed)
                self.sizes[place] = framed.size
            if progress is not None:
                progress(place + 1, len(self.items))

    @property
    def processor_route(self) -> str:
        """Which code made the pixels, for the run's provenance."""
        return self._processor.route

    @property
    def unit(self) -> Literal["frame", "temporal_patch"]:
        """What has a score of its own in this family."""
        return "frame" if self._vlm.family.frames_per_unit == 1 else "temporal_patch"

    @property
    def places(self) -> list[int]:
        """Places of the items that did not fail."""
        return list(self.pictures)

    def places_in(self, condition: str) -> list[int]:
        """Those of them that the condition says something of."""
        return [place for place in self.pictures if (place, condition) not in self.not_applicable]

    def framed(self, place: int, condition: str) -> FramedItem:
        """An item's pixels in a condition, one of `CONDITIONS`."""
        key = (place, condition)
        if key in self._kept:
            return self._kept[key]
        item = self.items[place]
        framed = self._framed(item, self.videos.decoded(item), condition)
        self._keep(key, framed)
        return framed

    def forget(self, condition: str) -> None:
        """Make room: a condition that is not asked for again."""
        for key in [key for key in self._kept if key[1] == condition]:
            self._room += self._kept.pop(key).n_bytes

    def _keep(self, key: tuple[int, str], framed: FramedItem) -> None:
        if framed.n_bytes <= self._room:
            self._room -= framed.n_bytes
            self._kept[key] = framed

    def _first_framed(self, item: Item, video: Video) -> FramedItem:
        """The item on its video; settles which baseline serves, where none was asked for."""
        if self._settings.baseline is not None or self.pictures:
            return self._framed(item, video, VIDEO)
        refusal: SettingError | None = None
        for name in BASELINES:
            self.baseline = name
            try:
                return self._framed(item, video, VIDEO)
            except SettingError as error:
                refusal = refusal or error
        assert refusal is not None  # there are baselines
        raise refusal

    def _framed(self, item: Item, video: Video, condition: str) -> FramedItem:
        baseline = baseline_frames(self.baseline, video.frames)
        shown, order = video.frames, tuple(range(len(video.frames)))
        for control in CONTROLS:
            if control == condition:
                seed = item_seed(self._settings.seed, item.id)
                altered = controlled_frames(
                    control, video, baseline, evidence=item.evidence, seed=seed
                )
                assert not isinstance(altered, NotApplicable)  # it was noted
                shown, baseline, order = altered.frames, altered.baseline, altered.order
        seen = self._seen(video, shown)
        encoded = self._encoded(item, video, seen)
        # an absent frame keeps the tokens of the frame: which of them a family drops, because they
        # are as in the frame before, is the video's affair
        pixels = self._vlm.family.video_inputs[0]
        absent = {**seen.inputs, pixels: self._seen(video, baseline).inputs[pixels]}
        flags = frames_in_evidence(video.spans_s, item.evidence)
        assert encoded.frame_tokens is not None  # an item on a video
        in_evidence = tuple(
            any(flags[order[frame]] for frame in unit.frames) for unit in encoded.frame_tokens.units
        )
        return FramedItem.of(
            encoded,
            self._encoded(item, video, dataclasses.replace(seen, inputs=absent)),
            in_evidence if item.evidence else (),
            drops_zero_frames=self._vlm.family.drops_zero_frames,
        )

    def _note_not_applicable(self, place: int, item: Item, video: Video) -> None:
        for control in CONTROLS:
            refusal = not_applicable(control, video.spans_s, item.evidence)
            if refusal is not None:
                self.not_applicable[place, control] = refusal.reason

    def _seen(self, video: Video, frames: Frames) -> SeenVideo:
        """Other frames in place of the video's."""
        return see_video(self._processor, dataclasses.replace(video, frames=frames))

    def _encoded(self, item: Item, video: Video, seen: SeenVideo) -> EncodedItem:
        scoring = self._settings.scoring
        return encode_item(self._vlm, self._processor, item, video, scoring, seen)

    def _check_time_order(self, item: Item, video: Video, framed: FramedItem) -> None:
        """Each unit's row of pixels is the unit's own: seen by inverting a unit's frames.

        Raises:
            CheckpointError: Another row changes too.
        """
        for number in {0, framed.n_units - 1}:
            frames = video.frames.copy()
            members = list(framed.frame_tokens.units[number].frames)
            frames[members] = 255 - frames[members]
            pixels = self._seen(video, frames).inputs[framed.pixels]
            changed = (pixels_by_unit(pixels, framed.n_units) != framed.shown).any(dim=1)
            if torch.nonzero(changed).flatten().tolist() != [number]:
                raise CheckpointError(
                    f"{self._vlm.source}: pixels of a unit are not where its frames are",
                    valid="a family whose pixels have time as their slowest axis",
                )

    def _picture(self, item: Item, video: Video, framed: FramedItem) -> AttributedItem:
        units = {
            frame: number
            for number, unit in enumerate(framed.frame_tokens.units)
            for frame in unit.frames
        }
        flags = frames_in_evidence(video.spans_s, item.evidence) if item.evidence else ()
        return AttributedItem(
            item=item.id,
            item_set=self.item_set,
            skill=item.skill,
            category=item.category,
            group=item.group,
            question=item.question,
            options=item.options,
            answer=item.answer,
            starts_s=tuple(start for start, _ in video.spans_s),
            ends_s=tuple(end for _, end in video.spans_s),
            units=tuple(units[frame] for frame in range(len(video.frames))),
            in_evidence=flags,
            thumbnails=tuple(thumbnail(frame) for frame in video.frames),
        )


def thumbnail(frame: Frame) -> str:
    """A frame as a data URI, at most `THUMBNAIL_PIXELS` wide and high."""
    image = Image.fromarray(np.ascontiguousarray(frame))
    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    content = io.BytesIO()
    kind: Literal["png", "jpeg"] = "png" if max(image.size) <= THUMBNAIL_PIXELS // 2 else "jpeg"
    image.save(content, format=kind, **({"quality": 80} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
