"""Item sets: whole, balanced, apart from each other, made once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from merit_interp.errors import SettingError
from merit_interp.microworld import item_sets
from merit_interp.microworld.world import kinds_of

SIZES = {"search": 12, "new_pairs": 4, "longer": 4, "new_forms": 4, "composition": 4}
FIELDS = {
    "id", "video", "question", "options", "answer", "skill", "benchmark", "category", "group",
    "start_s", "end_s", "evidence", "evidence_kind", "transcript",
}  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return item_sets.write_item_sets(tmp_path_factory.mktemp("sets"), seed=3, sizes=SIZES)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_whole_and_videos_are_there(sets: dict[str, Path]) -> None:
    assert list(sets) == list(item_sets.SET_PLANS)
    ids: set[str] = set()
    for name, path in sets.items():
        rows = rows_of(path)
        assert len(rows) == SIZES[name] * item_sets.ITEMS_PER_CLIP
        for row in rows:
            assert set(row) == FIELDS
            assert row["benchmark"] == f"microworld/{name}"
            assert (path.parent / row["video"]).stat().st_size > 1000
            assert 0 <= row["answer"] < len(row["options"])
        ids |= {row["id"] for row in rows}
    assert len(ids) == sum(SIZES.values()) * item_sets.ITEMS_PER_CLIP


def test_skills_and_kinds_are_balanced(sets: dict[str, Path]) -> None:
    for path in sets.values():
        skills = Counter(row["skill"] for row in rows_of(path))
        assert skills["reasoning"] == skills["perception"]
    kinds = Counter(row["category"] for row in rows_of(sets["search"]))
    assert set(kinds) == set(kinds_of(None, "base"))
    for skill in ("reasoning", "perception"):
        counts = [kinds[kind] for kind in kinds_of(skill, "base")]  # type: ignore[arg-type]
        assert max(counts) - min(counts) <= 1


def test_sets_share_no_clip(sets: dict[str, Path]) -> None:
    told = {name: {row["transcript"] for row in rows_of(path)} for name, path in sets.items()}
    assert sum(map(len, told.values())) == len(set().union(*told.values())) == sum(SIZES.values())


def test_held_out_sets_differ_in_kind(sets: dict[str, Path]) -> None:
    rows = {name: rows_of(path) for name, path in sets.items()}
    base = set(kinds_of(None, "base"))
    assert not base & {row["category"] for row in rows["new_forms"]}
    assert {row["category"] for row in rows["composition"] if row["skill"] == "reasoning"} == set(
        kinds_of("reasoning", "composition")
    )
    assert {row["transcript"].count(" ") for row in rows["longer"]} == {19}
    usual = {event.text for event in item_sets.USUAL_PAIRS}
    new = {event.text for event in item_sets.NEW_PAIRS}
    assert not usual & new
    for name, allowed in (("search", usual), ("new_pairs", new)):
        for row in rows[name]:
            words = row["transcript"].rstrip(".").split()
            assert {f"{a} {b}" for a, b in zip(words[::2], words[1::2], strict=True)} <= allowed


def test_evidence_is_the_frames_own_time(sets: dict[str, Path]) -> None:
    for name in ("search", "longer"):
        for row in rows_of(sets[name]):
            words = row["transcript"].rstrip(".").split()[1::2]
            shown = {
                words[frame]
                for start, end in row["evidence"]
                for frame in range(int(start * 2), int(end * 2))
            }
            assert row["evidence"][-1][1] <= len(words) / 2
            if row["category"] in ("after", "before", "two_later"):
                asked = row["question"].rstrip("?").split()[-1]
                assert shown == {asked, row["options"][row["answer"]]}
            if row["category"] == "first_of":
                assert shown == set(row["options"])
            if row["category"] == "position":
                assert shown == {row["options"][row["answer"]]}
            if row["category"] == "present" and row["options"][row["answer"]] == "no":
                assert row["evidence"] == [[0.0, len(words) / 2]]


def test_adjacent_spans_merge() -> None:
    assert item_sets.evidence_spans([0, 1, 3]) == [[0.0, 1.0], [1.5, 2.0]]


def test_a_whole_set_is_reused_and_another_is_remade(tmp_path: Path) -> None:
    sizes = {"search": 2}
    path = item_sets.write_item_sets(tmp_path, seed=1, sizes=sizes)["search"]
    first, stamp = path.read_bytes(), path.stat().st_mtime_ns
    item_sets.write_item_sets(tmp_path, seed=1, sizes=sizes)
    assert path.stat().st_mtime_ns == stamp
    next((path.parent / "videos").iterdir()).unlink()
    item_sets.write_item_sets(tmp_path, seed=1, sizes=sizes)
    assert path.read_bytes() == first
    assert len(list((path.parent / "videos").iterdir())) == 2
    item_sets.write_item_sets(tmp_path, seed=2, sizes=sizes)
    assert path.read_bytes() != first
    assert [p.name for p in tmp_path.iterdir()] == ["search"]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no item set 'serch'"):
        item_sets.write_item_sets(tmp_path, sizes={"serch": 1})
    with pytest.raises(SettingError, match="0 clips"):
        item_sets.write_item_sets(tmp_path, sizes={"search": 0})
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "mine.txt").write_text("keep")
    with pytest.raises(SettingError, match="no item set"):
        item_sets.write_item_sets(tmp_path, sizes={"search": 1})
    assert (tmp_path / "search" / "mine.txt").read_text() == "keep"
