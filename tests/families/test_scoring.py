"""Every family: what is cached is exact, items do not disturb each other, frames are where told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import grouped, join
from merit_interp.attribution.units import pixels_by_unit
from merit_interp.attribution.video_items import VIDEO, VideoItems, VideoSettings
from merit_interp.benchmarks.items import ItemFile
from merit_interp.benchmarks.videos import decode_video
from merit_interp.models.loading import Placement, load_vlm
from merit_interp.scoring.batches import option_log_probs
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.scoring.visual_cache import visual_features
from tests.families.conftest import CLIPS, LETTER, TEXT, TinyFamily


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_cached_features_score_as_pixels_bit_for_bit(
    family: TinyFamily, clips: ItemFile, dtype: str
) -> None:
    vlm = load_vlm(family.pair.vlm, placement=Placement(dtype=dtype))
    # several videos in one forward would go through the tower in another order of sums
    evaluation = Evaluation(vlm, clips, clips.items, LETTER, batch_size=1)
    assert len(evaluation.batches) == len(clips.items)
    for number, batch in enumerate(evaluation.batches):
        with torch.no_grad():
            logits = vlm.model(**evaluation.pixel_inputs(batch)).logits
        direct = option_log_probs(logits, batch)[0].tolist()
        ((_, cached),) = evaluation.score_batch(number)
        assert direct == list(cached)


@pytest.mark.parametrize("scoring", [LETTER, TEXT], ids=["letter", "option_text"])
def test_items_of_one_batch_score_as_each_alone(
    family: TinyFamily, clips: ItemFile, scoring: object
) -> None:
    together = Evaluation(family.vlm, clips, clips.items, scoring)
    (batch,) = together.batches
    assert len(set(batch.lengths)) > 3
    alone = Evaluation(family.vlm, clips, clips.items, scoring, batch_size=1)
    for joined, single in zip(together.scores("vlm", ""), alone.scores("vlm", ""), strict=True):
        assert joined.log_probs == pytest.approx(single.log_probs, abs=2e-5)


def test_several_rows_score_as_their_pixels(family: TinyFamily, clips: ItemFile) -> None:
    # several rows of one clip: families that do not pack pixels need them of one shape
    items = [item for item in clips.items if item.video == "wide.mp4" and item.start_s is None]
    evaluation = Evaluation(family.vlm, clips, items, TEXT)
    (batch,) = evaluation.batches
    assert len(batch.row_items) > len(items)
    with torch.no_grad():
        direct = family.vlm.model(**evaluation.pixel_inputs(batch)).logits
        cached = family.vlm.model(**evaluation.batch_inputs(batch)).logits
    torch.testing.assert_close(direct, cached, atol=2e-5, rtol=0)


def test_frames_have_their_own_times_and_tokens(family: TinyFamily, clips: ItemFile) -> None:
    for item in clips.items:
        encoded = family.encoded(item, clips.path.parent)
        tokens = encoded.frame_tokens
        assert tokens is not None
        frames = [frame for unit in tokens.units for frame in unit.frames]
        # the part from 0.5 to 1.5 s holds the frames shown around 0.625, ..., 1.375 s
        first, n_frames = (2, 4) if item.start_s else (0, CLIPS[item.video[:-4]][0])
        assert frames == list(range(n_frames))
        for unit in tokens.units:
            assert unit.start_s == pytest.approx((first + unit.frames[0]) / 4)
            assert unit.end_s == pytest.approx((first + unit.frames[-1] + 1) / 4)
        places = [token for unit in tokens.units for token in unit.tokens]
        assert places == sorted(set(places))
        visual_id = getattr(family.vlm.model.config, family.vlm.family.video_token_id)
        assert torch.equal(encoded.input_ids == visual_id, tokens.visual_mask())


def vectors(family: TinyFamily, inputs: dict[str, Tensor]) -> Tensor:
    """What the tower makes of a video, one row a visual token, in the prompt's order."""
    with torch.no_grad():
        found = visual_features(family.vlm, inputs)["pooler_output"]
    parts = [found] if isinstance(found, Tensor) else list(found)
    return torch.cat([part.flatten(0, -2) for part in parts])


@pytest.mark.parametrize("name", ["w0", "h0"])
def test_a_frame_changes_its_units_pixels_and_tokens_alone(
    family: TinyFamily, clips: ItemFile, name: str
) -> None:
    item = next(item for item in clips.items if item.id == name)
    folder = clips.path.parent
    shown = family.encoded(item, folder)
    tokens = shown.frame_tokens
    assert tokens is not None
    pixels = next(iter(shown.vision_inputs))
    order = sorted([token for unit in tokens.units for token in unit.tokens] + [*tokens.frameless])
    before = vectors(family, dict(shown.vision_inputs))
    assert len(before) == len(order)
    frames = decode_video(folder / item.video, max_frames=8).frames
    for number, unit in enumerate(tokens.units):
        altered = frames.copy()
        altered[unit.frames[-1]] = 255 - altered[unit.frames[-1]]
        other = family.encoded(item, folder, altered)
        assert torch.equal(other.input_ids, shown.input_ids)
        both = [pixels_by_unit(x.vision_inputs[pixels], len(tokens.units)) for x in (shown, other)]
        assert np.flatnonzero((both[0] != both[1]).any(dim=1)).tolist() == [number]
        moved = (vectors(family, dict(other.vision_inputs)) != before).any(dim=1)
        assert [order[place] for place in np.flatnonzero(moved)] == list(unit.tokens)


def test_attribution_values_the_video_as_scoring_does(family: TinyFamily, clips: ItemFile) -> None:
    """From the pixels of units on, items of one shape joined: the same log-probabilities."""
    items = [item for item in clips.items if item.video == "wide.mp4" and item.start_s is None]
    items += [item for item in clips.items if item.video == "small.mp4"]
    settings = VideoSettings(scoring=TEXT)
    videos = VideoItems(family.vlm, clips, items, "all", settings)
    scores = Evaluation(family.vlm, clips, items, TEXT).scores("vlm", "")
    groups = grouped([videos.sizes[place] for place in videos.places], rows=64)
    assert sorted(place for group in groups for place in group) == list(range(len(items)))
    for group in groups:
        framed = {videos.framed(place, VIDEO).encoded.item.id: place for place in group}
        batch = join([videos.framed(place, VIDEO) for place in group], family.vlm.device)
        value = AnswerValue(family.vlm, batch, "log_prob")
        for row, item in enumerate(batch.items):
            expected = scores[framed[item.encoded.item.id]].log_probs
            found = value.shown_log_probs[row][: len(expected)].tolist()
            assert found == pytest.approx(expected, abs=2e-5)
