"""Microworld itself: clips of coloured shapes, and questions whose answers follow from the events.

    clip = draw_clip(random.Random(0), length=8)
    question = QUESTION_KINDS["after"].ask(clip, random.Random(1))

Pure Python and seeded. It must not know how a clip looks (renderer), how a question becomes
tokens (tokenizer), or that there are models at all.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

SHAPES = (
    "circle", "square", "triangle", "star", "heart", "cross",
    "diamond", "moon", "arrow", "ring", "hourglass", "chevron",
)  # fmt: skip
COLOURS = ("red", "green", "blue", "yellow", "purple", "cyan")
ORDINALS = (
    "first", "second", "third", "fourth", "fifth",
    "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
MAX_LENGTH = len(ORDINALS)
"""Longest clip, in events: the last position that has an ordinal."""
OPTION_COUNT = 4

Skill = Literal["reasoning", "perception"]
Family = Literal["base", "new_form", "composition"]


@dataclass(frozen=True)
class Event:
    """One event of a clip, shown for one frame."""

    colour: str
    shape: str

    @property
    def text(self) -> str:
        """The event as a transcript names it, e.g. "red circle"."""
        return f"{self.colour} {self.shape}"


Clip = tuple[Event, ...]
"""The events of a clip in their order; no shape comes twice."""

RECITALS: dict[str, Callable[[Clip], tuple[str, ...]]] = {
    "Describe the clip:": lambda clip: tuple(event.text for event in clip),
    "Name the shapes:": lambda clip: tuple(event.shape for event in clip),
    "Name the colours:": lambda clip: tuple(event.colour for event in clip),
    "Name the shapes backwards:": lambda clip: tuple(event.shape for event in reversed(clip)),
}
"""Prompts that ask for a clip word by word, with what is to be said: dense supervision."""
DESCRIBE = "Describe the clip:"
"""The one recital that the VLM practises on video."""

EVENTS = tuple(Event(colour, shape) for colour in COLOURS for shape in SHAPES)


@dataclass(frozen=True)
class Question:
    """A question on one clip, with its answer and the frames that decide it."""

    kind: str
    text: str
    options: tuple[str, ...]
    """Bare texts, shuffled; the answer is among them."""
    answer: str
    evidence: tuple[int, ...]
    """Indices of the deciding events, ascending; all of them where absence decides."""

    @property
    def answer_index(self) -> int:
        """The place of the answer among the options."""
        return self.options.index(self.answer)


@dataclass(frozen=True)
class QuestionKind:
    """One kind of question: its skill, the sets it may appear in, and how it is asked."""

    name: str
    skill: Skill
    family: Family
    """"base" kinds are in every set; the others only in the held-out set of that name."""
    ask: Callable[[Clip, random.Random], Question | None]
    """None where the drawn question does not exist for this clip (no absent colour, say)."""


def draw_clip(rng: random.Random, length: int, events: Sequence[Event] = EVENTS) -> Clip:
    """Draws a clip of distinct shapes; a shape's colour comes from the pairs in `events`."""
    colours: dict[str, list[str]] = {}
    for event in events:
        colours.setdefault(event.shape, []).append(event.colour)
    shapes = rng.sample(sorted(colours), length)
    return tuple(Event(rng.choice(colours[shape]), shape) for shape in shapes)


def transcript(clip: Clip) -> str:
    """The text that stands for the clip in a text-only prompt, e.g. "red circle blue star."."""
    return " ".join(event.text for event in clip) + "."


def ask_all(
    clip: Clip, rng: random.Random, kinds: Sequence[str], attempts: int = 8
) -> list[Question]:
    """Asks one question of each named kind; a kind that the clip cannot answer is left out."""
    questions = []
    for kind in kinds:
        for _ in range(attempts):
            question = QUESTION_KINDS[kind].ask(clip, rng)
            if question is not None:
                questions.append(question)
                break
    return questions


def kinds_of(skill: Skill | None = None, *families: Family) -> tuple[str, ...]:
    """Names of the kinds of a skill (None: both) in the given families (none given: all)."""
    return tuple(
        kind.name
        for kind in QUESTION_KINDS.values()
        if (skill is None or kind.skill == skill) and (not families or kind.family in families)
    )


def _shape_question(
    kind: str, text: str, clip: Clip, target: int, named: Sequence[int], rng: random.Random
) -> Question:
    """A question for the shape of event `target`; `named` events are in the question's text."""
    answer = clip[target].shape
    others = [e.shape for i, e in enumerate(clip) if i != target and i not in named]
    options = [answer, *rng.sample(others, OPTION_COUNT - 1)]
    rng.shuffle(options)
    return Question(kind, text, tuple(options), answer, tuple(sorted({target, *named})))


def _colour_question(
    kind: str, text: str, clip: Clip, target: int, named: Sequence[int], rng: random.Random
) -> Question:
    """A question for the colour of event `target`."""
    answer = clip[target].colour
    others = [colour for colour in COLOURS if colour != answer]
    options = [answer, *rng.sample(others, OPTION_COUNT - 1)]
    rng.shuffle(options)
    return Question(kind, text, tuple(options), answer, tuple(sorted({target, *named})))


def _yes_no(
    kind: str, text: str, answer: bool, evidence: Sequence[int], rng: random.Random
) -> Question:
    options = ["yes", "no"]
    rng.shuffle(options)
    return Question(kind, text, tuple(options), "yes" if answer else "no", tuple(evidence))


