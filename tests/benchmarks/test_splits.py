from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.splits import split_items
from merit_interp.errors import ItemError, SettingError


def item(name: str, video: str, skill: str = "reasoning", group: str = "") -> Item:
    return Item(name, video, "?", ("a", "b"), 0, skill, group=group)  # type: ignore[arg-type]


def items_on(n_videos: int, each: int) -> list[Item]:
    return [
        item(f"{v}-{q}", f"{v}.mp4", "reasoning" if q % 3 else "perception")
        for v in range(n_videos)
        for q in range(each)
    ]


def test_parts_hold_every_item_once_and_share_no_video() -> None:
    items = items_on(30, 4)
    search = split_items(items, split="search")
    validation = split_items(items, split="validation")
    assert sorted(i.id for i in (*search, *validation)) == sorted(i.id for i in items)
    assert not {i.video for i in search} & {i.video for i in validation}
    assert split_items(items, split="all") == tuple(items)


def test_each_skill_is_shared_out() -> None:
    items = items_on(40, 3) + [item(f"p{i}", f"p{i}.mp4", "perception") for i in range(10)]
    everything = Counter(i.skill for i in items)
    taken = Counter(i.skill for i in split_items(items, split="validation", validation_share=0.3))
    for skill, n in everything.items():
        assert abs(taken[skill] - 0.3 * n) <= 3


def test_a_group_that_spans_videos_stays_together() -> None:
    items = [item("a", "1.mp4", group="g"), item("b", "2.mp4", group="g"), item("c", "2.mp4")]
    items += [item(f"d{i}", f"d{i}.mp4") for i in range(6)]
    for seed in range(5):
        search = {i.id for i in split_items(items, split="search", seed=seed)}
        assert len({"a", "b", "c"} & search) in (0, 3)


def test_the_order_of_the_file_changes_nothing_and_the_seed_does() -> None:
    items = items_on(20, 3)
    shuffled = random.Random(0).sample(items, len(items))
    chosen = {i.id for i in split_items(items, split="search")}
    assert chosen == {i.id for i in split_items(shuffled, split="search")}
    assert chosen != {i.id for i in split_items(items, split="search", seed=1)}


@given(st.integers(2, 12), st.integers(1, 4), st.floats(0.01, 0.99), st.integers(0, 3))
def test_neither_part_is_ever_empty(n_videos: int, each: int, share: float, seed: int) -> None:
    items = items_on(n_videos, each)
    for split in ("search", "validation"):
        assert split_items(items, split=split, validation_share=share, seed=seed)  # type: ignore[arg-type]


def test_one_video_cannot_be_split() -> None:
    with pytest.raises(ItemError, match="share one video"):
        split_items(items_on(1, 9), split="search")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_empties_a_part_is_an_error(share: float) -> None:
    with pytest.raises(SettingError, match="validation share"):
        split_items(items_on(4, 1), split="search", validation_share=share)
