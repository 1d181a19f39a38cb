"""Items split into parts that never share a video: search, validation and held out.

    settings = SplitSettings(validation_share=0.4, held_out_share=0.2)
    split_items(file.items, "validation", settings)
    split_hash(parts_of(file.items, settings))

Every part has its share of each skill and of each category, as evenly as whole videos allow. The
split depends on the items and the settings, never on the items' order in the file. This file must
not know what the parts are used for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError, SettingError

Part = Literal["search", "validation", "held_out"]
PARTS: tuple[Part, ...] = ("search", "validation", "held_out")
"""To search on, to choose the winner on, and to leave alone until all is chosen."""

Split = Literal["all"] | Part
SPLITS: tuple[Split, ...] = ("all", *PARTS)
"""What a user can ask for: everything, or one part."""


@dataclass(frozen=True)
class SplitSettings:
    """How items are shared out. Equal settings on equal items give equal parts.

    Raises:
        SettingError: A share leaves a part empty that has to be there.
    """

    validation_share: float = 0.5
    """Share of the items that goes to validation, above 0 and below 1."""
    held_out_share: float = 0.0
    """Share that neither search nor validation sees; at 0 there is no such part."""
    seed: int = 0
    """Another seed, another split."""

    def __post_init__(self) -> None:
        validation, held_out = self.validation_share, self.held_out_share
        # written so that NaN fails too
        if not 0.0 < validation < 1.0:
            raise SettingError(f"validation share {validation}", valid="above 0 and below 1")
        if not 0.0 <= held_out < 1.0:
            raise SettingError(f"held-out share {held_out}", valid="0, or more and below 1")
        if not validation + held_out < 1.0:
            raise SettingError(
                f"validation share {validation} and held-out share {held_out} leave nothing to "
                "search on",
                valid="two shares that sum to less than 1",
            )

    @property
    def shares(self) -> dict[Part, float]:
        """The share of each part that there is; they sum to 1."""
        held_out, validation = self.held_out_share, self.validation_share
        shares: dict[Part, float] = {
            "search": 1.0 - validation - held_out,
            "validation": validation,
        }
        return shares | ({"held_out": held_out} if held_out else {})


def split_items(
    items: Sequence[Item], split: Split, settings: SplitSettings | None = None
) -> tuple[Item, ...]:
    """One part of the items, or all of them, in their order.

    Args:
        items: All items.
        split: Which part.
        settings: Shares and seed; the default ones where not given.

    Raises:
        SettingError: There is no such part, or these settings make none.
        ItemError: The items lie on fewer videos than there are parts.
    """
    settings = settings or SplitSettings()
    valid = ("all", *settings.shares)
    if split not in valid:
        more = "; held_out needs a held-out share" if split == "held_out" else ""
        raise SettingError(f"no split {split!r}", valid=", ".join(valid) + more)
    return tuple(items) if split == "all" else parts_of(items, settings)[split]


def parts_of(
    items: Sequence[Item], settings: SplitSettings | None = None
) -> dict[Part, tuple[Item, ...]]:
    """The items of each part, in their order.

    Items that share a video, a group or a pair stay together. These clusters are shared out
    so that the parts have their shares of each skill, of each category within it, and of clusters:
    the sum of squared distances, a skill's counted twice, is one that no move of a cluster and no
    swap of two lessens. It begins with the biggest clusters, each put where the shares need it
    most (as in iterative stratification, Sechidis et al. 2011, with clusters in place of examples),
    and ends with such moves and swaps. A skill that lies on as many clusters as there are parts is
    in every part, where a move or a swap can bring that about.

    Args:
        items: All items.
        settings: Shares and seed; the default ones where not given.

    Raises:
        ItemError: The items lie on fewer videos than there are parts.
    """
    settings = settings or SplitSettings()
    clusters = _clusters(items)
    if len(clusters) < len(settings.shares):
        videos = "one video" if len(clusters) == 1 else f"{len(clusters)} videos"
        raise ItemError(
            f"all {len(items)} items share {videos} and cannot be split into "
            f"{len(settings.shares)} parts",
            valid="items on as many videos as there are parts, or more",
        )
    shared = _SharingOut(clusters, settings)
    shared.place_all()
    shared.even_out()
    part_of = {
        item.id: part
        for cluster, part in zip(clusters, shared.parts(), strict=True)
        for item in cluster
    }
    return {
        part: tuple(item for item in items if part_of[item.id] == part) for part in settings.shares
    }


_HASHED_WITH_VIDEOS = "v2:"
"""Begins hashes that know videos; earlier ones are of ids alone."""


def split_hash(parts: Mapping[Part, Sequence[Item]]) -> str:
    """`v2:sha256:...` over each part's name and its items, sorted.

    Of an item it takes the id and what keeps items together: the name of its video file, group and
    pair. Of ids alone, parts would hash equally after the videos were exchanged under them.
    """
    return _HASHED_WITH_VIDEOS + _hash(parts, _identity)


def splits_as(parts: Mapping[Part, Sequence[Item]], recorded: str) -> bool:
    """Whether parts are those of a hash that was written down, in its own version.

    A hash from before version 2, `sha256:...`, vouches for ids only.
    """
    if recorded.startswith(_HASHED_WITH_VIDEOS):
        return recorded == split_hash(parts)
    return recorded == _hash(parts, lambda item: item.id)


def _identity(item: Item) -> list[str]:
    # the file's name alone: videos may be moved
    return [item.id, Path(item.video).name, item.group, item.pair]


def _hash(parts: Mapping[Part, Sequence[Item]], name: Callable[[Item], object]) -> str:
    digest = hashlib.sha256()
    for part in PARTS:
        if part in parts:
            # sorted by id, which is first or all of the name
            named = [name(item) for item in sorted(parts[part], key=lambda item: item.id)]
            digest.update(json.dumps([part, named]).encode())
    return f"sha256:{digest.hexdigest()}"


def _clusters(items: Sequence[Item]) -> list[list[Item]]:
    """Items linked by a video, a group or a pair, in an order that the file's does not change."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def video(item: Item) -> str:
        # "c.mp4" and "./c.mp4" are one
        return root(f"video {os.path.normpath(item.video)}")

    for item in items:
        parent[root(f"group {item.group}")] = video(item)
        if item.pair:
            # two benchmarks may number their pairs alike
            parent[root(f"pair {item.benchmark} {item.pair}")] = video(item)
    clusters: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        clusters[video(item)].append(item)
    return list(clusters.values())


