r"""Which option a generated text chooses, by fixed rules; what no rule reads is no answer.

    parse_answer("So the answer is (C).", item.options)      # option 2, by its cue

The rules, in order, each for the letters that this item has and no others:

1. `cue`: words that announce an answer and then a letter ("the answer is C", "Answer: c", "B is
   correct", `\boxed{C}`); the last such words count.
2. `letter`: a letter that begins a line as in a list ("C. the square", "c"), or the only capital
   that stands by itself. "A" and "I" before a word are words, "person B" and "B stands" names.
3. `parentheses`: the only letter in parentheses.
4. `text`: the only option whose text is said, or that begins with what is said.

A letter or text that is denied ("not B", "A is wrong"), asked ("A?") or taken back is passed over.
Letters of which none is chosen ("A or B", "A. B. C. D.", "A is correct and B too") are no answer,
whatever text stands beside them. A letter within an option's text ("person B wins") is that text.
Nothing is guessed: evaluations that fell back to a random option, to "A", or to
the first letter of any word gave models points for no answer (the cases are in this file's tests).
This file must not know models or records, and loads no torch.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from merit_interp.scoring.said_letters import (
    BECAUSE,
    before,
    behind,
    is_denied,
    is_taken_back,
    is_word,
    letter_pattern,
    open_letters,
)

Rule = Literal["cue", "letter", "parentheses", "text", "none"]
RULES: tuple[Rule, ...] = ("cue", "letter", "parentheses", "text", "none")


@dataclass(frozen=True)
class ParsedAnswer:
    """What a text was read as."""

    option: int | None
    """Index of the option; None where no rule reads the text."""
    rule: Rule
    """The rule that read it."""


UNPARSED = ParsedAnswer(None, "none")

_ADVERBS = (
    r"(?:(?:most likely|likely|probably|clearly|definitely|simply|therefore|thus|indeed|option|"
    r"choice|letter|answer|the|correct|best|right|number)\s+)*"
)
_NOT_DENIED = r"(?:(?!\bnot\b|n't|\bnever\b|\bneither\b)[^.\n:?!]){0,60}?"
_ANNOUNCED = (
    r"\b(?:answer|(?:correct|best|right|final|appropriate|chosen|selected|suitable|accurate)\s+"
    r"(?:option|choice|letter|one))\b"
)
_CUES = (
    # "the answer is C", "the correct option would be (C)", "Answer: **C**", "answer -> C"
    rf"{_ANNOUNCED}{_NOT_DENIED}(?:\b(?:is|be|was)\b|[:=]|->|→|–)\s*{_ADVERBS}\W{{0,6}}?%s",
    rf"\b(?:option|choice|letter|result|prediction)\s*[:=]\s*{_ADVERBS}\W{{0,4}}?%s",
    r"\banswer\s+(?:option\s+)?%s",
    # "I would go with C", "I think it is b."
    r"\b(?:i|we)(?:'d|'ll| would| will| can)?\s+(?:therefore\s+)?(?:choose|chose|pick|select|say|"
    rf"go with|answer|guess|think|believe)\s+{_ADVERBS}\W{{0,3}}?%s",
    r"\b(?:it is|it's|it must be|it should be|it would be|that is|that's|this is)\s+"
    rf"{_ADVERBS}%s(?=\s*(?:[.,;!\n]|$))",
    rf"\b(?:so|therefore|thus|hence)\b,?\s+{_ADVERBS}%s(?=\s*(?:[.,;!\n]|$))",
    # "C is the correct answer"
    r"%s\s+(?:is|must be|would be|seems|appears to be)\s+(?:(?:the|most|clearly|probably|likely)"
    r"\s+)*(?:correct\b|best\b|right(?:\s+(?:answer|option|choice|one)\b|(?![\s-]*\w)))",
)
_BEFORE = re.compile(
    r"(?:^|[^\w\s]|\n|\b(?:\w+ly|options?|choice|answer|letter|caption|sentence|statement|"
    r"description|is|be|was|but|so|then|thus|hence|therefore|choose|chose|pick|select(?:ed)?|say|"
    r"guess|think|believe|it's|that's|maybe|perhaps|just|only|prefer|"
    r"(?:go|going|went|opt|vote|settle)\s+(?:with|for|on)|(?:looks|seems)\s+like))\s*$",
    re.IGNORECASE,
)
"""What may stand before a letter in a sentence that is an answer; before others it is a name, as
that of "person B" or "vitamin C"."""
_AFTER = re.compile(
    rf"[ \t]+(?:{BECAUSE}|(?:and|but|rather|instead|not|fits?|matches|applies|works|seems|"
    r"describes|corresponds)\b|(?:is|was)\s+(?:the|correct|right|best|most|what|likely|true|accurate)\b)"
)
"""What may follow it in small letters."""


_LITTLE_WORDS = frozenset(
    {"a", "an", "at", "because", "being", "by", "he", "in", "it", "just", "on", "really", "she"}
    | {"that", "the", "they", "to", "with"}
)
"""Over which a "not" reaches the text that it denies."""


def parse_answer(text: str, options: Sequence[str]) -> ParsedAnswer:
    """Read which option a generated text chooses.

    Args:
        text: What the model said.
        options: The options' bare texts in the order in which they were shown, at most 26.
    """
    said = _plain(text)
    letters = string.ascii_uppercase[: len(options)]
    spoken = _without_texts(said, options)
    still_open = open_letters(spoken, letters)
    if (found := _by_cue(spoken, letters, still_open)) is not None:
        return ParsedAnswer(letters.index(found), "cue")
    listed = _listed(spoken, letters, options, still_open)
    if len(listed) == 1:
        return ParsedAnswer(letters.index(listed.pop()), "letter")
    bare, enclosed = _standing(spoken, letters, options)
    # a letter in a sentence and another in parentheses contradict each other; a text beside letters
    # of which none is chosen is no choice either
    if still_open or len(listed | bare | enclosed) > 1:
        return UNPARSED
    if bare | enclosed:
        return ParsedAnswer(letters.index((bare | enclosed).pop()), *_rule_of(bare))
    if (option := _by_text(said, options)) is not None:
        return ParsedAnswer(option, "text")
    return UNPARSED


def _rule_of(bare: set[str]) -> tuple[Rule]:
    return ("letter",) if bare else ("parentheses",)


def _plain(text: str) -> str:
    """The text after a model's thoughts, without markup; marked answers get words for a mark."""
    said = unicodedata.normalize("NFKC", text).replace("’", "'")
    if "<think>" in said and "</think>" not in said:
        return ""  # cut off while thinking: a draft is no answer
    said = said.rpartition("</think>")[2]
    said = re.sub(r"\\(?:text|textbf|mathbf|mathrm|rm)\s*\{([^{}]*)\}", r"\1", said)
    said = re.sub(r"\\boxed\s*\{([^{}]*)\}", r" answer: \1 . ", said)
    said = re.sub(r"<answer>\s*(.*?)\s*(?:</answer>|$)", r" answer: \1 . ", said, flags=re.DOTALL)
    said = re.sub(r"(?<!\w)'([A-Za-z])'(?!\w)", r"\1", said)
    if re.search(r"^\W*Q\s*:", said, re.MULTILINE):
        said = re.sub(r"\bA\s*:", "answer:", said)
    said = re.sub(r"[*`$\"“”#]|__", "", said)
    return re.sub(r"[^\S\n]+", " ", said).strip()


