"""mergekit's YAML read as a recipe, and a recipe written as mergekit's YAML.

    recipe = recipe_from_mergekit(Path("config.yml"))
    text = mergekit_from_recipe(recipe, vlm_checkpoint)

How the two map (mergekit 0.1.5), with `a` a recipe's coefficient:

- linear: weights 1 - a and a. mergekit divides by the weights' sum unless `normalize: false`
  (mergekit #214), so weights v and b are a = b / (v + b), whatever their size.
- slerp: `t` is a where `base_model` is the VLM, and 1 - a where it is the backbone.
- task_arithmetic, ties, dare_linear, dare_ties: `base_model` is the recipe's base. Weights 1 - a
  and a, or any with `normalize: true`; 1 and a are the setting `keep_vlm`; `lambda`, `normalize`,
  `density` and `rescale` keep their names. Their defaults differ: density is 1 in mergekit, and 0.2
  (ties) and 0.5 (dare) here. At the border of a trimmed vector mergekit keeps any of equal entries,
  ours the first. DARE draws other numbers, and mergekit rescales to the old L1 norm, ours by the
  density.
- Ours computes in float32 and rounds once: that is mergekit's `dtype: float32` with `out_dtype`.
  With `dtype: bfloat16` mergekit rounds every step.
- mergekit merges embeddings, final norm and head too unless a filter such as `.layers.` keeps them
  out; a recipe never does, so that a file which merges them is refused.

What a recipe cannot express is refused by its key. This file must not know modules in memory.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from merit_interp.merging.merge_plan import tensor_shares
from merit_interp.merging.mergekit_values import NEED_BASE, Cell, Document, read_document
from merit_interp.merging.methods import merge_method
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import VLM_FAMILIES, Family, backbone_family, vlm_family
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.text_tensors import text_tensors
from merit_interp.recipe import PROJECTIONS, Coefficient, ModelReference, Recipe

Shares = Mapping[tuple[int, str], float]
"""Share of the backbone in each tensor (layer, name within it) that both models have."""

_DIGITS = 12
"""Decimals kept of what a gradient interpolates."""
_SAME = 1e-9


def recipe_from_mergekit(path: Path) -> Recipe:
    """The recipe that merges the text layers as a mergekit file does.

    The models are opened to see which is the VLM, what their layers hold, and for fingerprints.

    Raises:
        RecipeError: The file cannot be read, or says what a recipe cannot express.
        CheckpointError: A model cannot be opened.
    """
    document = read_document(path)
    opened = [Checkpoint.open(model) for model in document.models]
    is_vlm = [one.config.get("model_type") in VLM_FAMILIES for one in opened]
    if is_vlm.count(True) != 1:
        document.refuse(
            f"{' and '.join(document.models)} are {is_vlm.count(True)} VLMs",
            "a VLM and its text-only backbone",
        )
    at = is_vlm.index(True)
    vlm, backbone = opened[at], opened[1 - at]
    family = vlm_family(vlm.config, vlm.source)
    keys = text_tensors(vlm, family)
    theirs = text_tensors(backbone, backbone_family(backbone.config, backbone.source))
    _require_type(document, vlm, [keys[tensor] for tensor in keys if tensor in theirs])
    n_layers = 1 + max(tensor.layer for tensor in keys)
    cells = document.cells(n_layers, dict.fromkeys(tensor.name for tensor in keys))
    models = document.models[at], document.models[1 - at]
    shares = {place: _share(document, cell, *models) for place, cell in cells.items()}
    for (layer, name), share in shares.items():
        if layer is None and share:
            document.refuse(f"it merges {name} too", "value 0 but for a filter like '.layers.'")
    both = {(t.layer, t.name): shares[t.layer, t.name] for t in keys if t in theirs}
    merged = [cells[place] for place, share in both.items() if share]
    base = document.base if document.method in NEED_BASE else None
    return Recipe(
        vlm=_reference(vlm),
        backbone=_reference(backbone),
        base=_reference(Checkpoint.open(base)) if base else None,
        method=document.method,
        settings=_settings(document, merged, *models),
        **_what_is_merged(document, both, family),
    )


def _reference(checkpoint: Checkpoint) -> ModelReference:
    return ModelReference(
        source=checkpoint.source,
        revision=checkpoint.revision,
        fingerprint=fingerprint(checkpoint),
    )


def _require_type(document: Document, vlm: Checkpoint, keys: Iterable[str]) -> None:
    types = {str(vlm.dtype(key)).removeprefix("torch.") for key in keys}
    if document.dtype is not None and types != {document.dtype}:
        document.refuse(f"out_dtype {document.dtype}", f"the VLM's own, {' and '.join(types)}")


def _share(document: Document, cell: Cell, vlm: str, backbone: str) -> float:
    """The backbone's share in one tensor; 0 where mergekit leaves the VLM's as it is."""
    own, other = cell.weights.get(vlm, 0.0), cell.weights.get(backbone, 0.0)
    total = own + other
    has_base = document.method in NEED_BASE
    if document.method == "linear" and not cell.settings["normalize"] and abs(total - 1) > _SAME:
        document.refuse(f"weight adds up to {total:g}", "1, or normalize: true")
    if total == 0 or not -_SAME <= other / total <= 1 + _SAME:
        document.refuse(f"weight {own:g} and {other:g}", "shares between 0 and 1")
    share = round(other / total, _DIGITS)
    if not has_base:
        return share
    scale = cell.settings["lambda"] * (1.0 if cell.settings["normalize"] else total)
    is_whole = abs(scale - 1) < _SAME and all(d >= 1 for d in cell.densities.values())
    if share == 0 and not is_whole:
        document.refuse(
            f"{document.method} changes tensors that get nothing of the backbone",
            "density 1 and lambda 1 for those",
        )
    if share == 1 and not is_whole:
        document.refuse("the backbone alone is changed", "density 1 and lambda 1 at its share of 1")
    keeps = not cell.settings["normalize"] and abs(own - 1) < _SAME and abs(total - 1) > _SAME
    if keeps and other > 1:
        document.refuse(f"weight {other:g}", "at most 1")
    return round(other, _DIGITS) if keeps else share


def _settings(
    document: Document, merged: list[Cell], vlm: str, backbone: str
) -> dict[str, float | bool]:
    """The method's settings where they are not its defaults; one value for all merged tensors."""
    method = merge_method(document.method)
    if not method.needs_base or not merged:
        return {}

    def only(name: str, values: Iterable[float]) -> float:
        found = sorted({round(value, _DIGITS) for value in values})
        if len(found) != 1:
            document.refuse(f"{name} is {' and '.join(f'{v:g}' for v in found)}", "one value")
        return found[0]

    normalize = bool(merged[0].settings["normalize"])
    totals = {round(sum(cell.weights.values()), _DIGITS) for cell in merged}
    keeps = not normalize and totals != {1.0} and all(c.weights[vlm] == 1.0 for c in merged)
    scale = 1.0 if normalize or keeps else only("the weights' sum", totals)
    # at a share of 1 nothing is dropped or scaled, so that those say nothing of the others
    inner = [c for c in merged if keeps or c.weights[vlm] != 0.0]
    found: dict[str, float | bool] = {"normalize": normalize, "keep_vlm": keeps}
    if inner:
        found["lambda"] = scale * only("lambda", (c.settings["lambda"] for c in inner))
        if "density" in method.settings:
            found["density"] = only("density", (d for c in inner for d in c.densities.values()))
    if "rescale" in method.settings:
        found["rescale"] = bool(merged[0].settings["rescale"])
    return {name: value for name, value in found.items() if value != method.settings[name]}


