"""Items through a method: batched, checked for completeness, tried again where it fails.

    for place, found in attribute_items(vlm, sizes, framed, settings, method="ig"): ...

An item whose scores do not add up to what they must is tried again with more steps; one that still
does not is flagged and kept, for leaving it out would choose the items by the method. This file
must not know recipes or records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, ItemSize, grouped, join
from merit_interp.attribution.methods import METHODS, MethodSettings
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.models.loading import LoadedModel

SMALLEST_DIFFERENCE_NATS = 0.1
"""Below it, the completeness error is taken as a share of this: where frames make no difference, a
share of the difference says nothing."""
STEP_FACTOR = 4
MOST_TRIES = 3
"""32, 128 and 512 steps, by default."""
PASSES = 8
"""Steps or coalitions of an item that go into one forward, where there are items enough."""


@dataclass(frozen=True)
class FrameScores:
    """What one method found for one item."""

    scores: tuple[float, ...]
    """Of each unit, in nats."""
    standard_errors: tuple[float, ...]
    log_probs: tuple[float, ...]
    """Of each option with all units shown, in nats."""
    in_evidence: tuple[bool, ...]
    """Whether each unit, as shown, holds evidence."""
    value_shown_nats: float
    value_absent_nats: float
    steps: int
    completeness_error: float
    flagged: bool


def attribute_items(
    vlm: LoadedModel,
    sizes: Sequence[ItemSize],
    framed: Callable[[int], FramedItem],
    settings: AttributionSettings,
    *,
    method: str,
) -> Iterator[tuple[int, FrameScores]]:
    """Scores of every item, as they are ready.

    Args:
        vlm: The model as it is now.
        sizes: Of every item; items may be of any shapes.
        framed: Makes the item at a place; pixels of one batch at a time are held.
        settings: Target, steps, rows, limit of the error.
        method: One of `METHODS`.

    Yields:
        (place among `sizes`, what was found), each place once.
    """
    chosen = METHODS[method]
    steps = chosen.default_steps if settings.steps is None else settings.steps
    places = list(range(len(sizes)))
    for attempt in range(MOST_TRIES):
        again: list[int] = []
        last = attempt == MOST_TRIES - 1 or not chosen.is_complete
        for place, scores in _attributed(vlm, sizes, places, framed, settings, method, steps):
            wrong = chosen.is_complete and not scores.completeness_error <= settings.most_error
            if wrong and not last:
                again.append(place)
            else:
                yield place, dataclasses.replace(scores, flagged=wrong)
        if not again:
            return
        places, steps = sorted(again), steps * STEP_FACTOR


def _attributed(
    vlm: LoadedModel,
    sizes: Sequence[ItemSize],
    places: Sequence[int],
    framed: Callable[[int], FramedItem],
    settings: AttributionSettings,
    method: str,
    steps: int,
) -> Iterator[tuple[int, FrameScores]]:
    """One pass over the items at these places, batch by batch."""
    for group in grouped([sizes[place] for place in places], most_rows(settings)):
        batch = join([framed(places[index]) for index in group], vlm.device)
        value = AnswerValue(vlm, batch, settings.target)
        found = METHODS[method].scores(
            value, MethodSettings(steps, rows=settings.batch_size, seed=settings.seed)
        )
        difference = (value.of_all - value.of_none).double()
        errors = (found.scores.sum(dim=1) - difference).abs() / difference.abs().clamp_min(
            SMALLEST_DIFFERENCE_NATS
        )
        for row, number in enumerate(batch.batch.items):
            log_probs = value.shown_log_probs[row, : batch.batch.n_options[row]]
            yield (
                places[group[number]],
                FrameScores(
                    scores=_numbers(found.scores[row]),
                    standard_errors=()
                    if found.standard_errors is None
                    else _numbers(found.standard_errors[row]),
                    log_probs=_numbers(log_probs),
                    in_evidence=batch.items[row].in_evidence,
                    value_shown_nats=float(value.of_all[row]),
                    value_absent_nats=float(value.of_none[row]),
                    steps=steps,
                    completeness_error=float(errors[row]),
                    flagged=False,
                ),
            )


def most_rows(settings: AttributionSettings) -> int:
    """Prompt rows that items of one batch have together."""
    return max(1, settings.batch_size // PASSES)


def _numbers(tensor: Tensor) -> tuple[float, ...]:
    return tuple(float(number) for number in tensor.tolist())
