from __future__ import annotations

import pytest

from merit_interp.benchmarks.annotation_files import RowError
from merit_interp.benchmarks.inline_options import split_options, without_letters


@pytest.mark.parametrize("form", ["({})", "{}.", "{})", "{}:"])
def test_options_in_each_form(form: str) -> None:
    lines = [f"{form.format(letter)} option {letter}" for letter in "ABC"]
    found = split_options("What is red?\n" + "\n".join(lines))
    assert found == ("What is red?", ("option A", "option B", "option C"))


def test_an_instruction_after_the_last_option_is_no_part_of_it() -> None:
    text = "Which?\nA. one\nB. two\nAnswer with the option's letter directly."
    assert split_options(text) == ("Which?", ("one", "two"))


def test_an_option_may_have_two_lines() -> None:
    assert split_options("Which?\nA. one\nand more\nB. two\nand more") == (
        "Which?",
        ("one\nand more", "two\nand more"),
    )


def test_a_question_may_have_lines_of_its_own() -> None:
    text = "A. Smith and B. Jones meet.\nWho speaks first?\n(A) Smith\n(B) Jones"
    assert split_options(text) == (
        "A. Smith and B. Jones meet.\nWho speaks first?",
        ("Smith", "Jones"),
    )


@pytest.mark.parametrize(
    "text", ["Which?", "Which?\nA. one", "A. one\nB. two", "Which?\nB. two\nC. three"]
)
def test_what_has_no_options(text: str) -> None:
    assert split_options(text) is None


def test_a_letter_out_of_order_is_not_guessed_at() -> None:
    assert split_options("Which?\nA. one\nC. three\nB. two") is None


def test_each_option_loses_its_own_letter_alone() -> None:
    assert without_letters(("A. one", "B) two", "C.three")) == ("one", "two", "three")
    assert without_letters(("U.S. troops", "E. coli", "none")) == ("U.S. troops", "E. coli", "none")
    assert without_letters(("A. J. Smith",)) == ("J. Smith",)
    assert without_letters(("J. Smith", "C. Jones")) == ("J. Smith", "C. Jones")
    assert without_letters(("A. one", "B. two", "three")) == ("one", "two", "three")


@pytest.mark.parametrize(
    "options", [("B. one", "A. two"), ("A. one", "C. two"), ("A. one", "A) two", "C. three")]
)
def test_letters_that_are_not_in_order_are_not_guessed_at(options: tuple[str, ...]) -> None:
    with pytest.raises(RowError, match="letters of options are not in order"):
        without_letters(options)
