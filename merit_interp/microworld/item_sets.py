"""Item sets of the embedded world: real mp4 clips and the questions on them, made by seed.

    paths = write_item_sets(Path("items"), seed=0)     # {"search": items/search/items.jsonl, ...}
    python -m merit_interp.microworld.item_sets --out items

Five sets that share no clip: "search", and four held out that differ in kind. It must not know
models; whoever scores items knows nothing of this room.
"""

import argparse
import json
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from merit_interp.errors import MeritError, SettingError
from merit_interp.microworld.renderer import (
    OTHER_LOOKS,
    SEARCH_LOOKS,
    Looks,
    frame_span,
    write_clip,
)
from merit_interp.microworld.world import (
    COLOURS,
    EVENTS,
    MAX_LENGTH,
    QUESTION_KINDS,
    SHAPES,
    Clip,
    Event,
    Question,
    ask_all,
    draw_clip,
    kinds_of,
    transcript,
)
from merit_interp.record_files import directory_written_whole, read_jsonl, write_json, write_whole

BASE_LENGTH = 8
DONE_FILE = "settings.json"
"""Written last, so a directory that has it is whole; says what the set was made with."""
DEFAULT_SIZES: Mapping[str, int] = {
    "search": 160,
    "new_pairs": 72,
    "longer": 72,
    "new_forms": 72,
    "composition": 72,
}
"""Clips of each set."""
ITEMS_PER_CLIP = 6


def _is_new(event: Event) -> bool:
    """Whether a colour and shape are kept together for the "new_pairs" set: two colours a shape."""
    shift = COLOURS.index(event.colour) - SHAPES.index(event.shape)
    return shift % len(COLOURS) in (0, 3)


NEW_PAIRS = tuple(event for event in EVENTS if _is_new(event))
USUAL_PAIRS = tuple(event for event in EVENTS if not _is_new(event))


@dataclass(frozen=True)
class SetPlan:
    """What one set is made of."""

    name: str
    reasoning: tuple[str, ...]
    """Kinds that take turns over half of the items."""
    perception: tuple[str, ...]
    """Kinds that take turns over the other half."""
    length: int = BASE_LENGTH
    """Events a clip."""
    events: tuple[Event, ...] = USUAL_PAIRS
    looks: tuple[Looks, ...] = (SEARCH_LOOKS,)
    """Taken in turn, clip by clip."""


_REASONING = kinds_of("reasoning", "base")
_PERCEPTION = kinds_of("perception", "base")
SET_PLANS: dict[str, SetPlan] = {
    plan.name: plan
    for plan in (
        SetPlan("search", _REASONING, _PERCEPTION),
        SetPlan("new_pairs", _REASONING, _PERCEPTION, events=NEW_PAIRS, looks=OTHER_LOOKS),
        SetPlan("longer", _REASONING, _PERCEPTION, length=MAX_LENGTH),
        SetPlan("new_forms", kinds_of("reasoning", "new_form"), kinds_of("perception", "new_form")),
        SetPlan("composition", kinds_of("reasoning", "composition"), _PERCEPTION),
    )
}
"""The five sets: what search may see, and four held out that differ in kind."""


@dataclass
class _Drawing:
    """Clips drawn so far, over all sets, so that no event sequence comes twice."""

    seen: set[Clip] = field(default_factory=set)

    def draw(self, rng: random.Random, plan: SetPlan) -> Clip:
        while True:
            clip = draw_clip(rng, plan.length, plan.events)
            if clip not in self.seen:
                self.seen.add(clip)
                return clip


def write_item_sets(
    directory: Path, seed: int = 0, sizes: Mapping[str, int] | None = None
) -> dict[str, Path]:
    """Makes the item sets, or finds them made by the same settings.

    Args:
        directory: Each set becomes a directory in it.
        seed: Another seed gives other clips.
        sizes: Clips of each set to make; a set that is not named is not made. None: all sets.

    Returns:
        For each set its items.jsonl; the videos are beside it.

    Raises:
        SettingError: A size names no set, or is not positive.
    """
    sizes = dict(DEFAULT_SIZES if sizes is None else sizes)
    for name, size in sizes.items():
        if name not in SET_PLANS:
            raise SettingError(f"no item set {name!r}", valid=", ".join(SET_PLANS))
        if size < 1:
            raise SettingError(f"set {name!r} cannot have {size} clips", valid="1 or more")
    drawing, paths = _Drawing(), {}
    for name, plan in SET_PLANS.items():
        rng = random.Random(f"{seed} item set {name}")
        if name in sizes:
            clips = [drawing.draw(rng, plan) for _ in range(sizes[name])]
            paths[name] = _write_set(Path(directory) / name, plan, clips, seed)
    return paths


