from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.errors import ItemError, SettingError, VideoError
from merit_interp.models.loading import LoadedModel, Placement, load_vlm
from merit_interp.recipe import Scoring
from merit_interp.records import ItemScore
from merit_interp.scoring.batches import option_log_probs
from merit_interp.scoring.evaluation import Evaluation
from tests.tiny_models import TinyPair

LETTER = Scoring(answers="letter", max_frames=8)
TEXT = Scoring(answers="option_text", max_frames=8)


def by_hand(evaluation: Evaluation, index: int) -> list[float]:
    """Log-probability of each option: pixels in, one option at a time, nothing padded or cached."""
    encoded = evaluation.encoded[index]
    batch = evaluation.batch_of([index])
    pixels = evaluation.pixel_inputs(batch)["pixel_values_videos"][:1]
    values = []
    for option in encoded.option_ids:
        ids = torch.tensor([[*encoded.input_ids.tolist(), *option]])
        with torch.no_grad():
            logits = evaluation.model.model(input_ids=ids, pixel_values_videos=pixels).logits
        log_probs = logits[0].log_softmax(-1)
        start = len(encoded.input_ids) - 1
        values.append(sum(float(log_probs[start + i, t]) for i, t in enumerate(option)))
    return values


@pytest.mark.parametrize("scoring", [LETTER, TEXT], ids=["letter", "option_text"])
def test_scores_are_the_options_log_probabilities(
    vlm: LoadedModel, item_file: ItemFile, scoring: Scoring
) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, scoring)
    scores = evaluation.scores("vlm", "vlm", "all")
    assert [score.item for score in scores] == [item.id for item in item_file.items]
    for index, (score, item) in enumerate(zip(scores, item_file.items, strict=True)):
        assert len(score.log_probs) == len(item.options)
        assert list(score.log_probs) == pytest.approx(by_hand(evaluation, index), abs=2e-5)
        assert (score.model, score.recipe, score.item_set) == ("vlm", "vlm", "all")
        assert (score.answer, score.group, score.status) == (item.answer, item.video, "ok")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_scores_with_and_without_the_cache_are_equal_bit_for_bit(
    pair: TinyPair, item_file: ItemFile, dtype: str
) -> None:
    vlm = load_vlm(pair.vlm, placement=Placement(dtype=dtype))
    # several videos in one forward would go through the tower in another order of sums
    evaluation = Evaluation(vlm, item_file, item_file.items, LETTER, batch_size=1)
    assert len(evaluation.batches) == len(item_file.items)
    for number, batch in enumerate(evaluation.batches):
        with torch.no_grad():
            logits = vlm.model(**evaluation.pixel_inputs(batch)).logits
        direct = option_log_probs(logits, batch)[0].tolist()
        ((_, cached),) = evaluation.score_batch(number)
        assert direct == list(cached)


def test_many_rows_with_and_without_the_cache_agree(vlm: LoadedModel, item_file: ItemFile) -> None:
    items = [item for item in item_file.items if item.video != "b.mp4" and item.start_s is None]
    evaluation = Evaluation(vlm, item_file, items, TEXT)
    (batch,) = evaluation.batches
    with torch.no_grad():
        direct = option_log_probs(vlm.model(**evaluation.pixel_inputs(batch)).logits, batch)
        cached = option_log_probs(vlm.model(**evaluation.batch_inputs(batch)).logits, batch)
    torch.testing.assert_close(direct, cached, atol=1e-5, rtol=0)


def test_memory_and_disk_give_equal_scores(
    vlm: LoadedModel, item_file: ItemFile, tmp_path: Path
) -> None:
    memory = Evaluation(vlm, item_file, item_file.items, LETTER)
    disk = Evaluation(vlm, item_file, item_file.items, LETTER, cache_budget_gib=0.0)
    kept = Evaluation(
        vlm, item_file, item_file.items, LETTER, cache_budget_gib=0.0, cache_directory=tmp_path
    )
    assert len(list(tmp_path.glob("*.pt"))) == 4  # three clips, one of them also in part
    expected = memory.scores("vlm", "vlm")
    assert memory.scores("vlm", "vlm") == expected
    assert disk.scores("vlm", "vlm") == expected
    assert kept.scores("vlm", "vlm") == expected