def _what_is_merged(document: Document, shares: Shares, family: Family) -> dict[str, Any]:
    """The recipe's weights, pattern and layers."""
    layers = sorted({layer for layer, _ in shares})
    rows = {x: {name: s for (layer, name), s in shares.items() if layer == x} for x in layers}
    if all(not share or family.projection_of(name) for (_, name), share in shares.items()):
        by_projection = {layer: _by_projection(row, family) for layer, row in rows.items()}
        if all(row is not None for row in by_projection.values()):
            return {"layers": by_projection}
    values = {layer: {share for share in row.values() if share} for layer, row in rows.items()}
    if any(len(found) > 1 for found in values.values()):
        document.refuse(
            "weights differ within a layer", "one a layer, or one for each of q, k, v and o"
        )
    coefficients = {layer: found.pop() for layer, found in values.items() if found}
    if all(all(rows[layer].values()) for layer in coefficients):
        return {"weights": "text", "layers": coefficients}
    names = {tuple(name for name, share in rows[layer].items() if share) for layer in coefficients}
    if len(names) != 1:
        document.refuse("filters differ from layer to layer", "the same tensors of every layer")
    pattern = "|".join(map(re.escape, next(iter(names))))
    return {"weights": "pattern", "pattern": pattern, "layers": coefficients}


def _by_projection(row: Mapping[str, float], family: Family) -> Coefficient | None:
    """A layer's coefficient for each projection; None where weight and bias differ."""
    found: dict[str, set[float]] = {projection: set() for projection in PROJECTIONS}
    for name, share in row.items():
        if projection := family.projection_of(name):
            found[projection].add(share)
    if any(len(shares) != 1 for shares in found.values()):
        return None
    return {projection: shares.pop() for projection, shares in found.items()}


