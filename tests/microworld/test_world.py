"""Answers and evidence, against an independent reading of the English question."""

import random
import re
from collections import Counter

import pytest

from merit_interp.microworld.world import (
    COLOURS,
    EVENTS,
    OPTION_COUNT,
    ORDINALS,
    QUESTION_KINDS,
    RECITALS,
    SHAPES,
    Clip,
    ask_all,
    draw_clip,
    kinds_of,
    transcript,
)


def read_answer(text: str, clip: Clip) -> str:
    """What a person would answer, from the words of the question alone."""
    shapes = [e.shape for e in clip]
    colours = [e.colour for e in clip]
    words = re.findall(r"[a-z]+", text.lower())
    named = [w for w in words if w in SHAPES]
    at = [shapes.index(w) for w in named if w in shapes]
    if text.startswith("Does the"):
        return "yes" if at else "no"
    if text.startswith("Does anything"):
        return "yes" if words[2] in colours else "no"
    ordinal = [ORDINALS.index(w) for w in words if w in ORDINALS]
    if text.startswith("Which comes first"):
        return shapes[min(at)]
    if text.startswith("Which comes last"):
        return shapes[max(at)]
    if "later" in words:
        start = max(at)
    elif "earlier" in words:
        start = min(at)
    else:
        start = at[0] if at else ordinal[0]
    step = 2 if "two" in words else 1
    if "after" in words:
        start += step
    elif "before" in words:
        start -= step
    assert start >= 0
    return colours[start] if "colour" in words else shapes[start]


@pytest.mark.parametrize("kind", list(QUESTION_KINDS))
def test_answers_follow_from_the_question(kind: str) -> None:
    rng = random.Random(kind)
    asked = 0
    for number in range(300):
        clip = draw_clip(rng, 6 + number % 5)
        for question in ask_all(clip, rng, [kind]):
            asked += 1
            assert question.kind == kind
            assert question.answer == read_answer(question.text, clip)
            assert question.options[question.answer_index] == question.answer
            assert len(set(question.options)) == len(question.options)
            assert len(question.options) in (2, OPTION_COUNT)
    assert asked > 250


@pytest.mark.parametrize("kind", list(QUESTION_KINDS))
def test_evidence_decides(kind: str) -> None:
    """Frames that are not evidence can be anything and the answer stays."""
    rng = random.Random(f"evidence {kind}")
    for _ in range(100):
        clip = draw_clip(rng, 8)
        for question in ask_all(clip, rng, [kind]):
            assert list(question.evidence) == sorted(set(question.evidence))
            kept = {clip[i].shape for i in question.evidence}
            spare = [s for s in SHAPES if s not in kept and s not in question.text]
            rng.shuffle(spare)
            changed = tuple(
                event if i in question.evidence else type(event)(rng.choice(COLOURS), spare.pop())
                for i, event in enumerate(clip)
            )
            assert read_answer(question.text, changed) == question.answer
            named = {w for w in re.findall(r"[a-z]+", question.text) if w in SHAPES}
            shown = {e.shape for e in clip}
            assert named & shown <= kept


def test_distractors_come_from_the_clip() -> None:
    rng = random.Random(3)
    for _ in range(100):
        clip = draw_clip(rng, 8)
        for question in ask_all(clip, rng, ["after", "position", "two_before", "after_later"]):
            assert set(question.options) <= {event.shape for event in clip}


def test_clips_have_distinct_shapes_and_every_event_is_drawn() -> None:
    rng = random.Random(0)
    seen: Counter[str] = Counter()
    for _ in range(300):
        clip = draw_clip(rng, 8)
        assert len({event.shape for event in clip}) == 8
        seen.update(event.text for event in clip)
    assert set(seen) == {event.text for event in EVENTS}


def test_answers_are_balanced() -> None:
    rng = random.Random(1)
    places: Counter[int] = Counter()
    answers: Counter[str] = Counter()
    for _ in range(800):
        clip = draw_clip(rng, 8)
        (question,) = ask_all(clip, rng, ["after"])
        places[question.answer_index] += 1
        (question,) = ask_all(clip, rng, ["present"])
        answers[question.answer] += 1
    assert min(places.values()) > 150
    assert min(answers.values()) > 340


def test_the_same_seed_gives_the_same_questions() -> None:
    def drawn() -> list[object]:
        rng = random.Random(7)
        clip = draw_clip(rng, 8)
        return [clip, ask_all(clip, rng, list(QUESTION_KINDS))]

    assert drawn() == drawn()


def test_kinds_by_skill_and_family() -> None:
    assert kinds_of("reasoning", "base") == (
        "after", "before", "two_later", "first_of", "colour_after",
    )  # fmt: skip
    assert "colour_present" not in kinds_of("perception", "base")
    assert set(kinds_of()) == set(QUESTION_KINDS)


def test_recitals_and_transcript() -> None:
    clip = draw_clip(random.Random(2), 6)
    forward = RECITALS["Name the shapes:"](clip)
    assert RECITALS["Name the shapes backwards:"](clip) == forward[::-1]
    assert transcript(clip).split()[1] == forward[0]
    assert transcript(clip).endswith(".")
