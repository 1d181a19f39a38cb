"""Letters that a text says by themselves, and which of them are denied, asked or left open.

    open_letters("The answer is A or B", "ABCD")      # {14, 19}: where they stand

For `answer_parser`, which chooses among those that are none of these. This file must not know
options or models, and loads no torch.
"""

from __future__ import annotations

import itertools
import re

_OPENING, _CLOSING = r"[(\[{<]?\s*", r"\s*[)\]}>]?"
_TOKEN = r"(?<![\w'°-])(?P<letter>(?-i:[{either}]))(?![\w']|\+(?!\s*[A-Z]\b)|-\w)"
"""A letter that is a word of its own; not of A-frame, C++, D'Artagnan, °C."""
BECAUSE = r"(?:because|since|as|due|based|which|given|for)\b"
"""What may follow an "A" or "I" that is a letter and no word."""

_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bnor|\bneither|\brather than|\binstead of|\bexcept|\bwithout|"
    r"\bexcludes?|\beliminates?|\brul(?:e|es|ed|ing) out)\s+(?:[\w']+\s+){0,3}?[(\[]?$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    # "A, B and C are wrong", but "A, B is wrong" denies B alone
    r"[)\]]?(?:(?:\s*(?:,|and|or|/|&)\s*(?:and\s+|or\s+)?[(\[]?[A-Z][)\]]?(?!\w))+\s+"
    r"(?:are|were|do|can|seem|cannot)|\s+(?:is|are|was|were|do|does|can|seems?|cannot))(?:n't|\s+not|\s+(?:\w+\s+)?(?:incorrect|wrong|"
    r"false|excluded|impossible|unlikely|out)\b|\s+be\s+(?:excluded|ruled|eliminated))",
)

_JOINTS = r"(?:and|then|followed by|before|after|to|through|plus|versus|vs|as well as)"
_HEDGES = r"(?:(?:maybe|possibly|perhaps|probably|even|also|option|choice|letter|so is)\s+)*"
_HEDGES_OR = (
    r"(?:(?:maybe|possibly|perhaps|probably|even|also|else|rather|option|choice|letter|answer|the|"
    r"it|i|is|it's|be|could|might|may|would|say|think|guess)\b[\s:]*)*"
)
"""What may stand between "or" and the other letter."""
_CLAUSE = r"[).:\]]*[^.!?;\n]{0,80}?"
"""The rest of what is said of the first letter, as its option's text."""
_NO_WORD = r"[)\]]?(?!\w|[ \t]+[a-z])"
_CORRECT = r"\s+(?:is|was)\b[^.!?;\n]{0,40}?\b(?:correct|right|best)\b"
# what stands between two letters and behind the second where neither is chosen
_OPEN = tuple(
    (re.compile(between, re.IGNORECASE), re.compile(behind))
    for between, behind in (
        # "A. B. C. D.", "A/B", "A, B", "A & B", "A -> B"
        (r"[^\w\n]+", _NO_WORD),
        (r"[)\]]?\s*[,/&]?\s*[(\[]?", r"[)\]]?,?\s+(?:or|and|are|were|both|too)\b"),
        # "A. sits down or B. stands up", "A is correct or B is", "it is A, or it is B"
        (rf"{_CLAUSE}[^\w\n]*\bor\b[^\w\n]*{_HEDGES_OR}[^\w\n]*", ""),
        # "A and B", "A to D"; but not "B, and A fits less"
        (rf"[^\w\n,.]*\b{_JOINTS}\b[^\w\n]*{_HEDGES}[^\w\n]*", ""),
        (rf"{_CLAUSE}[^\w\n]*\b{_JOINTS}\b[^\w\n]*{_HEDGES}[^\w\n]*", _NO_WORD),
        # "A is correct, B is correct", "A is correct, B too"
        (
            rf"[)\]]?{_CORRECT}[^.!?;\n]{{0,20}}?(?:,|\band\b|&)\s*{_HEDGES}[(\[]?",
            rf"[)\]]?(?:{_CORRECT}|\s+(?:too|also|as well)\b)",
        ),
        # "probably A, but it could also be B"
        (
            rf"{_CLAUSE}\bbut\b\s+(?:it\s+)?(?:could|might|may)\s+(?:also\s+|well\s+)*be\s+"
            rf"{_HEDGES}[(\[]?",
            "",
        ),
        # a letter a line
        (r"[^\w\n]*\n[^\w]*", r"[^\w\n]*(?:\n|$)"),
    )
)


_NEAR = 160
"""Characters before and behind a letter that are looked at: a model in a loop says very many."""


def before(said: str, start: int) -> str:
    """What stands before a letter."""
    return said[max(0, start - _NEAR) : start]


def behind(said: str, start: int) -> str:
    """What stands behind a letter."""
    return said[start + 1 : start + 1 + _NEAR]


def letter_pattern(letters: str) -> str:
    """Pattern of one of some capitals, or of their small ones, alone or in parentheses."""
    return _OPENING + _TOKEN.format(either=letters + letters.lower()) + _CLOSING


def is_word(said: str, start: int) -> bool:
    """Whether an "a" or "I" is an article or a pronoun, by what follows it."""
    joint = rf"{_JOINTS}\s+[(\[]?[A-Z]\b"
    return said[start] in "AaIi" and bool(
        re.match(
            rf"[ \t]+(?!{BECAUSE}|(?:is|or|and)\b|{joint}|[A-Z]\b(?!\s+[a-z]))[^\W\d]",
            behind(said, start),
        )
    )


def is_denied(said: str, start: int) -> bool:
    """Whether a letter is said to be wrong: "not B", "B is wrong"."""
    clauses = re.split(r"[.!?\n,;]|\b(?:but|so|therefore|thus|hence)\b", before(said, start))
    return bool(_DENIED_BEFORE.search(clauses[-1]) or _DENIED_AFTER.match(behind(said, start)))


def is_taken_back(said: str, start: int) -> bool:
    """Whether a letter is asked about or taken back at once: "B?", "B. No, ...", "B or none"."""
    back = (
        r"[)\]]?(?:\s*\?|[^\w\n]*(?:no\s*[,.!;]|(?:wait|sorry|oops|hmm)\b|"
        r"or\s+(?:none|neither|nothing|not|something|another)\b))"
    )
    return bool(re.match(back, behind(said, start), re.IGNORECASE))


def open_letters(said: str, letters: str) -> frozenset[int]:
    """Where letters stand of which the text says several and chooses none.

    Args:
        said: The text.
        letters: Capitals that are options; other capitals leave one open as well.
    """
    every = _TOKEN.format(either=f"A-Z{letters.lower()}")
    places = [match.start() for match in re.finditer(every, said)]
    places = [place for place in places if not is_word(said, place)]
    found = set[int]()
    for one, other in itertools.pairwise(places):
        if said[one].upper() == said[other].upper() or other - one > _NEAR:
            continue
        between, after = said[one + 1 : other], behind(said, other)
        if any(gap.fullmatch(between) and end.match(after) for gap, end in _OPEN) and not (
            is_denied(said, one) or is_denied(said, other)
        ):
            found |= {one, other}
    return frozenset(found)
