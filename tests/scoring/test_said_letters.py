"""Texts in which a letter stands that is not chosen, and texts that look like them and choose.

What each must be read as follows from the rules at the end of BENCHMARKS.md: an explicit cue (the
last one), a bare letter, a letter in parentheses, one option's text; else nothing.
"""

from __future__ import annotations

import pytest

from merit_interp.scoring.answer_parser import parse_answer
from merit_interp.scoring.said_letters import is_denied, open_letters

FOUR = ("sits down", "stands up", "runs", "dances")


def read(text: str, options: tuple[str, ...] = FOUR) -> str:
    option = parse_answer(text, options).option
    return "" if option is None else "ABCD"[option]


@pytest.mark.parametrize(
    "text",
    [
        # one or the other
        "Option A or Option B is correct", "Either A or B is correct", "A or B is correct",
        "A or B is the correct answer", "A or B.", "The answer is A. Or B.", "A or option B",
        "It is A, or it is B.", "I think A or I think B", "A is correct or B is correct",
        "The answer is (A) sits down or (B) stands up", "\\boxed{A} or \\boxed{B}",
        "The answer is A. sits down or B. stands up", "The answer is A sits down or B stands up",
        "C is the correct answer, or D", "The answer is C or none", "E or C", "Answer: E, or C",
        "The answer is probably A, but it could also be B", "The answer is A or B: he runs",
        # one and the other
        "A is correct and B is correct", "Option A is correct, option B is correct",
        "C is correct, D too", "C is correct, and so is D", "Options A and C are correct",
        "The answer is A, then B", "The answer is A followed by B", "The answer is A to D",
        "A through D", "A vs B", "The answer is A, and B",
        # all of them
        "A. B. C. D.", "A) B) C) D)", "(A) (B) (C) (D)", "a. b. c. d.", "A. B.", "A B C D",
        "Answer: A. B. C. D.", "Answer: A B", "Answer: A;B", "Answer: A + B", "Answer: A -> B",
        "Answer: A\nB\nC", '{"answer": ["A", "B"]}', "{'answer': ['A','B']}", "Therefore A; B",
        "E. C.", "A. The man runs. B. The man stands", "A: He looks. B: He goes.",
        "A: He looks.\nB: He goes.", "A: 0.4, B: 0.6", "A 40% B 60%",
        # asked, not said
        "A?", "Is it A?", "Is the answer A?", "I am not sure, A?", "A or B?",
        # taken back
        "The answer is A. No, wait", "A. Wait",
        # names of what is seen
        "Player B scores", "Man A hits man B", "Team A", "Vitamin C", "Plan B", "Grade A",
        "The answer is vitamin C", "In frame C he jumps", "A jumps, B stays", "From A to B",
        # a text that is denied
        "It's not that he runs", "It isn't because he runs", "He is not the one who runs or dances",
        # "A:" for "answer:"
        "A: he is thinking", "A: I don't know",
    ],
)  # fmt: skip
def test_nothing_is_chosen(text: str) -> None:
    assert read(text) == ""


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        # the last explicit words
        ("The answer is A. The answer is B.", "B"), ("A is correct. B is correct.", "B"),
        ("Which is it, A or B? The answer is B", "B"), ("The answer is A. Wait, no, it is B.", "B"),
        ("He walks from A to B. The answer is D", "D"), ("He goes from A to B, so D", "D"),
        # another one is denied, or has a clause of its own
        ("The answer is C. A, B, and D are incorrect.", "C"), ("The answer is A, B is wrong", "A"),
        ("The answer is C, not A or B.", "C"), ("C, because A, B and D do not fit", "C"),
        ("C. The other options A, B, D do not match", "C"), ("C. B is also plausible.", "C"),
        ("Option C. Option A is plausible but less so", "C"), ("A, B and D are wrong, so C", "C"),
        ("C\n\nA, B and D are incorrect", "C"), ("I would say A, but B is possible", "A"),
        ("The answer is A (not B, C, or D)", "A"), ("B instead of A", "B"), ("B and not A", "B"),
        ("D. He walks from A to B.", "D"), ("A. No, B.", "B"),
        # letters in other words
        ("Looking at the video, C", "C"), ("Going with C", "C"), ("Looks like D", "D"),
        ("It's clearly C, since he runs", "C"), ("B stands up", "B"), ("C fits", "C"),
        ("B because he stands up", "B"), ("Option C: runs", "C"), ("1. B", "B"),
        # a letter before a text
        ("C. stands up", "C"), ("C (stands up)", "C"), ("dances, C", "C"), ("A: sits down", "A"),
        # a text where the letter is an article or a name
        ("he does not run, he dances", "D"), ("It's not that he runs but that he dances", "D"),
        ("A runs", "C"), ("Person A runs", "C"), ("In frame C he runs", "C"),
        # "A:" for "answer:"
        ("Q: What does he do?\nA: runs", "C"), ("Q: what? A: B", "B"),
    ],
)  # fmt: skip
def test_one_is_chosen(text: str, letter: str) -> None:
    assert read(text) == letter


@pytest.mark.parametrize(
    ("text", "options", "letter"),
    [
        ("Person A wins", ("Person B wins", "Person A wins"), "B"),
        ("The answer is person A wins.", ("Person B wins", "Person A wins"), "B"),
        ("A. Person B wins", ("Person B wins", "Person A wins"), "A"),
        ("A", ("Person B wins", "Person A wins"), "A"),
        ("Vitamin C", ("vitamin C", "vitamin D", "vitamin A"), "A"),
        ("It is vitamin A, so C", ("vitamin C", "vitamin D", "vitamin A"), "C"),
        ("The answer is both A and B", ("red", "blue", "both A and B"), "C"),
        ("A and B", ("red", "blue", "both A and B"), ""),
        ("The answer is B to A", ("a man", "A to B", "B to A"), "C"),
        # cut off after its first word, or two letters
        ("B. A", ("red", "A man sits", "A dog"), "B"),
        ("Answer: (B) A", ("red", "A man sits", "A dog"), "B"),
        ("B. A", ("red", "blue", "A dog"), ""),
        ("B. A", ("A dog", "blue", "red"), ""),
    ],
)
def test_letters_within_an_options_text_are_its_text(
    text: str, options: tuple[str, ...], letter: str
) -> None:
    assert read(text, options) == letter


def test_a_letter_that_only_ignoring_case_makes_one_is_none() -> None:
    nine = tuple(f"number {number}" for number in range(9))
    assert parse_answer("The answer is İ", nine).option is None


def test_open_letters_are_places() -> None:
    said = "The answer is A or B. C is not"
    assert open_letters(said, "ABCD") == {said.index("A"), said.index("B")}
    assert [is_denied(said, said.index(letter)) for letter in "ABC"] == [False, False, True]


@pytest.mark.parametrize("loop", ["A, B, C, D, ", "A or ", "the answer is A or B. "])
def test_a_model_in_a_loop_says_nothing(loop: str) -> None:
    assert read(loop * 1000) == ""