def test_a_score_knows_its_pair_and_how_many_items_it_has(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    pair = {"pair": "p", "pair_part": "text", "pair_size": 4}
    item = dataclasses.replace(item_file.items[0], **pair)
    (score,) = Evaluation(vlm, item_file, [item], LETTER).scores("vlm", "vlm")
    assert {name: getattr(score, name) for name in pair} == pair
    assert ItemScore.from_row(score.to_row()) == score


def test_features_are_computed_once_for_each_clip(
    vlm: LoadedModel, item_file: ItemFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    tower = vlm.model.model.vision_tower.forward
    monkeypatch.setattr(
        vlm.model.model.vision_tower, "forward", lambda *a, **k: calls.append(1) or tower(*a, **k)
    )
    evaluation = Evaluation(vlm, item_file, item_file.items, LETTER)
    for _ in range(3):
        evaluation.scores("vlm", "vlm")
    assert len(calls) == 4


def test_merged_weights_with_cached_vision_equal_the_merged_checkpoint(
    pair: TinyPair, backbone: LoadedModel, item_file: ItemFile, tmp_path: Path
) -> None:
    model = load_vlm(pair.vlm)
    evaluation = Evaluation(model, item_file, item_file.items, LETTER)
    before = evaluation.scores("vlm", "vlm")
    for layer in (1, 3):
        for name in "qkvo":
            merged, other = model.projection(layer, name), backbone.projection(layer, name)
            merged.weight.data.lerp_(other.weight, 0.7)
    in_memory = evaluation.scores("merged", "r")
    model.model.save_pretrained(tmp_path / "merged")
    for file in pair.vlm.iterdir():
        if not (tmp_path / "merged" / file.name).exists():
            (tmp_path / "merged" / file.name).write_bytes(file.read_bytes())
    loaded = Evaluation(load_vlm(tmp_path / "merged"), item_file, item_file.items, LETTER)
    assert loaded.scores("merged", "r") == in_memory
    assert [s.log_probs for s in in_memory] != [s.log_probs for s in before]


def test_a_run_that_is_cut_between_batches_gives_the_same_numbers(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, TEXT, batch_size=4)
    assert len(evaluation.batches) > 2
    whole = evaluation.scores("vlm", "vlm")
    again = Evaluation(vlm, item_file, item_file.items, TEXT, batch_size=4)
    parts: dict[int, tuple[float, ...]] = {}
    for number in reversed(range(len(again.batches))):
        parts.update(again.score_batch(number))
    assert again.item_scores(parts, "vlm", "vlm") == whole


@pytest.fixture
def broken_file(item_file: ItemFile, tmp_path: Path) -> ItemFile:
    """Two good items and two whose videos are missing and empty."""
    good = item_file.path.parent / "a.mp4"
    (tmp_path / "empty.mp4").touch()
    items = [
        Item("good", str(good), "What comes first?", ("yes", "no"), 0, "reasoning"),
        Item("missing", "missing.mp4", "What comes first?", ("yes", "no"), 0, "reasoning"),
        Item("empty", "empty.mp4", "What comes first?", ("yes", "no"), 0, "perception"),
        Item("also good", str(good), "What comes last?", ("yes", "no"), 1, "perception"),
    ]
    write_items(tmp_path / "items.jsonl", items)
    return read_items(tmp_path / "items.jsonl")


def test_an_item_that_does_not_decode_is_a_failed_score_with_its_reason(
    vlm: LoadedModel, broken_file: ItemFile
) -> None:
    evaluation = Evaluation(vlm, broken_file, broken_file.items, LETTER, max_failed=0.5)
    scores = {score.item: score for score in evaluation.scores("vlm", "vlm")}
    assert {name: score.status for name, score in scores.items()} == {
        "good": "ok",
        "missing": "failed",
        "empty": "failed",
        "also good": "ok",
    }
    assert "No such file" in str(scores["missing"].reason)
    assert "the file is empty" in str(scores["empty"].reason)
    assert scores["missing"].log_probs == ()
    assert math.isnan(scores["missing"].margin_nats)
    assert evaluation.failures.keys() == {1, 2}


@pytest.mark.parametrize("max_failed", [0.0, 0.49])
def test_too_many_failures_end_the_run(
    vlm: LoadedModel, broken_file: ItemFile, max_failed: float
) -> None:
    with pytest.raises(VideoError) as caught:
        Evaluation(vlm, broken_file, broken_file.items, LETTER, max_failed=max_failed)
    assert "2 of 4 items cannot be scored: missing (" in str(caught.value)
    assert "--max-failed 0.5 or more" in str(caught.value)


def test_all_items_may_fail_where_that_is_allowed(vlm: LoadedModel, broken_file: ItemFile) -> None:
    items = broken_file.items[1:3]
    evaluation = Evaluation(vlm, broken_file, items, LETTER, max_failed=1.0)
    assert [score.status for score in evaluation.scores("vlm", "vlm")] == ["failed", "failed"]


def test_no_items_are_an_error(vlm: LoadedModel, item_file: ItemFile) -> None:
    with pytest.raises(ItemError, match="no items"):
        Evaluation(vlm, item_file, [], LETTER)


def test_nan_is_an_error_and_no_score(pair: TinyPair, item_file: ItemFile) -> None:
    model = load_vlm(pair.vlm)
    evaluation = Evaluation(model, item_file, item_file.items[:1], LETTER)
    model.projection(0, "q").weight.data.fill_(torch.nan)
    with pytest.raises(SettingError, match="NaN for item a0"):
        evaluation.scores("vlm", "vlm")


def test_a_backbone_reads_transcripts(
    backbone: LoadedModel, item_file: ItemFile, tmp_path: Path
) -> None:
    items = [
        Item("t0", "none.mp4", "Is it red?", ("yes", "no"), 0, "reasoning", transcript="red ."),
        Item("t1", "none.mp4", "Is it red?", ("yes", "no"), 0, "reasoning"),
    ]
    write_items(tmp_path / "items.jsonl", items)
    file = read_items(tmp_path / "items.jsonl")
    evaluation = Evaluation(backbone, file, file.items, LETTER, transcripts=True, max_failed=0.5)
    read, unread = evaluation.scores("backbone", "vlm")
    assert unread.reason == "there is no transcript"
    ids = evaluation.encoded[0].input_ids
    with torch.no_grad():
        log_probs = backbone.model(input_ids=ids[None]).logits[0, -1].log_softmax(-1)
    expected = [float(log_probs[option[0]]) for option in evaluation.encoded[0].option_ids]
    assert list(read.log_probs) == pytest.approx(expected, abs=1e-5)
    assert evaluation.processor_route == ""


def test_pixels_have_gradients_through_the_real_vision_path(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, LETTER)
    batch = evaluation.batch_of([0, 1])
    inputs = evaluation.pixel_inputs(batch)
    pixels = inputs["pixel_values_videos"].requires_grad_()
    log_probs = option_log_probs(vlm.model(**inputs).logits, batch)
    margin = log_probs[0, 1] - log_probs[0, 0]
    (gradient,) = torch.autograd.grad(margin, pixels)
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().sum() == 0


def test_progress_is_told(vlm: LoadedModel, item_file: ItemFile) -> None:
    told: list[tuple[int, int]] = []
    evaluation = Evaluation(
        vlm, item_file, item_file.items, LETTER, batch_size=3, progress=lambda *x: told.append(x)
    )
    assert told[-1] == (8, 8)
    told.clear()
    evaluation.scores("vlm", "vlm", progress=lambda *x: told.append(x))
    assert told == [(1, 3), (2, 3), (3, 3)]
