r"""Options that are written with their letters, each by itself or all within the question's text.

    question, options = split_options("What is red?\n(A) the car\n(B) the door")
    options = without_letters(("A. the car", "B. the door"))

This file must not know any benchmark.
"""

from __future__ import annotations

import re
import string

from merit_interp.benchmarks.annotation_files import RowError

_OWN = re.compile(r"([A-Z])[.)]")
_LETTER = re.compile(r"^[ \t]*(?:\(([A-Z])\)|([A-Z])[.):])[ \t]*", re.MULTILINE)
# what a prompt says after the last option is not part of that option
_INSTRUCTION = re.compile(r"(?:answer|please|only|select|choose|best option)\b", re.IGNORECASE)


def split_options(text: str) -> tuple[str, tuple[str, ...]] | None:
    """The question without its options, and the options without their letters.

    The options are the last run of lines that begin with the letters A, B, C, ... in their order,
    as "A. ", "A) ", "A: " or "(A) ". Lines after an option belong to it, save instructions after
    the last one ("Answer with the letter ...").

    Returns:
        None where there are not at least two options after a question.
    """
    marks = list(_LETTER.finditer(text))
    starts = [i for i, mark in enumerate(marks) if _letter(mark) == "A"]
    for start in reversed(starts):
        run = [
            mark
            for mark, letter in zip(marks[start:], string.ascii_uppercase, strict=False)
            if _letter(mark) == letter
        ]
        question = text[: run[0].start()].strip()
        if len(run) >= 2 and len(run) == len(marks) - start and question:
            ends = [mark.start() for mark in run[1:]] + [len(text)]
            options = [text[mark.end() : end] for mark, end in zip(run, ends, strict=True)]
            options[-1] = _without_instruction(options[-1])
            return question, tuple(option.strip() for option in options)
    return None


def without_letters(options: tuple[str, ...]) -> tuple[str, ...]:
    """Options without the letter that each begins with, "A. " or "A) ", where it is its own.

    Another one is of the option's text: "U.S. troops" as the first option stays as it is.

    Raises:
        RowError: All have letters, but not A, B, C, ... in this order: an answer "A" could mean the
            first of them or the one that says so.
    """
    letters = [match[1] for option in options if (match := _OWN.match(option))]
    counted = list(string.ascii_uppercase[: len(options)])
    # initials of names are none: "J. Smith", "C. Jones"
    lettered = len(letters) == len(options) and (letters[:1] == ["A"] or sorted(letters) == counted)
    if lettered and letters != counted:
        raise RowError(f"letters of options are not in order: {', '.join(letters)}")
    return tuple(
        re.sub(rf"^{re.escape(chr(ord('A') + i))}[.)]\s*", "", option)
        for i, option in enumerate(options)
    )


def _letter(mark: re.Match[str]) -> str:
    return mark[1] or mark[2]


def _without_instruction(option: str) -> str:
    first, *lines = option.split("\n")
    kept = [first]
    for line in lines:
        if _INSTRUCTION.match(line.strip()):
            break
        kept.append(line)
    return "\n".join(kept)
