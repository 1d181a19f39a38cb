"""Items split into a search part and a validation part that never share a video.

    search = split_items(file.items, split="search")
    validation = split_items(file.items, split="validation")

The split depends on the items and the seed, never on their order in the file. This file must not
know what the parts are used for.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from merit_interp.benchmarks.items import Item
from merit_interp.errors import ItemError, SettingError


def split_items(
    items: Sequence[Item],
    *,
    split: Literal["search", "validation", "all"],
    validation_share: float = 0.5,
    seed: int = 0,
) -> tuple[Item, ...]:
    """One part of the items, in their order.

    Items that share a group or a video stay together; within that, each skill is shared out as
    evenly as whole videos allow.

    Args:
        items: All items.
        split: Which part.
        validation_share: Share of the items that goes to validation, above 0 and below 1.
        seed: Another seed, another split.

    Raises:
        SettingError: The share leaves a part empty.
        ItemError: All items share one video.
    """
    if split == "all":
        return tuple(items)
    if not 0.0 < validation_share < 1.0:
        raise SettingError(
            f"validation share is {validation_share}", valid="above 0.0 and below 1.0"
        )
    clusters = _clusters(items)
    if len(clusters) < 2:
        raise ItemError(
            f"all {len(items)} items share one video and cannot be split",
            valid="items on two videos or more",
        )
    validation = _validation_clusters(clusters, validation_share, seed)
    kept = {
        item.id
        for number, cluster in enumerate(clusters)
        for item in cluster
        if (number in validation) == (split == "validation")
    }
    return tuple(item for item in items if item.id in kept)


def _clusters(items: Sequence[Item]) -> list[list[Item]]:
    """Items linked by a group or a video, in an order that the file's order does not change."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for item in items:
        parent[root(f"group {item.group}")] = root(f"video {item.video}")
    clusters: dict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.id):
        clusters[root(f"video {item.video}")].append(item)
    return list(clusters.values())


def _validation_clusters(clusters: list[list[Item]], share: float, seed: int) -> set[int]:
    """Numbers of the validation clusters: each goes where the skills' shares need it most."""

    def draw(number: int) -> str:
        return hashlib.sha256(f"{seed}:{clusters[number][0].id}".encode()).hexdigest()

    seen: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    validation: set[int] = set()
    # big clusters first, so that small ones can even out what they left
    for number in sorted(range(len(clusters)), key=lambda n: (-len(clusters[n]), draw(n))):
        skills = Counter(item.skill for item in clusters[number])
        seen += skills
        missing = {skill: share * seen[skill] - taken[skill] for skill in skills}
        # what the squared distance from the shares gains if this cluster is taken
        gain = sum(n * (2 * missing[skill] - n) for skill, n in skills.items())
        # a cluster exactly between the two goes by its draw
        if gain > 1e-9 or (abs(gain) <= 1e-9 and int(draw(number), 16) % 2):
            validation.add(number)
            taken += skills
    everything = set(range(len(clusters)))
    for part in (validation, everything - validation):
        if not part:
            last = max(everything, key=draw)
            return {last} if part is validation else everything - {last}
    return validation
