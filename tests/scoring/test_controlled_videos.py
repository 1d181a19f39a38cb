"""Items scored on what a control shows in place of their video."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile
from merit_interp.benchmarks.video_controls import CONTROLS, VideoControl
from merit_interp.benchmarks.videos import Video
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import Scoring
from merit_interp.records import ControlScore
from merit_interp.scoring.evaluation import Evaluation

LETTER = Scoring(answers="letter", max_frames=8)


def with_evidence(file: ItemFile) -> ItemFile:
    """The first item shows its answer in the second frame, the second one where no frame is."""
    spans = {"a0": ((0.25, 0.5),), "a1": ((60.0, 61.0),), "c0": ((0.0, 2.0),)}
    items = [dataclasses.replace(item, evidence=spans.get(item.id, ())) for item in file.items]
    return dataclasses.replace(file, items=tuple(items))


@pytest.mark.parametrize("name", CONTROLS)
def test_scores_under_a_control_are_those_of_the_frames_it_shows(
    vlm: LoadedModel, item_file: ItemFile, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = with_evidence(item_file)
    control = VideoControl(name)  # type: ignore[arg-type]
    controlled = Evaluation(vlm, file, file.items[:1], LETTER, control=control)
    (under,) = controlled.scores("vlm", "vlm")
    plain = Evaluation(vlm, file, file.items[:1], LETTER)
    (on_video,) = plain.scores("vlm", "vlm")
    assert under.log_probs != on_video.log_probs
    # the same frames handed in by hand, as the decoder's own
    video: Video = plain.videos.decoded(file.items[0])
    shown = control.shown(file.items[0], video).of(video)  # type: ignore[union-attr]
    monkeypatch.setattr(type(plain.videos), "decoded", lambda self, item: shown)
    (by_hand,) = Evaluation(vlm, file, file.items[:1], LETTER).scores("vlm", "vlm")
    assert by_hand.log_probs == under.log_probs


def test_items_that_a_control_says_nothing_of_have_no_score_and_no_failure(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    file = with_evidence(item_file)
    evaluation = Evaluation(vlm, file, file.items, LETTER, control=VideoControl("evidence_removed"))
    scores = {score.item: score for score in evaluation.scores("vlm", "vlm")}
    assert scores["a0"].status == "ok"
    assert len(scores["a0"].log_probs) == 3
    reasons = {name: score.reason for name, score in scores.items() if score.status != "ok"}
    assert {score.status for name, score in scores.items() if name != "a0"} == {"not_applicable"}
    assert reasons["a1"] == "no sampled frame shows the evidence"
    assert reasons["c0"] == "every sampled frame shows the evidence"
    assert reasons["b0"] == "the item names no evidence"
    assert not evaluation.failures
    assert scores["a1"].log_probs == ()


def test_nothing_to_score_is_no_error(vlm: LoadedModel, item_file: ItemFile) -> None:
    evaluation = Evaluation(
        vlm, item_file, item_file.items, LETTER, control=VideoControl("evidence_only")
    )
    assert {score.status for score in evaluation.scores("vlm", "vlm")} == {"not_applicable"}


def test_the_control_keeps_the_prompt_and_its_length(vlm: LoadedModel, item_file: ItemFile) -> None:
    plain = Evaluation(vlm, item_file, item_file.items, LETTER)
    black = Evaluation(vlm, item_file, item_file.items, LETTER, control=VideoControl("black"))
    for index, encoded in plain.encoded.items():
        assert torch.equal(encoded.input_ids, black.encoded[index].input_ids)
        assert encoded.frame_tokens == black.encoded[index].frame_tokens


def test_items_of_a_clip_share_its_features_unless_they_are_shown_other_frames(
    vlm: LoadedModel, item_file: ItemFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    tower = vlm.model.model.vision_tower.forward
    monkeypatch.setattr(
        vlm.model.model.vision_tower, "forward", lambda *a, **k: calls.append(1) or tower(*a, **k)
    )
    Evaluation(vlm, item_file, item_file.items, LETTER, control=VideoControl("reversed"))
    assert len(calls) == 4  # three clips, one of them also in part
    calls.clear()
    Evaluation(vlm, item_file, item_file.items, LETTER, control=VideoControl("shuffled"))
    assert len(calls) == len(item_file.items)


def test_pixels_under_a_control_are_what_the_cache_was_made_of(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    evaluation = Evaluation(
        vlm, item_file, item_file.items[:2], LETTER, control=VideoControl("black")
    )
    (batch,) = evaluation.batches
    with torch.no_grad():
        direct = vlm.model(**evaluation.pixel_inputs(batch)).logits
        cached = vlm.model(**evaluation.batch_inputs(batch)).logits
    torch.testing.assert_close(direct, cached, atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", [{"answers": "generated", "max_new_tokens": 2}, {"circular": True}])
def test_other_ways_of_answering_go_with_controls(
    vlm: LoadedModel, item_file: ItemFile, how: dict[str, object]
) -> None:
    file = with_evidence(item_file)
    scoring = Scoring(max_frames=8, **how)  # type: ignore[arg-type]
    evaluation = Evaluation(
        vlm, file, file.items[:3], scoring, control=VideoControl("evidence_removed")
    )
    scores = [ControlScore.of(s, "evidence_removed") for s in evaluation.scores("vlm", "vlm")]
    assert [score.status == "not_applicable" for score in scores] == [False, True, True]
    assert bool(scores[0].texts or scores[0].rotations)
    for score in scores:
        assert ControlScore.from_row(json.loads(json.dumps(score.to_row()))) == score
