"""A family that merges two frames in one temporal patch: the unit is the patch.

Qwen2.5-VL packs its pixels as flat patches whose first axis is no batch.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, join
from merit_interp.attribution.methods import METHODS, MethodSettings
from merit_interp.benchmarks.items import Item
from merit_interp.models.families import VLM_FAMILIES
from merit_interp.models.loading import LoadedModel
from merit_interp.scoring.encoding import EncodedItem
from merit_interp.scoring.frame_tokens import map_frames
from tests.masking.tiny_families import VIDEO_TOKEN, VOCABULARY, qwen2_5_vl

FRAMES, PATCHES = 6, 16
GRID = torch.tensor([[FRAMES // 2, 4, 4]])
FAMILY = VLM_FAMILIES["qwen2_5_vl"]


@pytest.fixture(scope="module")
def qwen() -> LoadedModel:
    torch.manual_seed(0)
    model = qwen2_5_vl().model
    model.requires_grad_(False)
    # beartype would ask for a tokenizer, which nothing here reads
    loaded = object.__new__(LoadedModel)
    for name, value in {"model": model, "family": FAMILY, "source": "tiny"}.items():
        object.__setattr__(loaded, name, value)
    return loaded


def encoded(seed: int, pixels: Tensor, length: int) -> EncodedItem:
    generator = torch.Generator().manual_seed(seed)
    n_visual = FRAMES // 2 * PATCHES // 4
    ids = torch.randint(10, VOCABULARY, (length + n_visual,), generator=generator)
    ids[2 : 2 + n_visual] = VIDEO_TOKEN
    visual = torch.nonzero(ids == VIDEO_TOKEN).flatten().tolist()
    spans = [(float(i), i + 1.0) for i in range(FRAMES)]
    return EncodedItem(
        item=Item(f"q{seed}", "q.mp4", "?", ("a", "b", "c"), seed % 3, "reasoning"),
        input_ids=ids,
        option_ids=((11,), (12,), (13,)),
        vision_inputs={"pixel_values_videos": pixels, "video_grid_thw": GRID},
        token_inputs={"mm_token_type_ids": (ids == VIDEO_TOKEN).long() * 2},
        frame_tokens=map_frames(visual, spans, FAMILY, n_prompt=len(ids)),
    )


@pytest.fixture(scope="module")
def items() -> list[FramedItem]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for seed in range(2):
        pixels = torch.randn(2, FRAMES // 2 * PATCHES, 3 * 2 * 4 * 4, generator=generator)
        shown, absent = (encoded(seed, part, 6 + seed) for part in pixels)
        found.append(FramedItem.of(shown, absent, (False, True, False)))
    return found


def direct(vlm: LoadedModel, item: EncodedItem, pixels: Tensor) -> Tensor:
    """Margin of the right option by a plain forward of one item."""
    logits = vlm.model(
        input_ids=item.input_ids[None],
        mm_token_type_ids=item.token_inputs["mm_token_type_ids"][None],
        pixel_values_videos=pixels,
        video_grid_thw=GRID,
    ).logits[0, -1]
    options = logits.log_softmax(dim=-1)[[11, 12, 13]]
    others = [i for i in range(3) if i != item.item.answer]
    return options[item.item.answer] - options[others].logsumexp(dim=0)


def test_units_are_patches_of_two_frames(items: list[FramedItem]) -> None:
    assert [unit.frames for unit in items[0].frame_tokens.units] == [(0, 1), (2, 3), (4, 5)]
    assert items[0].shown.shape == (3, PATCHES * 3 * 2 * 4 * 4)


def test_the_value_is_the_models_own(qwen: LoadedModel, items: list[FramedItem]) -> None:
    batch = join(items, qwen.device)
    value = AnswerValue(qwen, batch, "margin")
    for row, item in enumerate(batch.items):
        for units, found in ((item.shown, value.of_all), (item.absent, value.of_none)):
            with torch.no_grad():
                expected = direct(qwen, item.encoded, units.reshape(item.pixel_shape))
            torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-5)


def test_occlusion_of_a_patch_takes_both_of_its_frames(
    qwen: LoadedModel, items: list[FramedItem]
) -> None:
    batch = join(items, qwen.device)
    value = AnswerValue(qwen, batch, "margin")
    found = METHODS["occlusion"].scores(value, MethodSettings(steps=1, rows=8)).scores
    for row, item in enumerate(batch.items):
        pixels = item.shown.clone()
        pixels[1] = item.absent[1]
        with torch.no_grad():
            without = direct(qwen, item.encoded, pixels.reshape(item.pixel_shape))
        lost = (value.of_all[row] - without).double()
        torch.testing.assert_close(found[row, 1], lost, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["ig_pixels", "ig", "shapley"])
def test_complete_methods_add_up(qwen: LoadedModel, items: list[FramedItem], name: str) -> None:
    value = AnswerValue(qwen, join(items, qwen.device), "margin")
    found = METHODS[name].scores(value, MethodSettings(steps=64, rows=16)).scores
    difference = (value.of_all - value.of_none).double()
    assert found.shape == (2, 3)
    torch.testing.assert_close(found.sum(dim=1), difference, atol=1e-3, rtol=1e-2)