def _without_texts(said: str, options: Sequence[str]) -> str:
    """The text with a blank word for each option that has a letter in it, as "person B wins".

    An option's beginning is blank too where it ends the text behind the option's letter: "C. A" may
    be "C. A man sits" cut off.
    """
    for letter, option in zip(string.ascii_uppercase, map(_plain, options), strict=False):
        if re.search(r"\b[A-Za-z]\b", option) and len(_words(option)) > 1:
            pattern = rf"(?<!\w){re.escape(option)}(?!\w)"
            said = re.sub(pattern, lambda match: "_" * len(match[0]), said, flags=re.IGNORECASE)
            last = re.search(rf"(?<!\w){letter}[.):]+\s*(?P<text>[^.):\n]+)$", said, re.IGNORECASE)
            if last and option.casefold().startswith(last["text"].casefold()):
                said = said[: last.start("text")] + "_" * len(last["text"])
    return said


def _by_cue(said: str, letters: str, still_open: frozenset[int]) -> str | None:
    found: list[tuple[int, str]] = []
    for cue in _CUES:
        for match in re.finditer(cue % letter_pattern(letters), said, re.IGNORECASE):
            start = match.start("letter")
            if start not in still_open and _is_named(said, start):
                found.append((start, match["letter"].upper()))
    return max(found)[1] if found else None


def _is_named(said: str, start: int) -> bool:
    """Whether a letter after a cue is the answer: no article, no pronoun, not denied."""
    if is_word(said, start):
        return False
    # "the answer is a", cut off before its noun
    is_last = start + 1 == len(said)
    if said[start] in "ai" and is_last and not re.search(r"[:=(\[]\W*$", before(said, start)):
        return False
    return not is_denied(said, start) and not is_taken_back(said, start)


