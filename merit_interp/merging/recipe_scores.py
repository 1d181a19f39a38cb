"""Scores several recipes on one set of items, each model's block kept as soon as it is whole.

    score_recipes(evaluation, merge, {"merged": recipe}, item_set="validation", path=scores_jsonl)

A block is all items of one item set scored by one model; a run that was cut goes on after its last
whole block. A baseline that gives NaN has no block. This file must not know where the recipes come
from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from merit_interp.errors import NotANumberError
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.recipe import Recipe
from merit_interp.record_files import JsonlAppender, read_jsonl, write_whole
from merit_interp.records import ItemScore
from merit_interp.scoring.evaluation import Evaluation

VLM = "vlm"
MERGED = "merged"

_FINITE = {
    VLM: "--dtype float32 or bfloat16",
    MERGED: "--dtype float32 or bfloat16, or a recipe with smaller coefficients",
}
"""What gives numbers where a model gives NaN."""


def keep_whole_blocks(
    path: Path, sizes: Mapping[str, int], fields: Sequence[str] = ("item_set", "model")
) -> set[tuple[str, ...]]:
    """Drop a torn last block from a scores file.

    Args:
        path: `scores.jsonl`; may be missing.
        sizes: Number of items of each item set.
        fields: What the scores of one block have in common, the item set first.

    Returns:
        These fields of every block that is whole.
    """
    rows = read_jsonl(path)
    blocks = [tuple(str(row[name]) for name in fields) for row in rows]
    counts = Counter(blocks)
    whole = {block for block, count in counts.items() if count == sizes.get(block[0])}
    kept = [row for row, block in zip(rows, blocks, strict=True) if block in whole]
    if len(kept) < len(rows):
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in kept)
        write_whole(path, "".join(f"{line}\n" for line in lines).encode())
    return whole


def score_recipes(
    evaluation: Evaluation,
    merge: InMemoryMerge,
    recipes: Mapping[str, Recipe],
    *,
    item_set: str,
    path: Path,
    done: Collection[tuple[str, ...]] = (),
    progress: Callable[[str], None] | None = None,
    left_out: Callable[[str], None] | None = None,
) -> list[ItemScore]:
    """Score the unmerged VLM and each recipe; append the records to `path`.

    Weights far from the VLM's may add up to more than their type holds, and the logits are NaN
    then: such a baseline is left out, and VLM and `merged` cannot be.

    Args:
        evaluation: The VLM's prepared items.
        merge: In-memory merge of that VLM, made with `weights="text"` if a recipe has them.
        recipes: Recipe of each model name.
        item_set: Name of the items in the records.
        path: `scores.jsonl`, appended to.
        done: Blocks that are in `path` already.
        progress: Called with each model's name when its block is whole.
        left_out: Told in a line which baseline gives NaN.

    Returns:
        The new records.

    Raises:
        NotANumberError: VLM or merged model gives NaN.
    """
    new: list[ItemScore] = []
    with JsonlAppender(path) as file:
        for name in (VLM, *recipes):
            if (item_set, name) not in done:
                try:
                    scores = _scores(evaluation, merge, recipes, name, item_set)
                except NotANumberError as error:
                    if name in (VLM, MERGED):
                        raise NotANumberError(
                            f"{name} on {item_set}: {error.problem}", valid=_FINITE[name]
                        ) from None
                    if left_out is not None:
                        left_out(f"left out {name} on {item_set}: {error.problem}")
                    scores = []
                for score in scores:
                    file.append(score.to_row())
                new += scores
            if progress is not None:
                progress(name)
    return new


def _scores(
    evaluation: Evaluation,
    merge: InMemoryMerge,
    recipes: Mapping[str, Recipe],
    name: str,
    item_set: str,
) -> list[ItemScore]:
    if name == VLM:
        return evaluation.scores(VLM, VLM, item_set)
    with merge.applied(recipes[name]):
        return evaluation.scores(name, recipes[name].merge_hash, item_set)
