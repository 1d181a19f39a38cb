"""The attributed function on a real LLaVA-OneVision class, against the evaluation's own scores."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from merit_interp.attribution import video_items
from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, grouped, join
from merit_interp.attribution.methods import METHODS, MethodSettings
from merit_interp.attribution.video_items import VIDEO, VideoItems, VideoSettings
from merit_interp.benchmarks.items import ItemFile
from merit_interp.benchmarks.video_controls import CONTROLS, NEED_EVIDENCE
from merit_interp.errors import SettingError
from merit_interp.models.loading import LoadedModel
from merit_interp.models.processors import SeenVideo
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation
from tests.attribution.conftest import N_FRAMES, SCORING


def framed(videos: VideoItems) -> list[FramedItem]:
    return [videos.framed(place, VIDEO) for place in range(3)]


@pytest.mark.parametrize("answers", ["letter", "option_text"])
def test_with_all_frames_shown_options_score_as_in_the_evaluation(
    vlm: LoadedModel, item_file: ItemFile, answers: str
) -> None:
    scoring = Scoring(answers=answers, max_frames=N_FRAMES)  # type: ignore[arg-type]
    videos = VideoItems(vlm, item_file, item_file.items, "all", VideoSettings(scoring))
    scores = Evaluation(vlm, item_file, item_file.items, scoring).scores("vlm", "vlm")
    items = [videos.framed(place, VIDEO) for place in range(len(scores))]
    for places in grouped([item.size for item in items], 100):
        batch = join([items[place] for place in places], vlm.device)
        value = AnswerValue(vlm, batch, "margin")
        for row, number in enumerate(batch.batch.items):
            expected = scores[places[number]].log_probs
            found = value.shown_log_probs[row, : len(expected)]
            torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_items_of_other_lengths_are_grouped_apart(videos: VideoItems) -> None:
    items = [videos.framed(place, VIDEO) for place in range(6)]
    groups = grouped([item.size for item in items], 3)
    assert sorted(place for group in groups for place in group) == list(range(6))
    assert [5] in groups  # three frames
    assert max(map(len, groups)) == 3


def test_switches_are_exact_at_both_ends(vlm: LoadedModel, videos: VideoItems) -> None:
    batch = join(framed(videos), vlm.device)
    value = AnswerValue(vlm, batch, "margin")
    ones = torch.ones(batch.n_items, batch.n_units)
    assert torch.equal(value.pixels(ones), batch.shown)
    assert torch.equal(value.pixels(0 * ones), batch.absent)
    assert torch.equal(value.of_switches(ones), value.of_all)


def test_copies_come_one_after_another(vlm: LoadedModel, videos: VideoItems) -> None:
    batch = join(framed(videos), vlm.device)
    value = AnswerValue(vlm, batch, "log_prob")
    both = value(torch.cat([batch.absent, batch.shown]))
    torch.testing.assert_close(both, torch.cat([value.of_none, value.of_all]))


@pytest.mark.parametrize("answers", ["letter", "option_text"])
@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].is_complete])
def test_complete_methods_add_up(
    vlm: LoadedModel, item_file: ItemFile, name: str, answers: str
) -> None:
    scoring = Scoring(answers=answers, max_frames=N_FRAMES)  # type: ignore[arg-type]
    items = item_file.items[:3]
    videos = VideoItems(vlm, item_file, items, "all", VideoSettings(scoring, baseline="mean"))
    value = AnswerValue(vlm, join(framed(videos), vlm.device), "margin")
    found = METHODS[name].scores(value, MethodSettings(steps=64, rows=24))
    difference = (value.of_all - value.of_none).double()
    limit = 1e-4 if name == "shapley" else 2e-3
    torch.testing.assert_close(found.scores.sum(dim=1), difference, atol=limit, rtol=0)
    assert found.scores.abs().max() > 1e-3


def test_occlusion_is_leave_one_out_on_a_vlm(vlm: LoadedModel, videos: VideoItems) -> None:
    batch = join(framed(videos), vlm.device)
    value = AnswerValue(vlm, batch, "margin")
    found = METHODS["occlusion"].scores(value, MethodSettings(steps=1, rows=9)).scores
    for unit in range(N_FRAMES):
        without = batch.shown.clone()
        without[:, unit] = batch.absent[:, unit]
        with torch.no_grad():
            lost = value.of_all - value(without)
        torch.testing.assert_close(found[:, unit], lost.double(), atol=1e-5, rtol=1e-5)


def test_in_controls_evidence_goes_where_its_frame_goes(videos: VideoItems) -> None:
    shown = videos.framed(0, VIDEO)
    assert shown.in_evidence == (True, True, False, False)
    reversed_item = videos.framed(0, "reversed")
    assert reversed_item.in_evidence == (False, False, True, True)
    assert torch.equal(reversed_item.shown, shown.shown.flip(0))
    for control in CONTROLS:
        assert videos.places_in(control) == [0, 1, 2, 3] + (
            [] if control in NEED_EVIDENCE else [4, 5]
        )
        altered = videos.framed(0, control)
        assert sum(altered.in_evidence) == 2
        assert altered.shown.shape == shown.shown.shape
        assert not torch.equal(altered.shown, shown.shown)
    assert torch.equal(videos.framed(0, "single_frame").absent, shown.absent)


def test_no_sampled_frame_in_the_span_is_no_evidence_shown(videos: VideoItems) -> None:
    assert videos.framed(4, VIDEO).in_evidence == (False,) * 4
    assert videos.framed(5, VIDEO).in_evidence == ()


def test_pixels_that_do_not_fit_are_made_again(vlm: LoadedModel, item_file: ItemFile) -> None:
    settings = VideoSettings(SCORING)
    kept = VideoItems(vlm, item_file, item_file.items, "all", settings)
    none = dataclasses.replace(settings, cache_gib=0.0)
    made = VideoItems(vlm, item_file, item_file.items, "all", none)
    for condition in (VIDEO, "shuffled"):
        one, other = kept.framed(2, condition), made.framed(2, condition)
        assert torch.equal(one.shown, other.shown)
        assert one.in_evidence == other.in_evidence
    assert kept.framed(2, VIDEO) is kept.framed(2, VIDEO)
    assert made.framed(2, VIDEO) is not made.framed(2, VIDEO)


def test_a_baseline_that_a_family_drops_as_padding_is_refused(videos: VideoItems) -> None:
    shown = videos.framed(0, VIDEO)
    pixels = {"pixel_values_videos": shown.shown.reshape(shown.pixel_shape)}
    zero = {"pixel_values_videos": torch.zeros(shown.pixel_shape)}
    encoded = dataclasses.replace(shown.encoded, vision_inputs=pixels)
    absent = dataclasses.replace(encoded, vision_inputs=zero)
    with pytest.raises(SettingError, match="padding"):
        FramedItem.of(encoded, absent, (), drops_zero_frames=True)
    assert not FramedItem.of(encoded, absent, ()).absent.any()


def test_the_default_is_never_what_a_family_drops_as_padding(
    vlm: LoadedModel, item_file: ItemFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert VideoItems(vlm, item_file, item_file.items[:1], "", VideoSettings(SCORING)).baseline == (
        "black"
    )
    see = video_items.see_video

    def without_normalisation(*args: object) -> SeenVideo:
        seen = see(*args)  # type: ignore[arg-type]
        pixels = seen.inputs["pixel_values_videos"]
        black = torch.tensor([-1.7923, -1.7521, -1.4802])[:, None, None]  # of the tiny processor
        is_black = (pixels - black).abs() < 1e-3
        lifted = {"pixel_values_videos": torch.where(is_black, 0.0, pixels)}
        return dataclasses.replace(seen, inputs=lifted)

    monkeypatch.setattr(video_items, "see_video", without_normalisation)
    family = dataclasses.replace(vlm.family, drops_zero_frames=True)
    vlm = dataclasses.replace(vlm, family=family)
    found = VideoItems(vlm, item_file, item_file.items[:1], "", VideoSettings(SCORING))
    assert found.baseline == "mean"
    asked = VideoSettings(SCORING, baseline="black")
    with pytest.raises(SettingError, match="padding"):
        VideoItems(vlm, item_file, item_file.items[:1], "", asked)


def test_figures_get_the_frames_themselves(videos: VideoItems) -> None:
    picture = videos.pictures[0]
    assert len(picture.thumbnails) == len(picture.starts_s) == N_FRAMES
    assert all(uri.startswith("data:image/png;base64,") for uri in picture.thumbnails)
    assert picture.in_evidence == (True, True, False, False)
    assert picture.units == (0, 1, 2, 3)
    assert videos.unit == "frame"
