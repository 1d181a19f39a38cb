"""What an import gave, counted while its rows go by.

    counts = SummaryCounts()
    counts.add(item, duration_s=30.0, categories=("CW",), flags=())
    counts.summary(source, ()).items

Names of items and videos are kept as short digests, rows are not kept. This file must not know any
one benchmark.
"""

from __future__ import annotations

import dataclasses
import hashlib
import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.items import Item, Span


@dataclass(frozen=True)
class Count:
    """Items of a kind, and the videos that they are on."""

    items: int
    videos: int


@dataclass(frozen=True)
class ImportSource:
    """What was imported, and how."""

    benchmark: str
    checked: str
    """How far the format was checked: data, code, card or memory."""
    subset: str | None
    bounds: str
    """Whether bounds of the published rows were kept or dropped."""
    videos: str
    """The folder."""
    annotations: Mapping[str, str]
    """Digest of each annotation file."""
    roles: Mapping[str, str]
    """Skill of each category."""


@dataclass(frozen=True)
class ImportSummary:
    """What an import read and what came out of it; written beside the items."""

    source: ImportSource
    unused_roles: tuple[str, ...]
    """Categories of the user's roles that no item has."""
    items: int
    videos: int
    skills: Mapping[str, Count]
    categories: Mapping[str, Count]
    with_evidence: int
    chance: float
    """Mean of one over the number of options."""
    evidence_share: float | None
    """Median share of the video that evidence covers."""
    evidence_share_of: int
    """Items whose share is known: they have evidence, and their video a published duration."""
    left_out: Mapping[str, int]
    """Rows that became no item, by kind of reason."""
    flags: Mapping[str, int]
    """What a user should know about items: how many, by kind."""
    broken_pairs: int
    """Pairs of which some items are here and some were left out: no pair metric counts them."""

    def to_row(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return dataclasses.asdict(self)


class _Tally:
    """Items of a kind, and their videos."""

    def __init__(self) -> None:
        self.items = 0
        self.videos: set[bytes] = set()

    def add(self, video: bytes) -> None:
        self.items += 1
        self.videos.add(video)

    def count(self) -> Count:
        return Count(self.items, len(self.videos))


class SummaryCounts:
    """Counts of an import that goes on."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()
        self.first_of: dict[str, str] = {}
        """The first reason of each kind, whole."""
        self._all = _Tally()
        self._ids: set[bytes] = set()
        self._skills: defaultdict[str, _Tally] = defaultdict(_Tally)
        self._categories: defaultdict[str, _Tally] = defaultdict(_Tally)
        self._looked_up: set[str] = set()
        self._flags: Counter[str] = Counter()
        self._broken_pairs: set[bytes] = set()
        """Those of which a row was left out, though its pair was known."""
        self._in_pair: Counter[bytes] = Counter()
        self._pair_sizes: dict[bytes, int] = {}
        self._with_evidence = 0
        self._chance = 0.0
        self._shares = array("d")

    @property
    def items(self) -> int:
        """How many were added."""
        return self._all.items

    def has(self, name: str) -> bool:
        """Whether an item of this id was added."""
        return _short(name) in self._ids

    def add(
        self,
        item: Item,
        *,
        duration_s: float | None,
        categories: Sequence[str],
        flags: Sequence[str],
    ) -> None:
        """Count one item.

        Args:
            item: As it is written.
            duration_s: Of its video, where known.
            categories: Those that its skill was looked up by.
            flags: About the item, each "kind" or "kind: detail".
        """
        video = _short(item.video)
        self._ids.add(_short(item.id))
        self._looked_up.update(categories)
        for tally in (self._all, self._skills[item.skill], self._categories[item.category]):
            tally.add(video)
        self._flags.update({_kind(flag) for flag in flags})
        if item.pair:
            pair = _short(item.pair)
            self._in_pair[pair] += 1
            self._pair_sizes[pair] = item.pair_size or 0
        self._chance += 1 / len(item.options)
        self._with_evidence += bool(item.evidence)
        if item.evidence and duration_s:
            self._shares.append(covered_s(item.evidence) / duration_s)

    def leave_out(self, reason: str, pair: str = "") -> None:
        """Count one row that became no item, though the rest of its pair may have."""
        if pair:
            self._broken_pairs.add(_short(pair))
        self.left_out[_kind(reason)] += 1
        self.first_of.setdefault(_kind(reason), reason)

    def summary(self, source: ImportSource, replaced: Iterable[str]) -> ImportSummary:
        """The counts so far.

        Args:
            source: What was imported.
            replaced: Categories whose role the user set.
        """
        return ImportSummary(
            source=source,
            unused_roles=tuple(sorted(set(replaced) - self._looked_up)),
            items=self._all.items,
            videos=len(self._all.videos),
            skills=_counts(self._skills),
            categories=_counts(self._categories),
            with_evidence=self._with_evidence,
            chance=self._chance / max(self._all.items, 1),
            evidence_share=statistics.median(self._shares) if self._shares else None,
            evidence_share_of=len(self._shares),
            left_out=dict(self.left_out.most_common()),
            flags=dict(self._flags.most_common()),
            broken_pairs=sum(
                pair in self._broken_pairs or n < self._pair_sizes[pair]
                for pair, n in self._in_pair.items()
            ),
        )


def _counts(tallies: Mapping[str, _Tally]) -> dict[str, Count]:
    return {name: tallies[name].count() for name in sorted(tallies)}


def _short(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()


def _kind(reason: str) -> str:
    return reason.partition(":")[0]


def covered_s(spans: Sequence[Span]) -> float:
    """Seconds that spans cover together, each second once."""
    covered, last = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(end - max(start, last), 0.0)
        last = max(last, end)
    return covered


def digest_of(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
