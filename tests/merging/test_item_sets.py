from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, write_items
from merit_interp.benchmarks.splits import SplitSettings, parts_of, split_hash
from merit_interp.errors import ItemError, SettingError
from merit_interp.merging.item_sets import (
    ItemSet,
    drawn_items,
    recipe_item_set,
    searched_remark,
    split_remark,
)
from merit_interp.models.fingerprints import items_digest
from merit_interp.recipe import ItemsReference, ModelReference, Recipe

SHARES = SplitSettings(0.4, 0.2, seed=3)


def items(n: int) -> list[Item]:
    skills = ("reasoning", "perception")
    return [Item(f"i{i}", f"{i // 2}.mp4", "?", ("a", "b"), 0, skills[i % 2]) for i in range(n)]  # type: ignore[arg-type]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A recipe that was searched on twenty videos in three parts."""
    path = tmp_path / "items.jsonl"
    write_items(path, items(40))
    model = ModelReference(source="m", fingerprint="sha256:m")
    return Recipe(
        vlm=model,
        backbone=model,
        items=ItemsReference(
            source=str(path),
            sha256=items_digest(path),
            split="search",
            split_hash=split_hash(parts_of(items(40), SHARES)),
        ),
        search={"split": {"validation_share": 0.4, "held_out_share": 0.2, "seed": 3}},
    )


def changed(recipe: Recipe, **fields: object) -> Recipe:
    assert recipe.items is not None
    return recipe.replaced(items=recipe.items.model_copy(update=fields))


@pytest.mark.parametrize("split", ["search", "validation", "held_out"])
def test_a_part_is_the_one_that_the_search_made(recipe: Recipe, split: str) -> None:
    chosen = recipe_item_set(recipe, split)
    assert chosen.read()[1] == parts_of(items(40), SHARES)[split]  # type: ignore[index]
    assert split_remark(recipe, chosen) is None


def test_validation_is_what_a_verb_uses_and_all_is_everything(recipe: Recipe) -> None:
    assert recipe_item_set(recipe).split == "validation"
    assert len(recipe_item_set(recipe, "all").read()[1]) == 40
    assert recipe_item_set(changed(recipe, split="all")).split == "all"


