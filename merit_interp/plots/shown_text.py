"""Text that others wrote, made fit to stand in a figure or on a page beside our own words.

    isolated(option) + " (right)"         # the mark stays behind it, whatever way the option reads
    shortened(question, 96)

Items and models write in any script, and now and then what no picture can hold. This file must not
know what a text says.
"""

from __future__ import annotations

import re
import unicodedata

FIRST_STRONG, POP = "\u2068", "\u2069"
"""Between the two a text has a direction of its own (FSI and PDI, Unicode Annex 9)."""
REPLACEMENT = "\ufffd"

# XML, and so SVG, has no place for most of these
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTINUES = frozenset(("Mn", "Me", "Mc", "Cf"))
"""Categories of what belongs to the letter before it: accents, vowel signs, joiners."""
_JOINER, _SKIN_TONES = "\u200d", ("\U0001f3fb", "\U0001f3ff")
_FROM_THE_RIGHT = frozenset(("R", "AL", "AN"))
_ELLIPSIS = " …"


def legible(text: str) -> str:
    """A text with U+FFFD in place of each control character but tab and line ends."""
    return _UNSHOWN.sub(REPLACEMENT, text)


def undirected(text: str) -> str:
    """A legible text without marks that turn the direction of what follows.

    Each letter keeps the direction of its own script; what is dropped would reverse our words too.
    """
    return _DIRECTIONS.sub("", legible(text))


def isolated(text: str) -> str:
    """An undirected text whose own direction does not reach beyond it.

    One without letters that read from the right needs no marks.
    """
    text = undirected(text)
    turns = any(unicodedata.bidirectional(letter) in _FROM_THE_RIGHT for letter in text)
    return f"{FIRST_STRONG}{text}{POP}" if turns else text


def n_columns(text: str) -> int:
    """Width in letters of Latin print, of which a Chinese or Japanese one takes two."""
    return sum(
        0 if _continues(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def shortened(text: str, most: int) -> str:
    """The beginning of a text, by words, and by letters where one of them is too long.

    Args:
        text: With any white space.
        most: Columns that it may take, the sign of what is left out included.
    """
    text = " ".join(text.split())
    if n_columns(text) <= most:
        return text
    return f"{_by_words(text, most - n_columns(_ELLIPSIS))}{_ELLIPSIS}"


def wrapped(text: str, most: int) -> list[str]:
    """A text in lines of at most so many columns; what is isolated is so in each of them."""
    lines, rest = [], " ".join(text.split())
    while n_columns(rest) > most:
        line = _by_words(rest, most)
        lines.append(line)
        rest = rest[len(line) :].lstrip()
    return _balanced([*lines, rest])


def _by_words(text: str, most: int) -> str:
    """The beginning of a text that is longer than so many columns, without a cut word if it can."""
    kept = _by_letters(text, most)
    words = kept if text[len(kept)] == " " else kept.rpartition(" ")[0]
    # a long word's beginning says more than the few words before it
    return (words if n_columns(words) > most / 2 else kept).rstrip()


def _by_letters(text: str, most: int) -> str:
    end, width = 0, 0
    while end < len(text) and width + n_columns(text[end]) <= most:
        width += n_columns(text[end])
        end += 1
    # no accent without its letter
    while 1 < end < len(text) and (_continues(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[: max(end, 1)]


def _continues(letter: str) -> bool:
    is_tone = _SKIN_TONES[0] <= letter <= _SKIN_TONES[1]
    return is_tone or unicodedata.category(letter) in _CONTINUES


def _balanced(lines: list[str]) -> list[str]:
    balanced, depth = [], 0
    for line in lines:
        begun = depth
        depth = max(0, depth + line.count(FIRST_STRONG) - line.count(POP))
        balanced.append(FIRST_STRONG * begun + line + POP * depth)
    return balanced
