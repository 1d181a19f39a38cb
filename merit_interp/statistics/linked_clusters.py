"""Clusters that several names link: things that share any name belong together.

    linked_clusters([["a"], ["b"], ["a", "c"], ["c"]])    # [0, 1, 0, 0]

A pair of questions may lie on two videos, and a video in two pairs; what is resampled is then a set
of pairs that share no video with any other. This file must not know what the names are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def linked_clusters(names: Sequence[Collection[str]]) -> list[int]:
    """Number of each thing's cluster, in the order in which clusters are first met.

    Args:
        names: (things,) the names that each has; one with none is a cluster of its own.
    """
    parent = list(range(len(names)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[str, int] = {}
    for place, own in enumerate(names):
        for name in own:
            other = root(first.setdefault(name, place))
            here = root(place)
            parent[max(here, other)] = min(here, other)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(place), len(numbers)) for place in range(len(names))]
