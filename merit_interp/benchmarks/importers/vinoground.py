"""Vinoground: 500 pairs of clips whose captions have the same words in another order.

    merit-interp items import vinoground --annotations Vinoground --videos Vinoground ...

Each pair gives four items: two ask which of both captions a clip shows (text score), two ask which
half of a clip, both joined, a caption tells of (video score). The text or video score of a pair is
right where both of its items are, its group score where all four are: `pair` is the pair,
`pair_part` is text or video. All four have one `group`, so that no split parts them, and so have
pairs whose clips were cut from one video, where the csv is there to say so.

The files of questions have the official order of options. From vinoground.csv alone come only text
items, the first caption first, and their question is ours. Videos keep their folder's name: clips
and joined clips are both called 0_pos.mp4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from merit_interp.benchmarks.annotation_files import Row, RowError, files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_letter
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    LeftOut,
    Outcome,
    outcomes,
)
from merit_interp.benchmarks.inline_options import split_options
from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError

_FILES = {"text": "vinoground_textscore.json", "video": "vinoground_videoscore.json"}
# where lmms-eval unpacks them
_FOLDERS = {"text": "vinoground_videos", "video": "vinoground_videos_concated"}
_PAIRS = "vinoground.csv"
_OUR_QUESTION = "Which caption best describes the video?"


@dataclass(frozen=True)
class _Pair:
    """What the csv tells of a pair."""

    kinds: tuple[str, ...] = ()
    """Major, then minor."""
    group: str = ""
    """One pair of those that show the same videos."""


Pairs = Mapping[str, _Pair]


def _files(path: Path, options: ImportOptions) -> tuple[Path, ...]:
    return tuple(_found(Path(path), options).values())


def _found(path: Path, options: ImportOptions) -> dict[str, Path]:
    """The files that are there: "text", "video" and "pairs"."""
    if path.is_dir():
        places = [(part, path / _FILES[part]) for part in _FILES]
        places += [(part, path / _FOLDERS[part] / _FILES[part]) for part in _FILES]
        places += [("pairs", path / _PAIRS)]
    else:
        (file,) = files_in(path)
        part = next((part for part, name in _FILES.items() if file.name == name), "pairs")
        places = [(part, file), ("pairs", path.with_name(_PAIRS))]
    found: dict[str, Path] = {}
    for part, place in places:
        if place.is_file():
            found.setdefault(part, place)
    wanted = {options.subset} if options.subset else set(_FILES)
    # captions stand in the csv too, so that text items need nothing else
    if not (wanted & set(found) or ("text" in wanted and "pairs" in found)):
        needed = [_FILES[part] for part in _FILES if part in wanted]
        raise ItemError(f"{path} holds no {' or '.join(needed)}", valid=", ".join(needed))
    return {part: file for part, file in found.items() if part in {*wanted, "pairs"}}


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    found = _found(Path(path), options)
    pairs = _pairs(found["pairs"]) if "pairs" in found else {}
    for part in _FILES:
        if options.subset not in (None, part):
            continue
        if part in found:
            rows = read_rows(found[part], needs=("idx", "video_name", "question", "GT"))
            yield from outcomes(rows, partial(_official, part=part, pairs=pairs))
        elif part == "text" and "pairs" in found:
            rows = read_rows(found["pairs"], needs=("index", "major", "pos_cap", "neg_cap"))
            yield from outcomes(rows, partial(_from_captions, pairs=pairs))
        else:
            yield LeftOut(_FILES[part], f"no {part} score without its file")


def _pairs(path: Path) -> Pairs:
    """Each pair by its number.

    Raises:
        ItemError: The file is another one.
    """
    kinds: dict[str, tuple[str, ...]] = {}
    group_of: dict[str, str] = {}
    for row in read_rows(path, needs=("index", "major")):
        # the port for lmms-eval has one row an item, "0_pos_text"
        pair = row.text("index").partition("_")[0]
        named = [row.fields.get("major"), *str(row.fields.get("minor") or "").split(";")]
        kinds[pair] = tuple(str(kind).strip() for kind in named if kind)
        shown = {f"pair {pair}", *filter(None, map(row.fields.get, ("pos_vid", "neg_vid")))}
        # whatever shares a video with this pair is of its group from now on
        joined = {group_of[name] for name in shown & set(group_of)}
        others = {name for name, group in group_of.items() if group in joined}
        group_of |= dict.fromkeys(shown | others, min(joined, default=pair))
    return {pair: _Pair(named, group_of[f"pair {pair}"]) for pair, named in kinds.items()}


def _official(row: Row, part: str, pairs: Pairs) -> Imported:
    split = split_options(row.text("question"))
    if split is None:
        raise RowError("question names no options A and B")
    question, options = split
    name = f"{row.text('idx')}_{part}"
    asked = _Asked(name, row.text("video_name"), question, options)
    return _imported(asked, answer_letter(options, row.text("GT")), pairs)


def _from_captions(row: Row, pairs: Pairs) -> Iterator[Imported]:
    options = (row.text("pos_cap"), row.text("neg_cap"))
    for answer, clip in enumerate(("pos", "neg")):
        name = f"{row.text('index')}_{clip}"
        asked = _Asked(f"{name}_text", f"{_FOLDERS['text']}/{name}", _OUR_QUESTION, options)
        flag = "question and order of options are ours: vinoground_textscore.json has them"
        yield _imported(asked, answer, pairs, flags=(flag,))


@dataclass(frozen=True)
class _Asked:
    """One question of a pair."""

    name: str
    """Pair, clip and part: "0_pos_text"."""
    video: str
    question: str
    options: tuple[str, ...]


def _imported(asked: _Asked, answer: int, pairs: Pairs, flags: tuple[str, ...] = ()) -> Imported:
    pair, part = asked.name.partition("_")[0], asked.name.rpartition("_")[2]
    known = pairs.get(pair, _Pair())
    kinds = known.kinds or (f"{part} score",)
    return Imported(
        Item(
            id=f"vinoground/{asked.name}",
            video=asked.video,
            question=asked.question,
            options=asked.options,
            answer=answer,
            skill="other",
            benchmark="vinoground",
            category=kinds[0],
            group=f"vinoground/{known.group or pair}",
            pair=f"vinoground/{pair}",
            pair_part=part,
        ),
        roles_of=kinds,
        flags=flags,
    )


BENCHMARK = Benchmark(
    name="vinoground",
    title="Vinoground",
    annotations="the directory with vinoground_textscore.json, vinoground_videoscore.json and "
    "vinoground.csv, or one of them",
    read=_read,
    files=_files,
    checked="code",
    source="Hugging Face HanSolo9682/Vinoground",
    subsets=("text", "video"),
)