def _listed(
    said: str, letters: str, options: Sequence[str], still_open: frozenset[int]
) -> set[str]:
    """Letters that begin a line as those of a list do, or are all of one; or follow on it so."""
    either = letters + letters.lower()
    first = re.compile(rf"^[^\w\n]*(?P<letter>[{either}])(?:[.):](?!\w\.)|[^\w\n]*$)")
    later = re.compile(rf"(?<![\w'°-])(?P<letter>[{either}])\s*[.):=](?!\w\.)\s*\w")
    found: dict[str, int] = {}
    for line in re.finditer(r".+", said):
        begun = first.match(line[0])
        if begun is None:
            continue
        for match in (begun, *later.finditer(line[0], begun.end())):
            start = line.start() + match.start("letter")
            if match is not begun and match["letter"].isupper() != begun["letter"].isupper():
                continue
            is_said = start not in still_open and not is_taken_back(said, start)
            if is_said and not is_denied(said, start):
                found[match["letter"].upper()] = start
    is_mark = len(found) == 1 and _is_answer_mark(said, min(found.values()), options)
    return set() if is_mark else set(found)


def _is_answer_mark(said: str, start: int, options: Sequence[str]) -> bool:
    """Whether an "A:" may stand for "answer:": what follows it is not the first option."""
    marked = re.match(r"[^\w\n]*:[^\w\n]*(\w.*)", behind(said, start))
    if said[start] not in "Aa" or not marked:
        return False
    return _words(marked[1])[:1] != _words(options[0])[:1]


def _standing(said: str, letters: str, options: Sequence[str]) -> tuple[set[str], set[str]]:
    """Letters that stand by themselves: bare capitals, and those in parentheses."""
    bare, enclosed = set[str](), set[str]()
    for match in re.finditer(letter_pattern(letters), said):
        letter, start = match["letter"], match.start("letter")
        if is_denied(said, start) or is_taken_back(said, start):
            continue
        if before(said, start).rstrip().endswith(("(", "[")) and match[0].endswith((")", "]")):
            enclosed.add(letter.upper())
        elif letter.isupper() and not re.match(r"\.\w", said[start + 1 : start + 3]):
            option = options[letters.index(letter)]
            if not _is_name(said, start, option) and not _is_answer_mark(said, start, options):
                bare.add(letter)
    return bare, enclosed


def _is_name(said: str, start: int, option: str) -> bool:
    """Whether a capital in a sentence is part of what is told: "person B", "B stands", "a B"."""
    if is_word(said, start) or not _BEFORE.search(before(said, start).rstrip(" ([{<")):
        return True
    rest = behind(said, start)
    if not re.match(r"[ \t]+[a-z]", rest) or _AFTER.match(rest):
        return False
    text = _words(option)
    return _words(rest)[: len(text)] != text


def _by_text(said: str, options: Sequence[str]) -> int | None:
    """The only option that is said, after the last announcement of an answer or anywhere."""
    announced = list(re.finditer(rf"{_ANNOUNCED}\s*(?:is\b|:)", said, re.IGNORECASE))
    tails = [said[announced[-1].end() :]] if announced else []
    for part in (*tails, said):
        if (
            option := _only_option(_words(part), [_words(option) for option in options])
        ) is not None:
            return option
    return None


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


def _only_option(said: list[str], options: Sequence[list[str]]) -> int | None:
    spans = [
        (start, start + len(words), number)
        for number, words in enumerate(options)
        # an option that is one letter is no text to be found among words
        if words and words not in [[letter] for letter in string.ascii_lowercase]
        for start in range(len(said) - len(words) + 1)
        if said[start : start + len(words)] == words and not _is_denied_word(said, start)
    ]
    # "red" is said within "red and green", but is not what is said
    whole = {
        number
        for start, end, number in spans
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in spans)
    }
    if len(whole) == 1:
        return whole.pop()
    if whole or len(said) < 2:
        return None
    begun = [number for number, words in enumerate(options) if words[: len(said)] == said]
    return begun[0] if len(begun) == 1 else None


def _is_denied_word(said: list[str], start: int) -> bool:
    # "not that he runs" as "not really runs"; but "does not run, he dances"
    first = start
    while first > max(start - 4, 0) and said[first - 1] in _LITTLE_WORDS:
        first -= 1
    return any(
        word in ("not", "never", "nor", "neither") or word.endswith("n't")
        for word in said[max(min(first - 1, start - 2), 0) : start]
    )
