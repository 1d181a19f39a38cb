"""What a run is made of: one model, shown one condition, through one method, on all items.

    for place, record in block_records(vlm, videos, block, settings): ...

This file must not know runs, files or where a recipe comes from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from merit_interp.attribution.evidence_effects import (
    EVIDENCE_DRAWS,
    EvidenceEffect,
    evidence_effects,
)
from merit_interp.attribution.frame_scores import FrameScores, attribute_items, most_rows
from merit_interp.attribution.framed_items import FramedItem, ItemSize, grouped, join
from merit_interp.attribution.methods import METHODS
from merit_interp.attribution.model_states import MERGED, RANDOM_LAYERS, VLM, ModelState
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.attribution.video_items import CONDITIONS, VIDEO, VideoItems
from merit_interp.models.loading import LoadedModel
from merit_interp.records import FrameAttribution

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Block:
    """One model, shown one condition, through one method."""

    state: ModelState
    condition: str
    method: str

    def key(self, item_set: str) -> Key:
        """What its records have in common."""
        return (item_set, self.state.name, self.condition, self.method)


def plan_blocks(states: Sequence[ModelState], settings: AttributionSettings) -> tuple[Block, ...]:
    """Every model on the video; VLM and merged model on the controls and by all methods too.

    Controls that were asked for run also where nothing else beside the video does.

    Args:
        states: The models.
        settings: The main method, and whether controls run.
    """
    blocks = [Block(state, VIDEO, settings.method) for state in states]
    compared = [state for state in states if state.name in (VLM, MERGED)]
    if settings.controls:
        blocks += [
            Block(state, VIDEO, method)
            for method in METHODS
            for state in compared
            if method != settings.method
        ]
    blocks += [
        Block(state, condition, settings.method)
        for condition in CONDITIONS
        for state in compared
        if condition in settings.shown_controls
    ]
    return tuple(blocks)


def block_records(
    vlm: LoadedModel, videos: VideoItems, block: Block, settings: AttributionSettings
) -> Iterator[tuple[int, FrameAttribution]]:
    """Records of all items by one block's method, failed ones first; the model is in force."""
    for place, reason in videos.failures.items():
        empty = _record(videos, place, block, settings, None, None)
        yield place, dataclasses.replace(empty, status="failed", reason=reason)
    for place in videos.places:
        if reason_why := videos.not_applicable.get((place, block.condition)):
            empty = _record(videos, place, block, settings, None, None)
            yield place, dataclasses.replace(empty, status="not_applicable", reason=reason_why)
    places = videos.places_in(block.condition)

    def framed(number: int) -> FramedItem:
        return videos.framed(places[number], block.condition)

    sizes = [videos.sizes[place] for place in places]
    is_asked = block.condition == VIDEO and block.method == settings.method
    effects = _effects(vlm, sizes, framed, settings) if is_asked and _is_compared(block) else {}
    for number, found in attribute_items(vlm, sizes, framed, settings, method=block.method):
        place = places[number]
        yield place, _record(videos, place, block, settings, found, effects.get(number))


def _is_compared(block: Block) -> bool:
    """Whether the question what the evidence does is asked of the block's model."""
    return block.state.name in (VLM, MERGED) or block.state.name.startswith(RANDOM_LAYERS)


def _effects(
    vlm: LoadedModel,
    sizes: Sequence[ItemSize],
    framed: Callable[[int], FramedItem],
    settings: AttributionSettings,
) -> dict[int, EvidenceEffect | None]:
    effects: dict[int, EvidenceEffect | None] = {}
    for group in grouped(sizes, most_rows(settings)):
        batch = join([framed(number) for number in group], vlm.device)
        found = evidence_effects(
            vlm, batch, draws=EVIDENCE_DRAWS, seed=settings.seed, rows=settings.batch_size
        )
        for index, effect in zip(batch.batch.items, found, strict=True):
            effects[group[index]] = effect
    return effects


def _record(
    videos: VideoItems,
    place: int,
    block: Block,
    settings: AttributionSettings,
    found: FrameScores | None,
    effect: EvidenceEffect | None,
) -> FrameAttribution:
    item = videos.items[place]
    return FrameAttribution(
        item=item.id,
        item_set=videos.item_set,
        skill=item.skill,
        category=item.category,
        group=item.group,
        model=block.state.name,
        recipe=block.state.merge_hash,
        condition=block.condition,
        method=block.method,
        baseline=videos.baseline,
        target=settings.target,
        unit=videos.unit,
        answer=item.answer,
        **(dataclasses.asdict(found) if found else {}),
        **(dataclasses.asdict(effect) if effect else {}),
    )