_Stratum = tuple[str, ...]
_CLUSTERS: _Stratum = ("clusters",)
_WEIGHTS = {"skill": 2, "category": 1, "clusters": 1}
"""Of a squared distance, by kind of stratum: what is searched for and judged is the skill."""
_MOST_TRIED = 128
"""Profiles that a cluster is tried against: all of most files, and seconds for the largest."""
_LEAST_GAIN = 1e-6
"""Far below any real one (shares are decimals), far above rounding."""


def _strata(cluster: Sequence[Item]) -> Counter[_Stratum]:
    """How much of each stratum a cluster holds."""
    strata: Counter[_Stratum] = Counter({_CLUSTERS: 1})
    for item in cluster:
        strata["skill", item.skill] += 1
        strata["category", item.skill, item.benchmark, item.category] += 1
    return strata


class _SharingOut:
    """Clusters on their way into parts.

    Clusters that hold equally much of every stratum have one profile, and are equally good in any
    part: which of them goes where is drawn.
    """

    def __init__(self, clusters: Sequence[Sequence[Item]], settings: SplitSettings) -> None:
        self._names = [f"{settings.seed}:{cluster[0].id}" for cluster in clusters]
        self._parts = tuple(settings.shares)
        self._shares = np.array(list(settings.shares.values()))
        counted = [_strata(cluster) for cluster in clusters]
        strata = sorted({stratum for counts in counted for stratum in counts})
        held = np.array([[counts[stratum] for stratum in strata] for counts in counted])
        self._profiles, profile_of = np.unique(held, axis=0, return_inverse=True)
        self._profile_of = profile_of.reshape(-1)  # numpy 2.0 gives it a second axis
        self._weights = np.array([_WEIGHTS[stratum[0]] for stratum in strata])
        self._taken = np.zeros((len(self._parts), len(strata)), dtype=np.int64)
        self._members: list[list[list[int]]] = [[[] for _ in self._profiles] for _ in self._parts]
        # an empty part is worse than any number of parts that lack a skill
        on_enough = (held > 0).sum(0) >= len(self._parts)
        worth = {"clusters": len(self._parts) * len(strata), "skill": 1, "category": 0}
        self._worth = np.array([worth[stratum[0]] for stratum in strata]) * on_enough

    def parts(self) -> list[Part]:
        """The part that each cluster has got to."""
        part_of = {
            number: part
            for part, by_profile in zip(self._parts, self._members, strict=True)
            for members in by_profile
            for number in members
        }
        return [part_of[number] for number in range(len(self._names))]

    def place_all(self) -> None:
        """Put every cluster where the shares of what has been placed so far need it most."""
        # big clusters first, so that small ones can even out what they left; what has been placed
        # is even at each size, so that no part gets all of the big ones
        sizes = self._profiles.sum(1)[self._profile_of]
        for number in sorted(range(len(sizes)), key=lambda n: (-sizes[n], self._draw(n))):
            held = self._profiles[self._profile_of[number]]
            due = self._shares[:, None] * (self._taken.sum(0) + held)
            # what the squared distance grows by in each part; equals go by their draw
            cost = (self._weights * held * (held + 2 * (self._taken - due))).sum(1)
            rank = [
                (round(float(cost[p]), 6), self._draw(number, name))
                for p, name in enumerate(self._parts)
            ]
            part = rank.index(min(rank))
            self._members[part][self._profile_of[number]].append(number)
            self._taken[part] += held

    def even_out(self) -> None:
        """Move clusters, and swap them for others, as long as that makes the parts more even."""
        everything = self._taken.sum(0)
        pairs = [(p, q) for p in range(len(self._parts)) for q in range(len(self._parts)) if p != q]
        improved = True
        while improved:
            # each step lessens what is missing or the squared distance, so this ends
            improved = False
            for profile in range(len(self._profiles)):
                for here, there in pairs:
                    if self._members[here][profile]:
                        improved |= self._improved(profile, here, there, everything)

    def _improved(
        self, profile: int, here: int, there: int, everything: npt.NDArray[np.int64]
    ) -> bool:
        """Whether a cluster of this profile was moved, alone or for the best one that is there."""
        back = [b for b, members in enumerate(self._members[there]) if members and b != profile]
        step = 1 + len(back) // _MOST_TRIED
        back = back[profile % step :: step]
        # rows: what the other part gains if nothing comes back, and if one of each profile does
        moved = self._profiles[profile] - np.vstack([0 * self._profiles[:1], self._profiles[back]])
        far = self._taken - self._shares[:, None] * everything
        change = (2 * self._weights * moved * (moved + far[there] - far[here])).sum(1)
        missing = self._missing(self._taken[here] - moved) + self._missing(
            self._taken[there] + moved
        )
        missing -= self._missing(self._taken[[here]]) + self._missing(self._taken[[there]])
        best = int(np.lexsort((np.round(change, 6), missing))[0])
        if not (missing[best] < 0 or (missing[best] == 0 and change[best] < -_LEAST_GAIN)):
            return False
        self._transfer(profile, here, there)
        if best:
            self._transfer(back[best - 1], there, here)
        return True

    def _missing(self, taken: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How much a part lacks that could be in every part, one row a state of it."""
        missing: npt.NDArray[np.int64] = ((taken == 0) * self._worth).sum(1)
        return missing

    def _transfer(self, profile: int, here: int, there: int) -> None:
        self._members[there][profile].append(self._members[here][profile].pop())
        self._taken[here] -= self._profiles[profile]
        self._taken[there] += self._profiles[profile]

    def _draw(self, number: int, part: str = "") -> str:
        return hashlib.sha256(f"{self._names[number]}{part}".encode()).hexdigest()
