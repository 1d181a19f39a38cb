"""A recipe that nobody searched: one coefficient for some layers.

    recipe = plain_recipe("models/vlm", "models/backbone", coefficient=0.5, layers=(2, 3))

This file must not know files other than checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from merit_interp.errors import RecipeError
from merit_interp.merging.methods import merge_method
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import reference_to
from merit_interp.models.pairing import check_pair, text_config
from merit_interp.recipe import Recipe, Setting, made_recipe


def plain_recipe(
    vlm: str,
    backbone: str,
    *,
    base: str | None = None,
    coefficient: float | None = None,
    layers: Sequence[int] | None = None,
    settings: Mapping[str, Setting] | None = None,
    **fields: Any,
) -> Recipe:
    """The recipe of a merge as a user says it.

    Args:
        vlm: Directory or hub id.
        backbone: Directory or hub id.
        base: The common ancestor, for a method that needs one.
        coefficient: Of every layer; may be left out for a method that takes whole layers only.
        layers: Which text layers; all of them if not given.
        settings: The method's.
        fields: `method`, `weights`, `pattern` and `projections`, where they are not the defaults.

    Raises:
        RecipeError: The coefficient is missing, or a field is wrong.
        CheckpointError: A model cannot be opened.
        PairError: VLM and backbone do not pair, or are swapped.
    """
    method = merge_method(fields.get("method", "linear"))
    if coefficient is None:
        if not method.ends_only:
            raise RecipeError(
                f"method {method.name} needs a coefficient", valid="a share from 0 to 1"
            )
        coefficient = 1.0
    own, other = Checkpoint.open(vlm), Checkpoint.open(backbone)
    # before gigabytes are read for their fingerprints
    check_pair(own, other)
    if layers is None:
        layers = range(text_config(own).num_hidden_layers)
    return made_recipe(
        "the merge",
        vlm=reference_to(own),
        backbone=reference_to(other),
        base=None if base is None else reference_to(Checkpoint.open(base)),
        layers=dict.fromkeys(layers, coefficient),
        settings=settings or {},
        **fields,
    )
