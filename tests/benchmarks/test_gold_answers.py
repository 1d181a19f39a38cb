from __future__ import annotations

import pytest

from merit_interp.benchmarks.annotation_files import Row
from merit_interp.benchmarks.gold_answers import answer_index, answer_letter, answer_number
from merit_interp.errors import ItemError


@pytest.mark.parametrize(("letter", "index"), [("B", 1), ("b", 1), ("(C)", 2), ("A.", 0)])
def test_letters_of_options(letter: str, index: int) -> None:
    assert answer_letter(("x", "y", "z"), letter) == index


@pytest.mark.parametrize("letter", ["D", "", "AB", "1", "x"])
def test_no_letters_of_options(letter: str) -> None:
    with pytest.raises(ItemError, match="answer is no letter of an option"):
        answer_letter(("x", "y", "z"), letter)


@pytest.mark.parametrize("number", [0, "2", 1.0])
def test_numbers_of_options(number: object) -> None:
    assert answer_number(("x", "y", "z"), Row("a row", {"gold": number}), "gold") == int(
        float(str(number))
    )


@pytest.mark.parametrize("number", [3, -1])
def test_no_numbers_of_options(number: int) -> None:
    with pytest.raises(ItemError, match=f"gold is no index of an option: {number}"):
        answer_number(("x", "y", "z"), Row("a row", {"gold": number}), "gold")


def test_texts_of_options() -> None:
    assert answer_index(("x", "y", "y"), "y") == 1
    with pytest.raises(ItemError, match="answer is none of the options: 'z'"):
        answer_index(("x", "y"), "z")
