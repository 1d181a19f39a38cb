"""Text of others beside our own words: what is dropped, where it is cut, which way it reads."""

from __future__ import annotations

import pytest

from merit_interp.plots.shown_text import (
    FIRST_STRONG,
    POP,
    isolated,
    legible,
    n_columns,
    shortened,
    undirected,
    wrapped,
)

HEART = "\u0642\u0644\u0628"
CIRCLES = "\u8d64\u3044\u4e38\u306e\u3042\u3068" * 30
FAMILY = "\U0001f469\u200d\U0001f467"


def test_what_a_picture_cannot_hold_is_shown_as_such() -> None:
    assert legible("a\x00b\x07c\x1b[31m\x85\ufffe") == "a\ufffdb\ufffdc\ufffd[31m\ufffd\ufffd"
    assert legible("a\tb\r\nc é 赤") == "a\tb\r\nc é 赤"


@pytest.mark.parametrize("mark", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_no_text_turns_what_stands_beside_it(mark: str) -> None:
    assert undirected(f"a{mark}b") == "ab"
    # nor does it end its own isolation
    assert isolated(f"{HEART}{mark}b") == f"{FIRST_STRONG}{HEART}b{POP}"


def test_text_that_reads_from_the_right_is_isolated_and_other_text_as_it_was() -> None:
    assert isolated(HEART) == f"{FIRST_STRONG}{HEART}{POP}"
    assert isolated(f"{HEART} 12") == f"{FIRST_STRONG}{HEART} 12{POP}"
    for text in ("the heart, 12", "赤い丸", "", "é"):
        assert isolated(text) == text


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Which comes next?", "Which comes next?"),
        ("Which  shape\ncomes next?", "Which shape comes …"),
        ("Which comes next to it then?", "Which comes next to …"),
        ("x" * 40, "x" * 20 + " …"),
        ("Which " + "x" * 40, "Which " + "x" * 14 + " …"),
        ("赤い丸のあとに現れる形はどれ", "赤い丸のあとに現れる …"),
        ("x" * 19 + "e\u0301" + "y" * 9, "x" * 19 + "e\u0301" + " …"),
        ("x" * 17 + FAMILY + "y" * 9, "x" * 17 + " …"),
    ],
)
def test_a_long_text_is_cut_by_words_or_by_letters(text: str, short: str) -> None:
    assert shortened(text, 22) == short
    assert n_columns(short) <= 22


def test_letters_are_as_wide_as_they_print() -> None:
    assert [n_columns(text) for text in ("abc", "赤い", "e\u0301", f"{FIRST_STRONG}a{POP}")] == [
        3, 4, 1, 1,
    ]  # fmt: skip


@pytest.mark.parametrize("text", [CIRCLES, "word " * 60, "x" * 300, "a " + "x" * 300 + " b", ""])
def test_lines_hold_all_letters_and_fit(text: str) -> None:
    lines = wrapped(text, 40)
    assert all(n_columns(line) <= 40 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) <= 1 + n_columns(text) // 20


def test_what_is_isolated_is_so_in_each_line() -> None:
    lines = wrapped(f"Options: {isolated(f'{HEART} ' * 20)} / b", 30)
    assert len(lines) > 2
    for line in lines:
        assert line.count(FIRST_STRONG) == line.count(POP) == 1
    assert lines[0].startswith(f"Options: {FIRST_STRONG}{HEART}")
    assert lines[-1].endswith(f"{POP} / b")
