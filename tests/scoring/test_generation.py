"""Generated answers: equal to a model without cache or padding, read, counted and kept."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.errors import NotANumberError
from merit_interp.models.loading import LoadedModel, Placement, load_vlm
from merit_interp.recipe import Scoring
from merit_interp.records import ItemScore
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.scoring.generation import generate_answers
from merit_interp.scoring.option_orders import in_orders
from merit_interp.scoring.read_answers import with_answers
from tests.tiny_models import TinyPair

GENERATED = Scoring(answers="generated", max_frames=8, max_new_tokens=6)
LETTER = Scoring(answers="letter", max_frames=8)


def without_cache(evaluation: Evaluation, place: int, n_tokens: int) -> list[int]:
    """The most probable tokens one after another, each by a forward on the pixels."""
    inputs = evaluation.pixel_inputs(evaluation.batch_of([place])) | {"logits_to_keep": 1}
    said: list[int] = []
    for _ in range(n_tokens):
        with torch.no_grad():
            said.append(int(evaluation.model.model(**inputs).logits[0, -1].argmax()))
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([said[-1:]])], dim=1)
    return said


def test_answers_are_those_of_forwards_on_pixels(vlm: LoadedModel, item_file: ItemFile) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, GENERATED)
    (batch,) = evaluation.batches
    said = dict(zip(batch.items, generate_answers(evaluation, batch).texts, strict=True))
    for place in range(len(item_file.items)):
        ids = without_cache(evaluation, place, 6)
        assert vlm.tokenizer.eos_token_id not in ids
        assert said[place] == vlm.tokenizer.decode(ids, skip_special_tokens=True)


def test_a_batch_says_what_each_item_alone_says(vlm: LoadedModel, item_file: ItemFile) -> None:
    together = Evaluation(vlm, item_file, item_file.items, GENERATED).scores("vlm", "vlm")
    alone = Evaluation(vlm, item_file, item_file.items, GENERATED, batch_size=1).scores(
        "vlm", "vlm"
    )
    for one, other in zip(together, alone, strict=True):
        assert one.texts == other.texts
        assert one.log_probs == pytest.approx(other.log_probs, abs=2e-5)


def test_letters_have_the_log_probabilities_of_the_letter_route(
    vlm: LoadedModel, item_file: ItemFile
) -> None:
    letters = Evaluation(vlm, item_file, item_file.items, LETTER).scores("vlm", "vlm")
    generated = Evaluation(vlm, item_file, item_file.items, GENERATED).scores("vlm", "vlm")
    for by_letter, said in zip(letters, generated, strict=True):
        assert said.log_probs == pytest.approx(by_letter.log_probs, abs=2e-5)
        most = max(by_letter.log_probs)
        assert said.log_probs.index(max(said.log_probs)) == by_letter.log_probs.index(most)


def test_a_checkpoints_sampling_has_no_say(pair: TinyPair, item_file: ItemFile) -> None:
    vlm = load_vlm(pair.vlm)
    before = Evaluation(vlm, item_file, item_file.items[:2], GENERATED)
    plain = before.scores("vlm", "vlm")
    own = GenerationConfig(
        do_sample=True, temperature=9.0, repetition_penalty=5.0, min_new_tokens=3, max_length=3
    )
    vlm.model.generation_config = own
    assert before.scores("vlm", "vlm") == plain
    assert vlm.model.generation_config is own


def test_an_answer_ends_where_the_model_ends_it(pair: TinyPair, item_file: ItemFile) -> None:
    vlm = load_vlm(pair.vlm)
    evaluation = Evaluation(vlm, item_file, item_file.items[:1], GENERATED)
    first = without_cache(evaluation, 0, 1)[0]
    vlm.model.generation_config.eos_token_id = [first, 3]
    (score,) = evaluation.scores("vlm", "vlm")
    assert score.texts == ("",)
    assert (score.status, score.parses, score.read) == ("unparsed", ("none",), (None,))
    assert score.chosen is None
    assert not score.correct
    # what it had said by letters is kept
    assert len(score.log_probs) == len(item_file.items[0].options)


def test_a_model_that_overflows_is_an_error_here_too(pair: TinyPair, item_file: ItemFile) -> None:
    vlm = load_vlm(pair.vlm, placement=Placement(dtype="float32"))
    evaluation = Evaluation(vlm, item_file, item_file.items[:2], GENERATED)
    with torch.no_grad():
        vlm.projection(0, "o").weight.fill_(float("nan"))
    with pytest.raises(NotANumberError):
        evaluation.scores("vlm", "vlm")


def test_every_order_is_answered(vlm: LoadedModel, item_file: ItemFile) -> None:
    scoring = Scoring(answers="generated", max_frames=8, max_new_tokens=3, circular=True)
    scores = Evaluation(vlm, item_file, item_file.items, scoring, batch_size=7).scores("vlm", "")
    for score, item in zip(scores, item_file.items, strict=True):
        n_options = len(item.options)
        assert len(score.texts) == len(score.parses) == len(score.read) == n_options
        assert len(score.rotations) == n_options
        assert ItemScore.from_row(score.to_row()) == score


THREE = Item("x", "x.mp4", "What?", ("the circle", "the square", "the star"), 1, "reasoning")


def read_back(texts: list[str]) -> ItemScore:
    score = ItemScore("x", "vlm", "vlm", "reasoning", "", "g", 1, (-3.0, -1.0, -2.0))
    asked = in_orders([THREE], circular=len(texts) > 1)
    log_probs = dict.fromkeys(range(len(texts)), (-1.0, -1.0, -1.0))
    (found,) = with_answers([score], asked, log_probs, dict(enumerate(texts)))
    return found


def test_letters_of_a_rotation_are_read_as_the_items_own_options() -> None:
    always = read_back(["B", "The answer is A.", "(C)"])
    assert always.read == (1, 1, 1)
    assert always.right_in_each == (True, True, True)
    assert always.letters_chosen == (1, 0, 2)
    assert always.parses == ("letter", "cue", "letter")
    likes_a = read_back(["A", "A", "A"])
    assert likes_a.read == (0, 1, 2)
    assert likes_a.right_in_each == (False, True, False)
    # each option once: the most probable of them
    assert likes_a.chosen == 1


def test_most_rotations_decide_and_unread_ones_are_wrong() -> None:
    score = read_back(["the star", "I cannot tell", "the star"])
    assert score.read == (2, None, 2)
    assert (score.chosen, score.status, score.correct) == (2, "ok", False)
    assert score.right_in_each == (False, False, False)
    nothing = read_back(["", "Hm.", "A man"])
    assert (nothing.chosen, nothing.status, nothing.correct) == (None, "unparsed", False)
    assert nothing.texts == ("", "Hm.", "A man")
    assert nothing.letters_chosen == (None, None, None)
