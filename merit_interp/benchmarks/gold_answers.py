"""Gold answers as benchmarks write them: a text, a letter, a number, or withheld.

    answer = answer_letter(options, row.text("answer"))

Answers that are no answer are a `RowError`, which leaves the row out; none is invented. This file
must not know any benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, read_rows
from merit_interp.errors import ItemError


def answer_index(options: tuple[str, ...], answer: str) -> int:
    """Index of the option that is the answer's text; the first where two are.

    Raises:
        RowError: No option is.
    """
    if answer not in options:
        raise RowError(f"answer is none of the options: {answer!r}")
    return options.index(answer)


def answer_letter(options: tuple[str, ...], letter: str) -> int:
    """Index of the option of a letter: "B", "b", "(B)" or "B." is 1.

    Raises:
        RowError: It is no letter of an option.
    """
    bare = letter.strip().strip("().").upper()
    index = ord(bare) - ord("A") if len(bare) == 1 else -1
    if not 0 <= index < len(options):
        raise RowError(f"answer is no letter of an option: {letter!r}")
    return index


def answer_number(options: tuple[str, ...], row: Row, name: str) -> int:
    """Index of the right option, which a field holds as a number from 0.

    Raises:
        RowError: It is no whole number, or none of an option.
    """
    index = row.whole(name)
    if not 0 <= index < len(options):
        raise RowError(f"{name} is no index of an option: {index}")
    return index


def refuse_withheld(path: Path, has_gold: Callable[[Row], bool], *, valid: str) -> None:
    """Refuse a file without any gold answer, as test sets with a server of their own are published.

    Args:
        path: An annotation file; read as far as its first gold answer.
        has_gold: Whether a row has one.
        valid: Which file has them.

    Raises:
        ItemError: No row has one.
    """
    if not any(has_gold(row) for row in read_rows(path)):
        raise ItemError(f"{path} withholds its gold answers, and none are invented", valid=valid)
