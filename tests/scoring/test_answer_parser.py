"""Texts that models say, and the option that each chooses; among them what others read wrong."""

from __future__ import annotations

import random
import string

import pytest

from merit_interp.scoring.answer_parser import RULES, UNPARSED, ParsedAnswer, parse_answer

FOUR = ("sits down", "stands up", "runs", "dances")
A, B, C, D = range(4)


def read(text: str, options: tuple[str, ...] = FOUR) -> tuple[int | None, str]:
    parsed = parse_answer(text, options)
    return parsed.option, parsed.rule


# BENCHMARKS.md, "Answer parsing": what `extract_mcq_answer`, `mcq_acc` and TOMATO's parser of
# lmms-eval 75571cf made of these texts is the third value
@pytest.mark.parametrize(
    ("text", "right", "theirs"),
    [
        ("A person picks up the cup. So the answer is C.", C, A),
        ("Answer: c", C, A),
        ("The correct option is C. A and B are wrong", C, B),
        ("I think it is b.", B, None),
        ("The man is Dancing", None, D),
        ("the person opens a door, so C", C, A),
        ("a man", None, A),
        ("The answer is Clockwise throughout", None, C),
        ("I cannot tell", None, A),
    ],
)
def test_what_other_parsers_read_wrong(text: str, right: int | None, theirs: int | None) -> None:
    assert parse_answer(text, FOUR).option == right != theirs


def test_words_of_those_failures_are_read_where_they_are_options() -> None:
    assert read("The man is Dancing", ("Sitting", "Running", "Singing", "Dancing")) == (D, "text")
    turning = ("Clockwise then counter-clockwise", "Counter-clockwise", "Clockwise throughout")
    assert read("The answer is Clockwise throughout", turning) == (C, "text")
    assert read("a man", ("a woman", "a man")) == (B, "text")


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("The answer is (C).", C), ("Answer:\n\n**C**", C), ("Best option:(C", C),
        ("Best option: (C) runs", C), ("Final Answer: D. dances", D), ("answer is\n\nC", C),
        ("The answer is A because he sits.", A), ("The answer to the question is D", D),
        ("The best answer would be: D.", D), ("so the answer is b", B), ("Answer: a", A),
        ("I would go with option (D).", D), ("I think B.", B), ("We choose option C", C),
        ("$\\boxed{\\text{B}}$", B), ("\\boxed{C}", C), ("<answer>B</answer>", B),
        ("<answer> B", B), ('{"result":"C"}', C), ('{"answer": "C"}', C), ("answer -> D", D),
        ("Option D is correct.", D), ("C is the best option", C), ("C is right.", C),
        ("Therefore, C.", C), ("Thus the correct choice is 'C'", C), ("Option: C", C),
        # the last announcement counts
        ("The answer is A... wait. The answer is C", C),
        ("Option A shows a chair, option B a man. So the answer is B", B),
        ("Is the answer A? No, the answer is D.", D),
        ("What about C? No. The answer: D", D), ("The answer is C or D, I choose D", D),
        ("The answer is B, not A.", B), ("It isn't A, it's B", B), ("A and C are wrong, so B.", B),
        ("(A) is incorrect, (B) is incorrect, (C) is correct", C), ("A is the correct answer", A),
        ("It does not show it so C", C), ("The answer is not clear, but B seems right", B),
        ("Question: What?\nA. sits down\nB. stands up\nAnswer: B", B), ("Answer：B", B),
        ("{'answer': 'B'}", B), ("my answer would be a)", A), ("The answer is A – sits", A),
    ],
)  # fmt: skip
def test_a_cue_and_a_letter(text: str, option: int) -> None:
    assert read(text) == (option, "cue")


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("C", C), ("c", C), ("c.", C), (" **C** ", C), ("C. runs", C), ("C) runs", C),
        ("C: runs", C), ("C.runs", C), ("(C) runs", C), ("（C）", C), ("A", A), ("a", A),
        ("A. A man sits down", A), ("He goes to the left.\nC", C), ("Surely C", C),
        ("<think>The answer is A, or B?</think>\n\nB", B), ("The answer is not A but B.", B),
        ("B\n\nExplanation: A person walks", B), ("Option A", A), ("[[B]]", B),
        ("Neither A nor B fits, C", C), ("C fits, A is wrong", C), ("Not (A), B", B),
    ],
)  # fmt: skip
def test_a_bare_letter(text: str, option: int) -> None:
    assert read(text) == (option, "letter")


@pytest.mark.parametrize(
    "text", ["It must have been (C)", "it would be the last (c) then", "is [C]"]
)
def test_a_letter_in_parentheses(text: str) -> None:
    assert read(text) == (C, "parentheses")


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Answer: A sits down", A), ("He dances.", D), ("A man dances", D), ("He STANDS  up!", B),
        ("he does not run, he dances", D),
        ("Between sits down and runs the answer is runs", C),
    ],
)  # fmt: skip
def test_the_text_of_one_option(text: str, option: int) -> None:
    assert read(text) == (option, "text")