def mergekit_from_recipe(recipe: Recipe, vlm: Checkpoint) -> str:
    """The recipe as mergekit's YAML: the text layers as one slice, with a filter a tensor.

    mergekit 0.1.5 takes models of one architecture only; to run the file there, give it the two
    text models, or put the slice under the VLM's module of text layers.

    Args:
        recipe: What to write.
        vlm: Its VLM, for the names and number of its tensors.

    Raises:
        RecipeError: The recipe does not fit the VLM.
    """
    family = vlm_family(vlm.config, vlm.source)
    keys = text_tensors(vlm, family)
    n_layers = 1 + max(tensor.layer for tensor in keys)
    shares = tensor_shares(recipe, keys, family, n_layers=n_layers)
    columns: dict[str, list[float]] = {}
    for tensor in keys:
        column = columns.setdefault(tensor.name, [0.0] * n_layers)
        column[tensor.layer] = shares.get(tensor, 0.0)
    filters = _filters(columns)
    models = {"vlm": recipe.vlm, "backbone": recipe.backbone}
    sources: dict[str, dict[str, Any]] = {
        role: {"model": _model(model), "layer_range": [0, n_layers]}
        for role, model in models.items()
    }
    document: dict[str, Any] = {
        # a swap is a linear merge at its ends
        "merge_method": "linear" if recipe.method == "layer_swap" else recipe.method,
        "dtype": "float32",
        "out_dtype": str(vlm.dtype(next(iter(keys.values())))).removeprefix("torch."),
    }
    parameters: dict[str, Any] = {}
    if recipe.method == "slerp":
        document["base_model"] = _model(recipe.vlm)
        parameters["t"] = _setting(filters, lambda share: share)
    else:
        keeps = bool(recipe.settings.get("keep_vlm"))
        own = {"weight": _setting(filters, lambda share: 1.0 if keeps else 1.0 - share)}
        sources["vlm"]["parameters"] = own
        sources["backbone"]["parameters"] = {"weight": _setting(filters, lambda share: share)}
    if recipe.base is not None:
        document["base_model"] = _model(recipe.base)
        sources["base"] = {"model": _model(recipe.base), "layer_range": [0, n_layers]}
        parameters |= _task_parameters(recipe, filters)
    if parameters:
        document["parameters"] = parameters
    document["slices"] = [{"sources": list(sources.values())}]
    head = f"# merit-interp, recipe {recipe.merge_hash}: the text layers; all else is the VLM's\n"
    body: str = yaml.dump(document, sort_keys=False, default_flow_style=None, width=100)
    return head + body


def _task_parameters(recipe: Recipe, columns: Mapping[str, list[float]]) -> dict[str, Any]:
    """Density and lambda, which mergekit would apply to the VLM's own tensors too, and flags."""
    settings = merge_method(recipe.method).whole_settings(recipe.settings)
    keeps = bool(settings["keep_vlm"])
    found: dict[str, Any] = {}
    for name in ("lambda", "density"):
        if name in settings and settings[name] != 1:
            inner = float(settings[name])
            found[name] = _setting(columns, functools.partial(_within, inner, keeps))
    flags = {name: bool(settings[name]) for name in ("normalize", "rescale") if name in settings}
    return found | flags


def _within(value: float, keeps_vlm: bool, share: float) -> float:
    """A setting's value, but 1 where nothing is merged and where the backbone alone is left."""
    return value if share > 0 and (keeps_vlm or share < 1) else 1.0


def _filters(columns: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Fewer and shorter filters for the same shares."""
    merged = {name: column for name, column in columns.items() if any(column)}
    if len(merged) == len(columns) and len({tuple(c) for c in merged.values()}) == 1:
        return {".layers.": next(iter(merged.values()))}
    modules: dict[str, dict[str, list[float]]] = {}
    for name, column in columns.items():
        modules.setdefault(name.rpartition(".")[0], {})[name] = column
    found: dict[str, list[float]] = {}
    for module, tensors in modules.items():
        if len({tuple(column) for column in tensors.values()}) == 1:
            tensors = {f"{module}.": next(iter(tensors.values()))}
        found |= {f".{name}": column for name, column in tensors.items() if any(column)}
    return found


def _setting(
    columns: Mapping[str, list[float]], of_share: Callable[[float], float]
) -> list[dict[str, Any]]:
    """Filters with a number a layer, or one for all; last, the value of unmerged tensors."""
    choices: list[dict[str, Any]] = []
    for part, column in columns.items():
        values = [of_share(share) for share in column]
        choices.append({"filter": part, "value": values if len(set(values)) > 1 else values[0]})
    return [*choices, {"value": of_share(0.0)}]


def _model(model: ModelReference) -> str:
    return f"{model.source}@{model.revision}" if model.revision else model.source
