r"""Which option a generated text chooses, by fixed rules; what no rule reads is no answer.

    parse_answer("So the answer is (C).", item.options)      # option 2, by its cue

The rules, in order, each for the letters that this item has and no others:

1. `cue`: words that announce an answer and then a letter ("the answer is C", "Answer: c", "B is
   correct", `\boxed{C}`); the last such words count.
2. `letter`: a letter that begins a line as in a list ("C. the square", "c"), or the only capital
   that stands by itself. "A" and "I" before a word are words.
3. `parentheses`: the only letter in parentheses.
4. `text`: the only option whose text is said, or that begins with what is said.

A letter or text that is denied ("not B", "A is wrong") is passed over, one that is doubted ("A or
B") is no answer. Nothing is guessed: evaluations that fell back to a random option, to "A", or to
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

_OPENING, _CLOSING = r"[(\[{<]?\s*", r"\s*[)\]}>]?"
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
_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't|\bnever|\bnor|\bneither|\brather than|\binstead of|\bexcept|\bwithout|"
    r"\bexcludes?|\beliminates?|\brul(?:e|es|ed|ing) out)\s+(?:[\w']+\s+){0,3}?[(\[]?$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[)\]]?(?:\s*(?:,|and|or|/|&)\s*(?:and\s+|or\s+)?[(\[]?[A-Z][)\]]?(?!\w))*\s+"
    r"(?:is|are|was|were|do|does|can|seems?|cannot)(?:n't|\s+not|\s+(?:\w+\s+)?(?:incorrect|wrong|"
    r"false|excluded|impossible|unlikely|out)\b|\s+be\s+(?:excluded|ruled|eliminated))",
)
_TOLD_APART = 12
"""Characters of an option by which it is known where a model says it over again."""
_HEDGED = r"(?:(?:maybe|possibly|perhaps|probably|even|also|option|choice|answer)\s+)*"
"""What may stand between "or" and the other letter of a doubt."""
_BECAUSE = r"(?:because|since|as|due|based|which|given|for)\b"


def parse_answer(text: str, options: Sequence[str]) -> ParsedAnswer:
    """Read which option a generated text chooses.

    Args:
        text: What the model said.
        options: The options' bare texts in the order in which they were shown, at most 26.
    """
    said = _plain(text)
    letters = string.ascii_uppercase[: len(options)]
    if (found := _by_cue(said, letters)) is not None:
        return ParsedAnswer(letters.index(found), "cue")
    if (found := _listed(said, letters, options)) is not None:
        return ParsedAnswer(letters.index(found), "letter")
    bare, enclosed = _standing(said, letters)
    # a letter in a sentence and another in parentheses contradict each other
    if len(bare | enclosed) == 1:
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
    return re.sub(r"[*`$\"“”#]|__", "", said).strip()


def _letter(letters: str) -> str:
    """Pattern of one of the letters as a token of its own; not of A-frame, C++, D'Artagnan, °C."""
    either = letters + letters.lower()
    return rf"{_OPENING}(?<![\w'°-])(?P<letter>[{either}])(?![\w'+]|-\w){_CLOSING}"


def _by_cue(said: str, letters: str) -> str | None:
    found: list[tuple[int, str]] = []
    for cue in _CUES:
        for match in re.finditer(cue % _letter(letters), said, re.IGNORECASE):
            if _is_named(said, match, letters):
                found.append((match.start("letter"), match["letter"].upper()))
    return max(found)[1] if found else None


def _is_named(said: str, match: re.Match[str], letters: str) -> bool:
    """Whether a letter after a cue is the answer: no article, no pronoun, not denied or doubted."""
    letter, rest = match["letter"], said[match.end("letter") :]
    if letter in "AaIi":
        if re.match(rf"[ \t]+(?!{_BECAUSE}|(?:is|or|and)\b)[^\W\d]", rest):
            return False
        # "the answer is a", cut off before its noun
        is_cut = not rest.strip() and not re.search(r"[:=(\[]\W*$", said[: match.start("letter")])
        if letter.islower() and is_cut:
            return False
    own_case = letters if letter.isupper() else letters.lower()
    other = rf"[(\[]?[{own_case}][)\]]?(?![\w'])"
    doubted = (
        rf"[)\]]?\s*(?:(?:,?\s*or|and|/|&)\s*(?i:{_HEDGED}){other}"
        rf"|,\s*{other}\s*(?:$|[.,]|or\b|and\b))"
    )
    return not re.match(doubted, rest) and not _is_denied(said, match)


def _is_denied(said: str, match: re.Match[str]) -> bool:
    before = said[: match.start("letter")]
    sentence = re.split(r"[.!?\n,;]|\b(?:but|so|therefore|thus|hence)\b", before)[-1]
    return bool(_DENIED_BEFORE.search(sentence) or _DENIED_AFTER.match(said[match.end("letter") :]))


def _listed(said: str, letters: str, options: Sequence[str]) -> str | None:
    """The only letter that begins a line as those of a list do, or is all of a line.

    None where the next letter follows on its line with its option: then the options are said over
    again, and none is chosen.
    """
    either = letters + letters.lower()
    pattern = rf"^[^\w\n]*(?P<letter>[{either}])(?:[.):](?!\w\.)|[^\w\n]*$)"
    doubt = rf"\s*(?:or|and|/|&)\s*(?i:{_HEDGED})[(\[]?[A-Z]\b"
    found = {
        match["letter"].upper(): said[match.end() :].partition("\n")[0]
        for match in re.finditer(pattern, said, re.MULTILINE)
        if not _is_denied(said, match) and not re.match(doubt, said[match.end() :])
    }
    if len(found) != 1:
        return None
    ((letter, line),) = found.items()
    after = letters.index(letter) + 1
    if after < len(options):
        begun = re.escape(_plain(options[after])[:_TOLD_APART])
        if re.search(rf"(?<!\w){letters[after]}[.):]\s*{begun}", line, re.IGNORECASE):
            return None
    return letter


def _standing(said: str, letters: str) -> tuple[set[str], set[str]]:
    """Letters that stand by themselves: bare capitals, and those in parentheses."""
    bare, enclosed = set[str](), set[str]()
    for match in re.finditer(_letter(letters), said):
        letter, start, end = match["letter"], match.start("letter"), match.end("letter")
        if _is_denied(said, match):
            continue
        if re.search(r"[(\[]\s*$", said[:start]) and re.match(r"\s*[)\]]", said[end:]):
            enclosed.add(letter.upper())
        elif letter.isupper() and not re.match(r"\.\w", said[end:]):
            doubt = rf"(?:or|and) (?i:{_HEDGED})[A-Z]\b"
            is_word = letter in "AI" and re.match(rf"[ \t]+(?!{doubt})\w", said[end:])
            if not is_word:
                bare.add(letter)
    return bare, enclosed


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
    before = said[max(start - 2, 0) : start]
    return any(
        word in ("not", "never", "nor", "neither") or word.endswith("n't") for word in before
    )
