"""A recipe whose coefficients follow from what each layer attends to, measured on items.

    recipe = scheduled_recipe("models/vlm", "models/backbone", Path("items.jsonl"))

This file must not know how the measure is taken, nor how a merge is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from merit_interp.benchmarks.items import read_items
from merit_interp.merging.attention_schedule import MOST_ITEMS, schedule_of, visual_attention
from merit_interp.merging.plain_recipe import plain_recipe
from merit_interp.models.fingerprints import items_digest
from merit_interp.models.loading import CPU_FLOAT32, Placement, load_vlm
from merit_interp.recipe import ItemsReference, Recipe, Scoring
from merit_interp.scoring.evaluation import Evaluation

DECIMALS = 4
"""Of the attention that a recipe tells of."""


def scheduled_recipe(
    vlm: str,
    backbone: str,
    items: Path,
    *,
    coefficient: float | None = None,
    scoring: Scoring = Scoring(),
    placement: Placement = CPU_FLOAT32,
    **fields: Any,
) -> Recipe:
    """The attention schedule of a pair as a recipe.

    Args:
        vlm: Directory or hub id.
        backbone: Directory or hub id.
        items: Items file; the first of its items are looked at, their answers are not.
        coefficient: The highest that a layer gets; 1 if not given.
        scoring: How items become prompts.
        placement: Where the VLM runs.
        fields: Of `plain_recipe`: method, base, settings, layers, weights, ...

    Raises:
        MeritError: As `plain_recipe`, or the items or the VLM cannot be read.
    """
    most = 1.0 if coefficient is None else coefficient
    plain = plain_recipe(vlm, backbone, coefficient=most, **fields)
    file = read_items(items)
    evaluation = Evaluation(
        load_vlm(vlm, placement=placement), file, file.items[:MOST_ITEMS], scoring
    )
    attention = visual_attention(evaluation)
    layers = schedule_of(attention, most=most)
    return plain.replaced(
        layers={layer: layers[layer] for layer in plain.layers if layer in layers},
        items=ItemsReference(
            source=str(items), sha256=items_digest(items), split="all", scoring=scoring
        ),
        search={
            "schedule": "attention",
            "visual_attention": [round(share, DECIMALS) for share in attention],
            "n_items": len(evaluation.encoded),
        },
    )