def test_another_file_is_used_whole_or_split_with_the_same_shares(
    recipe: Recipe, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    write_items(other, items(60))
    assert len(recipe_item_set(recipe, path=other).read()[1]) == 60
    held_out = recipe_item_set(recipe, "held_out", path=other).read()[1]
    assert held_out == parts_of(items(60), SHARES)["held_out"]


def test_a_file_that_splits_otherwise_is_refused_in_one_line(recipe: Recipe) -> None:
    assert recipe.items is not None
    write_items(Path(recipe.items.source), items(42))
    with pytest.raises(ItemError, match="does not split as it did") as refused:
        recipe_item_set(recipe).read()
    assert "\n" not in str(refused.value)
    with pytest.raises(ItemError, match="does not split as it did"):
        split_remark(recipe, recipe_item_set(recipe))
    # and so it is under the name that a user gives it
    with pytest.raises(ItemError, match="does not split as it did"):
        recipe_item_set(recipe, "validation", path=Path(recipe.items.source)).read()
    # all of it is no part that the search could have seen or not
    assert len(recipe_item_set(recipe, "all").read()[1]) == 42


def test_items_that_change_videos_under_their_ids_are_refused(recipe: Recipe) -> None:
    assert recipe.items is not None
    parts = parts_of(items(40), SHARES)
    seen, kept = parts["search"][0], parts["held_out"][0]
    swap = {seen.video: kept.video, kept.video: seen.video}
    swapped = [
        dataclasses.replace(i, video=swap.get(i.video, i.video), group="") for i in items(40)
    ]
    write_items(Path(recipe.items.source), swapped)
    # the same ids are in each part, and a video that the search saw is in the held-out one
    assert {i.id for i in parts_of(swapped, SHARES)["held_out"]} == {
        i.id for i in parts["held_out"]
    }
    with pytest.raises(ItemError, match="does not split as it did"):
        recipe_item_set(recipe, "held_out").read()


def test_a_recipe_whose_hash_is_of_ids_is_checked_by_ids(recipe: Recipe) -> None:
    assert recipe.items is not None
    path = Path(recipe.items.source)
    text = "".join(
        json.dumps([part, sorted(i.id for i in of_part)])
        for part, of_part in parts_of(items(40), SHARES).items()
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    earlier = changed(recipe, split_hash=f"sha256:{digest}")
    assert len(recipe_item_set(earlier).read()[1]) == 16
    assert split_remark(earlier, recipe_item_set(earlier)) is None
    write_items(path, items(42))
    with pytest.raises(ItemError, match="does not split as it did"):
        recipe_item_set(earlier).read()


def test_a_share_that_was_changed_by_hand_is_refused(recipe: Recipe) -> None:
    other = recipe.replaced(search={"split": {"validation_share": 0.5, "seed": 3}})
    with pytest.raises(ItemError, match="the shares have changed"):
        recipe_item_set(other).read()


def test_a_file_whose_text_alone_changed_is_remarked_on(recipe: Recipe) -> None:
    assert recipe.items is not None
    path = Path(recipe.items.source)
    path.write_text(path.read_text().replace('"?"', '"Which?"'))
    chosen = recipe_item_set(recipe)
    assert split_remark(recipe, chosen) == f"{path} has changed since the recipe was searched"
    assert len(chosen.read()[1]) == 16


def test_a_recipe_from_before_splits_were_recorded_is_remarked_on(recipe: Recipe) -> None:
    old = changed(recipe, split_hash=None)
    assert "may hold videos that the search saw" in str(split_remark(old, recipe_item_set(old)))
    assert split_remark(old, recipe_item_set(old, "all")) is None


def test_the_file_of_the_search_named_whole_is_remarked_on(recipe: Recipe, tmp_path: Path) -> None:
    assert recipe.items is not None
    path = Path(recipe.items.source)
    whole = recipe_item_set(recipe, path=path)
    assert len(whole.read()[1]) == 40
    assert "the search saw some of these items" in str(searched_remark(recipe, whole))
    assert searched_remark(recipe, recipe_item_set(recipe, "validation", path=path)) is None
    assert searched_remark(recipe, ItemSet(tmp_path / "other.jsonl")) is None
    assert searched_remark(changed(recipe, split="all"), whole) is None


def test_a_part_that_was_never_made_says_how_to_make_it(recipe: Recipe) -> None:
    other = changed(recipe.replaced(search={}), split_hash=None)
    with pytest.raises(SettingError, match=r"no held_out part.*--held-out-share"):
        recipe_item_set(other, "held_out").read()
    with pytest.raises(SettingError, match="no split 'test'; valid: all, search"):
        recipe_item_set(recipe, "test")
    with pytest.raises(SettingError, match="names no items"):
        recipe_item_set(recipe.replaced(items=None))


def test_the_row_of_a_set_has_later_fields_only_where_they_are_set(recipe: Recipe) -> None:
    row = {"path": "i.jsonl", "split": "all", "validation_share": 0.5, "seed": 0}
    assert ItemSet(Path("i.jsonl")).to_row() == row
    assert {"held_out_share", "split_hash"} <= set(recipe_item_set(recipe).to_row())


def test_a_recipe_has_a_split_hash_in_its_file_only_where_it_was_split(recipe: Recipe) -> None:
    assert '"split_hash": "v2:sha256:' in recipe.to_json()
    assert '"split_hash"' not in changed(recipe, split_hash=None).to_json()
    assert recipe.merge_hash == changed(recipe, split_hash=None).merge_hash


def test_a_limit_draws_items_by_seed_and_keeps_their_order() -> None:
    there = tuple(items(40))
    assert drawn_items(there, None, 0) == drawn_items(there, 40, 0) == there
    few = drawn_items(there, 4, 0)
    assert few == drawn_items(there, 4, 0) != drawn_items(there, 4, 1)
    assert few != there[:4]
    assert [there.index(item) for item in few] == sorted(there.index(item) for item in few)
