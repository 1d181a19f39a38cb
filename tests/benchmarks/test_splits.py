from __future__ import annotations

import dataclasses
import hashlib
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.splits import (
    PARTS,
    Part,
    SplitSettings,
    parts_of,
    split_hash,
    split_items,
    splits_as,
)
from merit_interp.errors import ItemError, SettingError

SKILLS = ("reasoning", "perception", "other")
SETTINGS = st.sampled_from(
    [
        SplitSettings(),
        SplitSettings(0.3, seed=1),
        SplitSettings(0.1, seed=2),
        SplitSettings(0.4, 0.2, seed=3),
        SplitSettings(0.1, 0.1, seed=4),
    ]
)


def item(name: str, video: str, skill: str = "reasoning", **more: str) -> Item:
    return Item(name, video, "?", ("a", "b"), 0, skill, **more)  # type: ignore[arg-type]


def items_on(n_videos: int, each: int) -> list[Item]:
    return [
        item(f"{v}-{q}", f"{v}.mp4", "reasoning" if q % 3 else "perception")
        for v in range(n_videos)
        for q in range(each)
    ]


ROWS = st.integers(3, 25).flatmap(
    lambda n: st.tuples(
        # of each video: its group, if it has one
        st.lists(st.sampled_from(("", "", "", "g", "h")), min_size=n, max_size=n),
        # of each item: video (the first n items have one each), skill, category and pair
        st.lists(
            st.tuples(
                st.integers(0, n - 1),
                st.sampled_from(SKILLS),
                st.sampled_from(("x", "y", "z")),
                st.sampled_from(("",) * 9 + ("p",)),
            ),
            min_size=n,
            max_size=60,
        ),
    )
)
Rows = tuple[list[str], list[tuple[int, str, str, str]]]


def any_items(rows: Rows) -> list[Item]:
    """Items of drawn rows; made in the test, since beartype draws at random what it checks."""
    groups, drawn = rows
    items = []
    for number, (other, skill, category, pair) in enumerate(drawn):
        video = number if number < len(groups) else other
        more = {"group": groups[video], "category": category, "pair": pair}
        items.append(item(f"i{number}", f"{video}.mp4", skill, **more))
    return items


def linked(items: Sequence[Item]) -> dict[str, set[str]]:
    """Which items are linked by a name of a video, a group or a pair."""
    names: dict[str, set[str]] = defaultdict(set)
    for one in items:
        for name in (f"video {one.video}", f"group {one.group}", f"pair {one.pair}"):
            if name != "pair ":
                names[name].add(one.id)
    return names


def n_clusters(items: Sequence[Item]) -> int:
    clusters = [set(ids) for ids in linked(items).values()]
    merged: list[set[str]] = []
    for cluster in clusters:
        touching = [other for other in merged if other & cluster]
        merged = [other for other in merged if not other & cluster]
        merged.append(cluster.union(*touching))
    return len(merged)


def unevenness(parts: Mapping[Part, Sequence[Item]], shares: Mapping[Part, float]) -> float:
    """Squared distance of each skill's and category's counts from their shares."""
    everything = [one for items in parts.values() for one in items]
    total = 0.0
    for kind in ("skill", "category"):
        n = Counter((one.skill, one.category)[: 1 + (kind == "category")] for one in everything)
        for part, items in parts.items():
            taken = Counter((one.skill, one.category)[: 1 + (kind == "category")] for one in items)
            total += sum((taken[key] - shares[part] * n[key]) ** 2 for key in n)
    return total


@given(ROWS, SETTINGS)
def test_parts_hold_every_item_once_and_share_no_video_group_or_pair(
    rows: Rows, settings: SplitSettings
) -> None:
    items = any_items(rows)
    if n_clusters(items) < len(settings.shares):
        return
    parts = parts_of(items, settings)
    assert list(parts) == list(settings.shares)
    assert sorted(i.id for part in parts.values() for i in part) == sorted(i.id for i in items)
    part_of = {i.id: name for name, part in parts.items() for i in part}
    for ids in linked(items).values():
        assert len({part_of[name] for name in ids}) == 1
    for name, part in parts.items():
        assert part, f"{name} is empty"
        order = [items.index(i) for i in part]
        assert order == sorted(order)
        assert split_items(items, name, settings) == part
    assert split_items(items, "all", settings) == tuple(items)


