"""A VLM whose answer is made to depend on one known frame: every method must find that frame.

The model is a real LLaVA-OneVision whose text layers are handed the visual tokens of one frame
only; those of all other frames are zero before the first layer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor, nn

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.evidence import evidence_metrics
from merit_interp.attribution.framed_items import FramedItem, join
from merit_interp.attribution.methods import METHODS, MethodSettings
from merit_interp.attribution.video_items import VIDEO, VideoItems
from merit_interp.models.loading import LoadedModel
from tests.attribution.conftest import N_FRAMES


@contextlib.contextmanager
def only_frame_reaches_the_text(
    vlm: LoadedModel, frame: int, rows: Sequence[FramedItem]
) -> Iterator[None]:
    """All visual tokens but one frame's are zero in each row, however often the rows are copied."""

    def blind(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        states = arguments[0].clone()
        for row in range(len(states)):
            tokens = rows[row % len(rows)].frame_tokens
            for number, unit in enumerate(tokens.units):
                if number != frame:
                    states[row, list(unit.tokens)] = 0.0
        return (states, *arguments[1:])

    hook = vlm.text_layers[0].register_forward_pre_hook(blind)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("frame", range(N_FRAMES))
@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_the_frame(
    vlm: LoadedModel, videos: VideoItems, name: str, frame: int
) -> None:
    items = [videos.framed(place, VIDEO) for place in range(5)]
    batch = join(items, vlm.device)
    flags = tuple(unit == frame for unit in range(N_FRAMES))
    with only_frame_reaches_the_text(vlm, frame, batch.items):
        value = AnswerValue(vlm, batch, "log_prob")
        found = METHODS[name].scores(value, MethodSettings(steps=8, rows=20)).scores
    metrics = [evidence_metrics(scores, flags) for scores in found.abs().tolist()]
    assert [one.pointing for one in metrics] == [1.0] * len(items)
    assert min(one.mass for one in metrics) > 0.999
    assert torch.isfinite(found).all()