def _write_set(target: Path, plan: SetPlan, clips: Sequence[Clip], seed: int) -> Path:
    """Writes one set under its name when whole, unless the same set is there."""
    settings = {
        "format": "merit-interp/microworld-items",
        "version": 1,
        "seed": seed,
        "clips": len(clips),
        "items_per_clip": ITEMS_PER_CLIP,
        **json.loads(json.dumps(asdict(plan))),
    }
    if _is_made(target, settings):
        return target / "items.jsonl"
    if target.exists():
        if not (target / DONE_FILE).exists():
            raise SettingError(
                f"{target} exists and is no item set", valid="another directory, or remove it"
            )
        shutil.rmtree(target)
    with directory_written_whole(target) as partial:
        (partial / "videos").mkdir()
        rows = []
        for number, clip in enumerate(clips):
            name = f"{plan.name}-{number:04d}"
            rng = random.Random(f"{seed} {name}")
            write_clip(
                clip, rng, plan.looks[number % len(plan.looks)], partial / "videos" / f"{name}.mp4"
            )
            questions = _questions(plan, clip, number, rng)
            rows += [
                item_record(plan.name, name, place, clip, question)
                for place, question in enumerate(questions)
            ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        write_whole(partial / "items.jsonl", lines.encode())
        write_json(partial / DONE_FILE, settings)
    return target / "items.jsonl"


def _is_made(target: Path, settings: Mapping[str, Any]) -> bool:
    """Whether a whole set of these settings is in the directory, with all of its videos."""
    if not (target / DONE_FILE).exists():
        return False
    try:
        if json.loads((target / DONE_FILE).read_text()) != settings:
            return False
        rows = read_jsonl(target / "items.jsonl")
    except (ValueError, MeritError):
        return False
    return bool(rows) and all((target / row["video"]).is_file() for row in rows)


def _questions(plan: SetPlan, clip: Clip, number: int, rng: random.Random) -> list[Question]:
    """Half reasoning, half perception, the kinds in turn over the clips; no text comes twice."""
    half = ITEMS_PER_CLIP // 2
    questions: list[Question] = []
    for kinds in (plan.reasoning, plan.perception):
        turn = [kinds[(number * half + i) % len(kinds)] for i in range(half)]
        for kind in turn:
            for _ in range(16):
                fresh = ask_all(clip, rng, [kind])
                if fresh and fresh[0].text not in {question.text for question in questions}:
                    questions += fresh
                    break
    return questions


def item_record(
    set_name: str, clip_name: str, place: int, clip: Clip, question: Question
) -> dict[str, Any]:
    """One line of items.jsonl."""
    return {
        "id": f"{clip_name}-{place}-{question.kind}",
        "video": f"videos/{clip_name}.mp4",
        "question": question.text,
        "options": list(question.options),
        "answer": question.answer_index,
        "skill": QUESTION_KINDS[question.kind].skill,
        "benchmark": f"microworld/{set_name}",
        "category": question.kind,
        "group": clip_name,
        "start_s": None,
        "end_s": None,
        "evidence": evidence_spans(question.evidence),
        "evidence_kind": "frame",
        "transcript": transcript(clip),
    }


def evidence_spans(frames: Sequence[int]) -> list[list[float]]:
    """The time spans of ascending frames, adjacent ones merged."""
    spans: list[list[float]] = []
    for frame in frames:
        start, end = frame_span(frame)
        if spans and spans[-1][1] == start:
            spans[-1][1] = end
        else:
            spans.append([start, end])
    return spans


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Makes the item sets of the embedded world.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    try:
        paths = write_item_sets(chosen.out, seed=chosen.seed)
    except MeritError as error:
        print(error, file=sys.stderr)
        return 2
    for name, path in paths.items():
        print(f"{name}: {len(read_jsonl(path))} items in {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