def _neighbour(kind: str, phrase: str, offset: int) -> Callable[[Clip, random.Random], Question]:
    """Asks for the shape `offset` events away from a named one."""

    def ask(clip: Clip, rng: random.Random) -> Question:
        named = rng.randrange(max(0, -offset), len(clip) - max(0, offset))
        text = f"Which shape comes {phrase} the {clip[named].shape}?"
        return _shape_question(kind, text, clip, named + offset, [named], rng)

    return ask


def _neighbour_colour(
    kind: str, phrase: str, offset: int
) -> Callable[[Clip, random.Random], Question]:
    """Asks for the colour of the shape `offset` events away from a named one."""

    def ask(clip: Clip, rng: random.Random) -> Question:
        named = rng.randrange(max(0, -offset), len(clip) - max(0, offset))
        text = f"What colour is the shape {phrase} the {clip[named].shape}?"
        return _colour_question(kind, text, clip, named + offset, [named], rng)

    return ask


def _extreme_of(
    kind: str, phrase: str, choose: Callable[[int, int], int]
) -> Callable[[Clip, random.Random], Question]:
    """Asks which of two named shapes comes first (or last)."""

    def ask(clip: Clip, rng: random.Random) -> Question:
        one, other = rng.sample(range(len(clip)), 2)
        options = [clip[one].shape, clip[other].shape]
        text = f"Which comes {phrase}, the {options[0]} or the {options[1]}?"
        rng.shuffle(options)
        answer = clip[choose(one, other)].shape
        return Question(kind, text, tuple(options), answer, tuple(sorted((one, other))))

    return ask


def _neighbour_of_extreme(
    kind: str, phrase: str, choose: Callable[[int, int], int], offset: int
) -> Callable[[Clip, random.Random], Question | None]:
    """Asks for the neighbour of the later (or earlier) of two named shapes: two facts of order."""

    def ask(clip: Clip, rng: random.Random) -> Question | None:
        one, other = rng.sample(range(len(clip)), 2)
        target = choose(one, other) + offset
        if not 0 <= target < len(clip) or target in (one, other):
            return None
        names = f"the {clip[one].shape} and the {clip[other].shape}"
        text = f"Which shape comes {phrase} of {names}?"
        return _shape_question(kind, text, clip, target, [one, other], rng)

    return ask


def _ask_position(clip: Clip, rng: random.Random) -> Question:
    target = rng.randrange(len(clip))
    return _shape_question("position", f"Which shape is {ORDINALS[target]}?", clip, target, [], rng)


def _ask_colour_at(clip: Clip, rng: random.Random) -> Question:
    target = rng.randrange(len(clip))
    text = f"What colour is the {ORDINALS[target]} shape?"
    return _colour_question("colour_at", text, clip, target, [], rng)


def _ask_colour_of(clip: Clip, rng: random.Random) -> Question:
    target = rng.randrange(len(clip))
    text = f"What colour is the {clip[target].shape}?"
    return _colour_question("colour_of", text, clip, target, [], rng)


def _ask_present(clip: Clip, rng: random.Random) -> Question:
    shown = [event.shape for event in clip]
    if rng.random() < 0.5:
        target = rng.randrange(len(clip))
        text = f"Does the {shown[target]} appear?"
        return _yes_no("present", text, True, [target], rng)
    absent = rng.choice([shape for shape in SHAPES if shape not in shown])
    return _yes_no("present", f"Does the {absent} appear?", False, range(len(clip)), rng)


def _ask_colour_present(clip: Clip, rng: random.Random) -> Question | None:
    shown = {event.colour for event in clip}
    if rng.random() < 0.5:
        colour = rng.choice(sorted(shown))
        frames = [i for i, event in enumerate(clip) if event.colour == colour]
        return _yes_no("colour_present", f"Does anything {colour} appear?", True, frames, rng)
    absent = [colour for colour in COLOURS if colour not in shown]
    if not absent:
        return None
    text = f"Does anything {rng.choice(absent)} appear?"
    return _yes_no("colour_present", text, False, range(len(clip)), rng)


_KINDS = (
    QuestionKind("after", "reasoning", "base", _neighbour("after", "right after", 1)),
    QuestionKind("before", "reasoning", "base", _neighbour("before", "right before", -1)),
    QuestionKind("two_later", "reasoning", "base", _neighbour("two_later", "two after", 2)),
    QuestionKind("first_of", "reasoning", "base", _extreme_of("first_of", "first", min)),
    QuestionKind(
        "colour_after", "reasoning", "base", _neighbour_colour("colour_after", "right after", 1)
    ),
    QuestionKind("position", "perception", "base", _ask_position),
    QuestionKind("colour_at", "perception", "base", _ask_colour_at),
    QuestionKind("colour_of", "perception", "base", _ask_colour_of),
    QuestionKind("present", "perception", "base", _ask_present),
    QuestionKind("two_before", "reasoning", "new_form", _neighbour("two_before", "two before", -2)),
    QuestionKind("last_of", "reasoning", "new_form", _extreme_of("last_of", "last", max)),
    QuestionKind(
        "colour_before",
        "reasoning",
        "new_form",
        _neighbour_colour("colour_before", "right before", -1),
    ),
    QuestionKind("colour_present", "perception", "new_form", _ask_colour_present),
    QuestionKind(
        "after_later",
        "reasoning",
        "composition",
        _neighbour_of_extreme("after_later", "right after the later", max, 1),
    ),
    QuestionKind(
        "before_earlier",
        "reasoning",
        "composition",
        _neighbour_of_extreme("before_earlier", "right before the earlier", min, -1),
    ),
)
QUESTION_KINDS: dict[str, QuestionKind] = {kind.name: kind for kind in _KINDS}
"""Every kind by name. Reasoning needs the order of events; perception needs to see them."""
