"""The items that a verb was asked to work on, for every verb that takes a recipe.

    sets = item_sets_of(recipe, ["longer=items/longer/items.jsonl"], split=None)

This file parses and says what is odd; it must not split or score items.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from merit_interp.merging.item_sets import ItemSet
    from merit_interp.recipe import Recipe


def item_sets_of(
    recipe: Recipe, named: Sequence[str] | None, split: str | None
) -> dict[str, ItemSet]:
    """Item sets of `--items` and `--split`, by name; the recipe's own items where none are named.

    Args:
        recipe: The recipe.
        named: Each `PATH` or `NAME=PATH`.
        split: Which part; the recipe's validation part, or all of a named file, where not given.

    Raises:
        SettingError: There are no items to use, or two sets have one name.
    """
    from merit_interp.merging.item_sets import recipe_item_set, searched_remark, split_remark

    if not named:
        chosen = recipe_item_set(recipe, split)
        _tell(split_remark(recipe, chosen))
        return {chosen.split: chosen}
    sets: dict[str, ItemSet] = {}
    for entry in named:
        name, _, path = entry.rpartition("=")
        name = name or Path(path).stem
        if name in sets:
            raise SettingError(f"two item sets are called {name!r}", valid="--items NAME=PATH")
        sets[name] = recipe_item_set(recipe, split, path=Path(path))
        if split is None:
            _tell(searched_remark(recipe, sets[name]))
    return sets


def _tell(remark: str | None) -> None:
    if remark:
        # beside the results, which may be JSON
        print(f"merit-interp: {remark}", file=sys.stderr)


def item_set_of(recipe: Recipe, items: str | None, split: str | None) -> ItemSet:
    """The one item set of a verb that takes one `--items`; as `item_sets_of`."""
    (chosen,) = item_sets_of(recipe, None if items is None else [items], split).values()
    return chosen
