from __future__ import annotations

import dataclasses

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile
from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import CheckpointError
from merit_interp.models.families import VLM_FAMILIES
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import VideoProcessor
from merit_interp.recipe import Scoring
from merit_interp.scoring.encoding import encode_item
from merit_interp.scoring.frame_tokens import map_frames
from merit_interp.scoring.visual_cache import visual_features

ONE_A_FRAME = VLM_FAMILIES["llava_onevision"]
TWO_A_PATCH = dataclasses.replace(ONE_A_FRAME, frames_per_unit=2, frameless_tokens=0)
SPANS = [(0.5 * i, 0.5 * i + 0.5) for i in range(5)]


def test_each_frame_has_its_tokens_and_the_newline_is_no_frames() -> None:
    found = map_frames(range(3, 14), SPANS, ONE_A_FRAME, n_prompt=20)
    assert [unit.frames for unit in found.units] == [(0,), (1,), (2,), (3,), (4,)]
    assert [unit.tokens for unit in found.units] == [(3, 4), (5, 6), (7, 8), (9, 10), (11, 12)]
    assert found.frameless == (13,)
    assert found.n_tokens == 11
    assert torch.nonzero(found.visual_mask()).flatten().tolist() == list(range(3, 14))
    assert len(found.visual_mask()) == 20


def test_frames_of_a_temporal_patch_share_tokens_also_between_other_text() -> None:
    visual = [2, 3, 7, 8, 12, 13]  # timestamps lie between the patches
    found = map_frames(visual, SPANS, TWO_A_PATCH, n_prompt=16)
    assert [unit.frames for unit in found.units] == [(0, 1), (2, 3), (4,)]
    assert [unit.tokens for unit in found.units] == [(2, 3), (7, 8), (12, 13)]
    assert [(unit.start_s, unit.end_s) for unit in found.units] == [
        (0.0, 1.0),
        (1.0, 2.0),
        (2.0, 2.5),
    ]
    assert found.frameless == ()


@pytest.mark.parametrize("n_visual", [1, 5, 10, 12])
def test_tokens_that_cannot_be_shared_out_are_an_error(n_visual: int) -> None:
    with pytest.raises(CheckpointError, match=f"made {n_visual} visual tokens of 5 frames"):
        map_frames(range(n_visual), SPANS, ONE_A_FRAME, n_prompt=20)


def test_another_frame_changes_the_features_of_its_own_tokens_and_no_others(
    vlm: LoadedModel, processor: VideoProcessor, item_file: ItemFile
) -> None:
    item = item_file.items[0]
    video = decode_video(item_file.video_path(item), max_frames=8)
    encoded = encode_item(vlm, processor, item, video, Scoring())
    assert encoded.frame_tokens is not None
    units = encoded.frame_tokens.units
    assert [unit.start_s for unit in units] == pytest.approx([i / 4 for i in range(8)], abs=1e-3)
    placeholders = encoded.input_ids == vlm.model.config.video_token_id
    assert torch.equal(placeholders, encoded.frame_tokens.visual_mask())
    first = units[0].tokens[0]
    before = visual_features(vlm, encoded.vision_inputs)["pooler_output"][0]
    for unit in units:
        pixels = encoded.vision_inputs["pixel_values_videos"].clone()
        pixels[:, list(unit.frames)] += 0.5
        after = visual_features(vlm, {"pixel_values_videos": pixels})["pooler_output"][0]
        changed = torch.nonzero((after != before).any(dim=-1)).flatten() + first
        assert tuple(changed.tolist()) == unit.tokens