@given(ROWS, SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(
    rows: Rows, settings: SplitSettings, chance: random.Random
) -> None:
    items = any_items(rows)
    if n_clusters(items) < len(settings.shares):
        return
    shuffled = chance.sample(items, len(items))
    assert split_hash(parts_of(items, settings)) == split_hash(parts_of(shuffled, settings))


@given(st.lists(st.integers(3, 12), min_size=3, max_size=3), SETTINGS)
def test_every_skill_with_as_many_videos_as_parts_is_in_every_part(
    counts: list[int], settings: SplitSettings
) -> None:
    items = [
        item(f"{skill}{number}", f"{skill}{number}.mp4", skill)
        for skill, n in zip(SKILLS, counts, strict=True)
        for number in range(n)
    ]
    for part in parts_of(items, settings).values():
        assert {one.skill for one in part} == set(SKILLS)


def mixed_items(seed: int, n_videos: int = 120) -> list[Item]:
    """Three items a video of twelve categories, some of them rare, as in a real benchmark."""
    chance = random.Random(seed)
    names = [f"c{number}" for number in range(12)]
    drawn = [
        chance.choices(names, weights=[2**-n for n in range(12)], k=3) for _ in range(n_videos)
    ]
    return [
        item(f"{v}-{q}", f"{v}.mp4", SKILLS[int(name[1:]) % 3], category=name)
        for v, three in enumerate(drawn)
        for q, name in enumerate(three)
    ]


@pytest.mark.parametrize("settings", [SplitSettings(), SplitSettings(0.3, 0.2)])
def test_skills_and_categories_are_far_more_even_than_in_a_random_split(
    settings: SplitSettings,
) -> None:
    for seed in range(5):
        items = mixed_items(seed)
        ours = unevenness(parts_of(items, settings), settings.shares)
        random_ones = []
        for draw in range(200):
            chance = random.Random(1000 + draw)
            names, weights = list(settings.shares), list(settings.shares.values())
            of_video = {
                video: chance.choices(names, weights)[0]
                for video in sorted({i.video for i in items})
            }
            parts = {name: [i for i in items if of_video[i.video] == name] for name in names}
            random_ones.append(unevenness(parts, settings.shares))
        assert ours < min(random_ones)
        assert ours < 0.05 * statistics.median(random_ones)


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_a_category_is_within_an_item_of_its_share(share: float) -> None:
    items = mixed_items(7)
    everything = Counter(i.category for i in items)
    for seed in range(3):
        settings = SplitSettings(share, seed=seed)
        taken = Counter(i.category for i in split_items(items, "validation", settings))
        for category, n in everything.items():
            assert abs(taken[category] - share * n) <= 1


def test_a_category_on_one_video_goes_to_one_part_and_unbalances_nothing() -> None:
    items = [item(f"{v}", f"{v}.mp4", SKILLS[v % 2]) for v in range(80)]
    items += [item(f"rare-{q}", "rare.mp4", "perception", category="rare") for q in range(8)]
    where = set()
    for seed in range(8):
        parts = parts_of(items, SplitSettings(seed=seed))
        (holder,) = [p for p, part in parts.items() if any(i.category == "rare" for i in part)]
        where.add(holder)
        n = Counter(i.skill for i in parts["validation"])
        everything = Counter(i.skill for i in items)
        assert all(abs(n[skill] - everything[skill] / 2) <= 2 for skill in everything)
    assert where == {"search", "validation"}


def test_a_category_on_two_videos_is_in_both_parts() -> None:
    items = items_on(40, 3)
    items += [item(f"rare-{v}", f"rare{v}.mp4", "perception", category="rare") for v in range(2)]
    for seed in range(8):
        for part in parts_of(items, SplitSettings(seed=seed)).values():
            assert sum(i.category == "rare" for i in part) == 1


def test_a_skill_on_few_videos_is_in_every_part_however_small_its_share() -> None:
    items = [item(f"r{v}", f"r{v}.mp4") for v in range(60)]
    items += [item(f"p{v}", f"p{v}.mp4", "perception") for v in range(3)]
    for seed in range(8):
        for part in parts_of(items, SplitSettings(0.1, 0.1, seed=seed)).values():
            assert sum(i.skill == "perception" for i in part) == 1


def test_big_videos_are_shared_out_too() -> None:
    items = [item(f"b{v}-{q}", f"b{v}.mp4") for v in range(20) for q in range(15)]
    items += [item(f"s{v}", f"s{v}.mp4") for v in range(300)]
    parts = parts_of(items, SplitSettings(0.3))
    big = {i.video for i in parts["validation"] if i.id.startswith("b")}
    assert 5 <= len(big) <= 7
    assert abs(len({i.video for i in parts["validation"]}) - 0.3 * 320) <= 5


def test_a_group_that_spans_videos_stays_together() -> None:
    items = [item("a", "1.mp4", group="g"), item("b", "2.mp4", group="g"), item("c", "2.mp4")]
    items += [item(f"d{i}", f"d{i}.mp4") for i in range(6)]
    for seed in range(5):
        search = {i.id for i in split_items(items, "search", SplitSettings(seed=seed))}
        assert len({"a", "b", "c"} & search) in (0, 3)


def test_a_video_that_is_written_in_several_ways_is_one() -> None:
    names = ("c.mp4", "./c.mp4", "d/../c.mp4", "d//../c.mp4")
    items = [item(f"c{n}", name) for n, name in enumerate(names)]
    items.append(item("c-grouped", "./c.mp4", group="g"))
    items += [item(f"d{i}", f"d{i}.mp4") for i in range(6)]
    for seed in range(5):
        search = {i.id for i in split_items(items, "search", SplitSettings(seed=seed))}
        assert len([name for name in search if name.startswith("c")]) in (0, 5)
    parts = {"search": (items[0],)}
    assert split_hash(parts) == split_hash(  # type: ignore[arg-type]
        {"search": (dataclasses.replace(items[0], video="./c.mp4"),)}
    )


def test_pairs_of_one_number_in_two_benchmarks_are_two_pairs() -> None:
    items = [item(f"{b}{n}", f"{b}{n}.mp4", pair="7", benchmark=b) for b in "xy" for n in range(2)]
    parts = parts_of(items)
    assert {tuple(sorted(i.benchmark for i in part)) for part in parts.values()} == {
        ("x", "x"),
        ("y", "y"),
    }


def test_another_seed_is_another_split_and_another_hash() -> None:
    items = items_on(20, 3)
    hashes = {split_hash(parts_of(items, SplitSettings(seed=seed))) for seed in range(5)}
    assert len(hashes) == 5
    assert all(name.startswith("v2:sha256:") for name in hashes)


def test_the_hash_knows_which_part_an_item_is_in() -> None:
    one, other = (item("a", "a.mp4"),), (item("b", "b.mp4"),)
    assert split_hash({"search": one, "validation": other}) != split_hash(
        {"search": other, "validation": one}
    )
    assert split_hash({"search": one, "validation": other}) == split_hash(
        {"validation": other, "search": one}
    )


@pytest.mark.parametrize("field", ["video", "group", "pair"])
def test_the_hash_knows_videos_groups_and_pairs_and_an_earlier_one_ids_alone(field: str) -> None:
    parts = {"search": (item("a", "a.mp4"),), "validation": (item("b", "b.mp4"),)}
    other = dict(parts, validation=(dataclasses.replace(parts["validation"][0], **{field: "c"}),))  # type: ignore[arg-type]
    assert splits_as(parts, split_hash(parts))
    assert not splits_as(other, split_hash(parts))
    # videos may be moved
    moved = dict(parts, validation=(dataclasses.replace(parts["validation"][0], video="v/b.mp4"),))
    assert splits_as(moved, split_hash(parts))
    # as it was written before version 2
    text = b'["search", ["a"]]["validation", ["b"]]'
    earlier = f"sha256:{hashlib.sha256(text).hexdigest()}"
    assert splits_as(parts, earlier)
    assert splits_as(other, earlier)
    assert not splits_as({"search": parts["search"]}, earlier)


def test_fewer_videos_than_parts_cannot_be_split() -> None:
    with pytest.raises(ItemError, match="share one video"):
        split_items(items_on(1, 9), "search")
    with pytest.raises(ItemError, match="share 2 videos and cannot be split into 3 parts"):
        split_items(items_on(2, 9), "search", SplitSettings(0.4, 0.2))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_validation_share_that_empties_a_part_is_an_error(share: float) -> None:
    with pytest.raises(SettingError, match="validation share"):
        SplitSettings(share)


@pytest.mark.parametrize("share", [0.5, 1.0, -0.1, float("nan")])
def test_a_held_out_share_that_empties_a_part_is_an_error(share: float) -> None:
    with pytest.raises(SettingError, match="held-out share"):
        SplitSettings(0.5, share)


def test_a_part_that_the_settings_do_not_make_is_an_error() -> None:
    assert PARTS == ("search", "validation", "held_out")
    with pytest.raises(SettingError, match="needs a held-out share"):
        split_items(items_on(9, 2), "held_out")
