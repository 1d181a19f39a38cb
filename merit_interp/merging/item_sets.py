"""Which items a recipe is evaluated or explained on: a part of its own file, or another file.

    chosen = recipe_item_set(recipe)        # its validation part
    file, items = chosen.read()

Every verb that takes a recipe finds its items here, so that one that explains a recipe sees the
same videos as the one that judged it. This file must not know models or scores.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merit_interp.benchmarks.items import Item, ItemFile, read_items
from merit_interp.benchmarks.splits import SPLITS, Split, SplitSettings, parts_of, splits_as
from merit_interp.errors import ItemError, SettingError
from merit_interp.models.fingerprints import items_digest
from merit_interp.recipe import Recipe


@dataclass(frozen=True)
class ItemSet:
    """Items to score, as part of an items file."""

    path: Path
    """items.jsonl."""
    split: Split = "all"
    """Which videos of the file."""
    validation_share: float = 0.5
    """Share of the items that the validation part holds."""
    seed: int = 0
    """Seed of the split."""
    held_out_share: float = 0.0
    """Share of the items that the held-out part holds."""
    split_hash: str | None = None
    """What the split's hash has to be, where the split is that of a recipe."""

    def read(self) -> tuple[ItemFile, tuple[Item, ...]]:
        """The file, and those of its items that are in the split.

        Raises:
            ItemError: The file is missing or has faults, or does not split as it did.
            SettingError: The shares make no such part.
        """
        file = read_items(self.path)
        if self.split == "all":
            return file, file.items
        settings = SplitSettings(self.validation_share, self.held_out_share, self.seed)
        if self.split not in settings.shares:
            raise SettingError(
                f"the items have no {self.split} part",
                valid=f"{', '.join(('all', *settings.shares))}; held_out after a search with "
                "--held-out-share",
            )
        parts = parts_of(file.items, settings)
        if self.split_hash is not None and not splits_as(parts, self.split_hash):
            raise ItemError(
                f"{self.path} does not split as it did when the recipe was searched (its items, "
                "their videos or the shares have changed), so its parts may share videos with the "
                "search",
                valid="the items that the recipe was searched with, or --items with other items",
            )
        return file, parts[self.split]

    def to_row(self) -> dict[str, Any]:
        """The set as JSON values; what came later is there only where it is set."""
        row = {**dataclasses.asdict(self), "path": str(self.path)}
        for name, unset in (("held_out_share", 0.0), ("split_hash", None)):
            if row[name] == unset:
                del row[name]
        return row


def drawn_items(items: Sequence[Item], limit: int | None, seed: int) -> tuple[Item, ...]:
    """As many items as asked for, drawn at random, in their order: files are often sorted."""
    if limit is None or limit >= len(items):
        return tuple(items)
    places = sorted(random.Random(seed).sample(range(len(items)), limit))
    return tuple(items[place] for place in places)


def recipe_item_set(
    recipe: Recipe, split: str | None = None, *, path: Path | None = None
) -> ItemSet:
    """The items of one part of a recipe's split.

    Args:
        recipe: The recipe; it knows its items and how they were split.
        split: A name in `benchmarks.splits.SPLITS`; by default the part that the recipe was
            chosen on, or all where it was searched on no part, or of another file.
        path: Another items file, split with the recipe's shares and seed.

    Raises:
        SettingError: There is no such split, or there are no items.
    """
    if split is not None and split not in SPLITS:
        raise SettingError(f"no split {split!r}", valid=", ".join(SPLITS))
    known = recipe.items
    if path is None and known is None:
        raise SettingError("the recipe names no items", valid="--items items.jsonl")
    default: Split = "all" if path or known is None or known.split == "all" else "validation"
    chosen = next((name for name in SPLITS if name == split), default)
    source = path or Path(known.source if known else "")
    if chosen == "all":
        return ItemSet(source)
    shares = recipe.search.get("split", {})
    return ItemSet(
        source,
        split=chosen,
        validation_share=shares.get("validation_share", 0.5),
        seed=shares.get("seed", 0),
        held_out_share=shares.get("held_out_share", 0.0),
        # another file's parts were never anybody's
        split_hash=known.split_hash if known and _is_own(recipe, source) else None,
    )


def searched_remark(recipe: Recipe, chosen: ItemSet) -> str | None:
    """One line where a file that was named whole is the one that the recipe was searched on."""
    searched = recipe.items is not None and recipe.items.split != "all"
    if not searched or chosen.split != "all" or not _is_own(recipe, chosen.path):
        return None
    return (
        f"{chosen.path} is what the recipe was searched on, and all of it is used: the search saw "
        "some of these items; --split validation leaves them out"
    )


def _is_own(recipe: Recipe, path: Path) -> bool:
    known = recipe.items
    return known is not None and path.resolve() == Path(known.source).resolve()


def split_remark(recipe: Recipe, chosen: ItemSet) -> str | None:
    """One line on what a user should know of a recipe's own items; None where all is as it was.

    Raises:
        ItemError: The file has changed so that it no longer splits as it did, or has faults.
    """
    known = recipe.items
    if known is None or chosen.path != Path(known.source) or not chosen.path.exists():
        return None
    if known.split != "all" and chosen.split != "all" and known.split_hash is None:
        return (
            "the recipe does not say how its items were split: this part may hold videos that the "
            "search saw; search again, or use --items with other items"
        )
    if items_digest(chosen.path) != known.sha256:
        chosen.read()  # one line is enough where it cannot be used at all
        return f"{chosen.path} has changed since the recipe was searched"
    return None