def test_a_text_within_a_longer_option_is_not_that_text() -> None:
    colours = ("red", "green", "blue", "red and green")
    assert read("It is red and green.", colours) == (D, "text")
    assert read("It is red.", colours) == (A, "text")
    assert read("blue, red", colours) == (None, "none")
    assert read("No, it isn't", ("yes", "no")) == (B, "text")
    assert read("It isn't red", colours) == (None, "none")


def test_the_beginning_of_one_option_is_that_option() -> None:
    # as an answer that the limit of tokens cut off
    long = ("the man walks to the door and opens it", "the man walks to the window", "a dog barks")
    assert read("the man walks to the door", long) == (A, "text")
    assert read("the man walks to the", long) == (None, "none")
    assert read("a", ("a dog", "the cat")) == (A, "letter")
    assert read("the", ("a dog", "the cat")) == (None, "none")


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "\n", "I cannot tell", "A man opens the door", "The answer is A man",
        "The answer is a man", "I think a man", "The answer is a", "it is A man",
        "The answer is A or B", "The answer is (A) and (B)", "Either A or C", "B and C", "A, B, C",
        "The answer is not A", "The answer can't be A", "I don't think C is correct", "A is wrong",
        "It is 5 A.M.", "He wears a T-shirt, D-shaped", "20 °C", "A. sits\nB. stands\nC. run",
        "<think>the answer is B", "He stands up and runs", "B (C)",
    ],
)  # fmt: skip
def test_what_is_no_answer(text: str) -> None:
    assert parse_answer(text, FOUR) == UNPARSED == ParsedAnswer(None, "none")


@pytest.mark.parametrize(
    "text",
    [
        "A. sits down B. stands up C. runs D. dances", "(A) sits down (B) stands up (C) runs",
        "A) Sits down, B) Stands up, C) Runs", "C: runs; D: dances",
    ],
)  # fmt: skip
def test_options_said_over_again_on_one_line_are_no_answer(text: str) -> None:
    assert parse_answer(text, FOUR) == UNPARSED


@pytest.mark.parametrize(
    "text",
    [
        "The answer is A or option B", "the answer is B or maybe C", "I think B, or perhaps D",
        "Answer: A and possibly C", "Option A or option B", "A or maybe B", "(B) or possibly (C)",
        "(B) or (C)",
    ],
)  # fmt: skip
def test_a_doubt_with_words_between_its_letters_is_no_answer(text: str) -> None:
    assert parse_answer(text, FOUR) == UNPARSED


def test_another_letter_in_a_clause_of_its_own_is_no_doubt() -> None:
    assert read("The answer is B, and A fits less") == (B, "cue")


def test_an_option_said_with_words_on_the_next_one_is_an_answer() -> None:
    for text in ("A. sits down, not B. He stays", "A. sits down\nOption B. stands up is later"):
        assert read(text) == (A, "letter")
    assert read("A. sits down B. stands up C. runs D. dances. Answer: B") == (B, "cue")


def test_only_letters_that_the_item_has() -> None:
    for text in ("E", "The answer is E", "(E)", "E. the fifth"):
        assert read(text) == (None, "none")
        assert parse_answer(text, (*FOUR, "falls")).option == 4
    # a letter that is no option's does not hide one that is
    assert read("Answer: C (not E)") == (C, "cue")
    nine = tuple(f"number {number}" for number in range(9))
    assert read("I cannot tell", nine) == (None, "none")
    assert read("I", nine) == (8, "letter")
    assert read("the answer is I.", nine) == (8, "cue")


def test_options_that_are_alike_or_letters_are_told_by_their_letter_only() -> None:
    assert read("the ball", ("the ball", "the ball", "a cup")) == (None, "none")
    assert read("It shows a dog", ("b", "a", "d", "c")) == (None, "none")
    assert read("Answer: B", ("b", "a", "d", "c")) == (B, "cue")


def test_every_letter_is_read_back_from_every_form() -> None:
    forms = ("{}", "({})", "{}.", "Answer: {}", "The answer is {}.", "The correct option is ({}).")
    for count in (2, 3, 5, 8, 26):
        options = tuple(f"text number {number}" for number in range(count))
        for number, letter in enumerate(string.ascii_uppercase[:count]):
            for form in forms:
                assert parse_answer(form.format(letter), options).option == number


def test_any_text_is_read_without_a_fault_and_soon() -> None:
    random.seed(0)
    pieces = [
        "A",
        "b",
        "is",
        "the answer",
        "option",
        " ",
        "\n",
        ".",
        "not",
        "(",
        ")",
        "or",
        "*",
        ":",
    ]
    for _ in range(300):
        text = " ".join(random.choices(pieces, k=30))
        parsed = parse_answer(text, FOUR)
        assert parsed.rule in RULES
        assert (parsed.option is None) == (parsed.rule == "none")
    long = "the answer the option is " * 2000
    assert read(long) == (None, "none")
