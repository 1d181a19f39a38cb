"""Options asked in every cyclic order: what is asked, and scores brought back to the items' own."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.errors import SettingError
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import Scoring
from merit_interp.records import ItemScore
from merit_interp.scoring.encoding import question_text
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.scoring.option_orders import (
    by_rotation,
    in_orders,
    mean_log_probs,
    own_order,
    rotated,
)
from merit_interp.scoring_settings import changed_scoring, without_orders

CIRCULAR = Scoring(max_frames=8, circular=True)
LETTER = Scoring(max_frames=8)


def item(n_options: int = 4, answer: int = 1, name: str = "x") -> Item:
    options = tuple(f"option {number}" for number in range(n_options))
    return Item(name, "a.mp4", "What is it?", options, answer, "reasoning")


def test_the_right_option_stays_the_right_one_and_has_each_letter_once() -> None:
    for n_options in (2, 3, 5):
        for answer in range(n_options):
            asked = [rotated(item(n_options, answer), r) for r in range(n_options)]
            assert {one.options[one.answer] for one in asked} == {f"option {answer}"}
            assert {one.answer for one in asked} == set(range(n_options))
    assert rotated(item(), 1).options == ("option 1", "option 2", "option 3", "option 0")
    assert rotated(item(), 0) == item()


def test_items_of_different_numbers_of_options_have_as_many_orders() -> None:
    items = (item(2), item(4), item(3))
    asked = in_orders(items, circular=True)
    assert [one.item for one in asked[:3]] == list(items)
    assert [(one.index, one.rotation) for one in asked[3:]] == [
        (0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2)
    ]  # fmt: skip
    assert [one.item for one in in_orders(items, circular=False)] == list(items)
    places = by_rotation(asked, dict(enumerate(asked)))
    assert {index: [one.rotation for one in ones] for index, ones in places.items()} == {
        0: [0, 1], 1: [0, 1, 2, 3], 2: [0, 1, 2],
    }  # fmt: skip


def test_values_come_back_to_the_items_own_order() -> None:
    for rotation in range(4):
        assert own_order(rotated(item(), rotation).options, rotation) == item().options


def test_a_liking_of_a_letter_cancels_out() -> None:
    knows, likes = (-1.0, -2.0, -3.0), (0.9, 0.0, -0.9)
    rotations = []
    for rotation in range(3):
        shown = knows[rotation:] + knows[:rotation]
        rotations.append([value + liking for value, liking in zip(shown, likes, strict=True)])
    assert mean_log_probs(rotations) == pytest.approx(knows)
    assert mean_log_probs(rotations[:1]) == tuple(rotations[0])


def test_scores_are_the_means_over_items_asked_in_each_order(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    circular = Evaluation(vlm, item_file, item_file.items, CIRCULAR, batch_size=6)
    found = circular.scores("vlm", "vlm", "all")
    assert [score.item for score in found] == [one.id for one in item_file.items]
    for score, own in zip(found, item_file.items, strict=True):
        n_options = len(own.options)
        assert len(score.rotations) == n_options
        apart = []
        for rotation in range(n_options):
            alone = Evaluation(vlm, item_file, [rotated(own, rotation)], LETTER)
            (one,) = alone.scores("vlm", "vlm")
            assert score.rotations[rotation] == pytest.approx(one.log_probs, abs=2e-5)
            assert score.right_in_each[rotation] == one.correct
            apart.append(own_order(one.log_probs, rotation))
        mean = [sum(column) / n_options for column in zip(*apart, strict=True)]
        assert list(score.log_probs) == pytest.approx(mean, abs=2e-5)
        assert score.answer == own.answer


def test_an_item_is_never_torn_apart_and_a_batch_scores_whole_items(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    # the greatest item has four rows
    for batch_size in (1, 5, 64):
        evaluation = Evaluation(vlm, item_file, item_file.items, CIRCULAR, batch_size=batch_size)
        scored = {}
        for number, batch in enumerate(evaluation.batches):
            counts = [evaluation.asked[place].index for place in batch.items]
            assert all(
                counts.count(index) == len(item_file.items[index].options) for index in set(counts)
            )
            for index, values in evaluation.score_batch(number):
                scored[item_file.items[index].id] = values
            assert {one.id for one in evaluation.items_of(number)} == {
                item_file.items[index].id for index in counts
            }
        assert set(scored) == {one.id for one in item_file.items}
        for score in evaluation.scores("vlm", "vlm"):
            assert scored[score.item] == pytest.approx(score.log_probs, abs=2e-5)


def test_batches_of_items_in_their_own_order_are_what_they_were(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, LETTER, batch_size=3)
    places = [place for batch in evaluation.batches for place in batch.items]
    lengths = [len(evaluation.encoded[place].input_ids) for place in places]
    assert lengths == sorted(lengths)
    assert [len(batch.items) for batch in evaluation.batches] == [3, 3, 2]
    assert all(not score.rotations for score in evaluation.scores("vlm", "vlm"))


def test_an_item_that_fails_has_no_orders(
    vlm: LoadedModel, item_file: ItemFile, tmp_path: Path
) -> None:
    folder = item_file.path.parent
    bad = dataclasses.replace(item(3, name="bad"), video="missing.mp4")
    good = [dataclasses.replace(one, video=str(folder / one.video)) for one in item_file.items[:2]]
    write_items(tmp_path / "items.jsonl", (*good, bad))
    file = read_items(tmp_path / "items.jsonl")
    evaluation = Evaluation(vlm, file, file.items, CIRCULAR, max_failed=0.5)
    assert evaluation.in_own_order == [0, 1]
    scores = evaluation.scores("vlm", "vlm")
    assert [score.status for score in scores] == ["ok", "ok", "failed"]
    assert scores[2].rotations == scores[2].right_in_each == ()


def test_a_question_is_asked_with_the_options_in_their_order() -> None:
    text = question_text(rotated(item(3), 2), CIRCULAR)
    assert "\nA. option 2\nB. option 0\nC. option 1\n" in text


def test_a_score_with_rotations_is_read_back_equal() -> None:
    score = ItemScore(
        "x", "vlm", "vlm", "reasoning", "", "g", 1, (-1.0, -2.0), rotations=((-1.0, -2.0),) * 2
    )
    assert ItemScore.from_row(score.to_row()) == score
    assert score.letters_chosen == (0, 0)
    assert score.right_in_each == (False, True)
    plain = dataclasses.replace(score, rotations=())
    assert not {"rotations", "texts", "parses", "read"} & set(plain.to_row())
    assert ItemScore.from_row(plain.to_row()) == plain
    assert plain.letters_chosen == (0,)
    failed = dataclasses.replace(plain, log_probs=(), status="failed")
    assert failed.letters_chosen == failed.right_in_each == ()
    assert failed.chosen is None
    assert math.isnan(failed.margin_nats)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingError, match=r"no options are shown.*valid: answers letter"):
        changed_scoring(Scoring(answers="option_text"), circular=True)
    with pytest.raises(SettingError, match="valid: letter, option_text or generated"):
        changed_scoring(Scoring(), answers="words")
    with pytest.raises(
        SettingError, match="max_new_tokens is 0; valid: greater than or equal to 1"
    ):
        changed_scoring(Scoring(), max_new_tokens=0)
    assert changed_scoring(CIRCULAR, answers=None) == CIRCULAR
    assert changed_scoring(CIRCULAR, max_frames=4).circular


def test_stages_that_look_into_one_forward_say_what_they_leave_out() -> None:
    assert without_orders(LETTER) == (LETTER, "")
    plain, said = without_orders(changed_scoring(CIRCULAR, answers="generated"))
    assert plain == LETTER
    assert "not generated" in said
    assert "own order" in said


def test_a_recipe_leaves_out_what_has_its_default() -> None:
    assert Scoring().model_dump() == {"answers": "letter", "max_frames": 16}
    assert CIRCULAR.model_dump() == {"answers": "letter", "max_frames": 8, "circular": True}
