"""What a mergekit YAML file says of each tensor: filters, gradients and precedence worked out.

    document = read_document(Path("config.yml"))
    document.cells(n_layers=28, names=["self_attn.q_proj.weight", ...])

The rules are mergekit's (0.1.5): a source's parameters come before its slice's, those before the
module's and those before the file's; of a list of filters the first that is part of the tensor's
name counts; a list of numbers is interpolated over the layers of its slice. This file must not know
recipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from merit_interp.errors import RecipeError

METHODS = ("linear", "slerp", "task_arithmetic", "ties", "dare_ties", "dare_linear")
"""mergekit's methods that are also ours, by one name."""
NEED_BASE = METHODS[2:]
DEFAULTS: Mapping[str, float] = {"density": 1.0, "lambda": 1.0}
"""mergekit's own, of parameters that may be left out."""
OUTSIDE = ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")
"""Tensors of a text model beside its layers."""

_DOCUMENT_KEYS = (
    "merge_method", "slices", "models", "modules", "base_model", "parameters", "dtype",
    "out_dtype", "tokenizer_source",
)  # fmt: skip
_PARAMETERS = ("weight", "t", "density", "lambda", "normalize", "rescale", "int8_mask")
_SLICE_KEYS = ("sources", "parameters")
_SOURCE_KEYS = ("model", "layer_range", "parameters")


@dataclass(frozen=True)
class Cell:
    """What is done with one tensor."""

    weights: Mapping[str, float]
    """Of each model; for slerp, the share of each."""
    densities: Mapping[str, float]
    settings: Mapping[str, float]
    """lambda, and normalize and rescale as 0 or 1."""


@dataclass(frozen=True)
class Slice:
    """Layers that come from the same models with the same parameters."""

    sources: Mapping[str, Mapping[str, Any]]
    """Parameters of each model, the base left out."""
    start: int | None
    """First layer; None for all layers."""
    end: int | None
    parameters: tuple[Mapping[str, Any], ...]
    """Of the slice, its module and the file, first the one that counts most."""


@dataclass(frozen=True)
class Document:
    """A mergekit file of two models that are merged layer by layer."""

    name: str
    """The file, for errors."""
    method: str
    models: tuple[str, str]
    """The two that are merged, in the file's order."""
    base: str | None
    """base_model: the common ancestor, or for slerp the model at t = 0."""
    slices: tuple[Slice, ...]
    dtype: str | None
    """Type of the merged tensors; None for the models' own."""

    def cells(self, n_layers: int, names: Iterable[str]) -> dict[tuple[int | None, str], Cell]:
        """What is done with every tensor: (layer, name in it), and (None, name) outside layers.

        Raises:
            RecipeError: The slices are not all layers in order, or a parameter is missing or none.
        """
        names = tuple(names)
        cells: dict[tuple[int | None, str], Cell] = {}
        next_layer = 0
        for piece in self.slices:
            start, end = piece.start or 0, n_layers if piece.end is None else piece.end
            if start != next_layer or end > n_layers or end <= start:
                self.refuse(f"layer_range [{start}, {end}]", f"all {n_layers} layers in order")
            for layer in range(start, end):
                depth = (layer - start) / (end - start - 1) if end - start > 1 else 1.0
                for name in names:
                    where = f"model.layers.{layer}.{name}"
                    cells[layer, name] = self._cell(piece, where, depth)
            next_layer = end
        if next_layer != n_layers:
            self.refuse(f"slices end at layer {next_layer}", f"all {n_layers} layers in order")
        for name in OUTSIDE:
            piece = self.slices[0 if name == OUTSIDE[0] else -1]
            cells[None, name] = self._cell(piece, name, 0.0)
        return cells

    def _cell(self, piece: Slice, tensor: str, depth: float) -> Cell:
        def value(parameter: str, model: str | None = None) -> float:
            scopes = [*([piece.sources[model]] if model else []), *piece.parameters]
            for scope in scopes:
                found = self._value(scope.get(parameter), parameter, tensor, depth)
                if found is not None:
                    return found
            if parameter not in DEFAULTS:
                self.refuse(f"no {parameter} for {tensor}", "a value for every tensor")
            return DEFAULTS[parameter]

        if self.method == "slerp":
            share = value("t")
            others = [model for model in piece.sources if model != self.base]
            weights = {str(self.base): 1.0 - share, **dict.fromkeys(others, share)}
        else:
            weights = {model: value("weight", model) for model in piece.sources}
        flags = {"normalize": self.method in ("linear", "ties"), "rescale": "dare" in self.method}
        return Cell(
            weights,
            {model: value("density", model) for model in piece.sources},
            {"lambda": value("lambda"), **{f: self._flag(f, flags[f], piece) for f in flags}},
        )

    def _flag(self, parameter: str, default: bool, piece: Slice) -> bool:
        for scope in piece.parameters:
            if parameter in scope:
                if not isinstance(scope[parameter], bool):
                    self.refuse(f"{parameter} is {scope[parameter]}", "true or false for all")
                return bool(scope[parameter])
        return default

    def _value(self, setting: Any, parameter: str, tensor: str, depth: float) -> float | None:
        """A parameter's value for one tensor; None where no filter is part of its name."""
        if setting is None:
            return None
        if isinstance(setting, int | float) and not isinstance(setting, bool):
            return float(setting)
        choices: list[Any] = [setting] if isinstance(setting, Mapping) else setting
        if not isinstance(choices, list) or not choices:
            self.refuse(f"{parameter} is {setting!r}", "a number, a list of numbers, or filters")
        if all(isinstance(choice, int | float) for choice in choices):
            place = depth * (len(choices) - 1)
            first = int(place)
            last = min(len(choices) - 1, first + 1)
            part = place - first
            return (1.0 - part) * float(choices[first]) + part * float(choices[last])
        for choice in choices:
            if not isinstance(choice, Mapping) or set(choice) - {"filter", "value"}:
                self.refuse(f"{parameter} holds {choice!r}", "filter and value")
            if choice.get("filter") in (None, "*") or str(choice["filter"]) in tensor:
                return self._value(choice.get("value"), parameter, tensor, depth)
        return None

    def refuse(self, problem: str, valid: str) -> NoReturn:
        """Raise a RecipeError that names the file."""
        raise RecipeError(f"{self.name}: {problem}", valid=valid)


def read_document(path: Path) -> Document:
    """Read a mergekit file.

    Raises:
        RecipeError: It cannot be read, or holds what a merge of two models by layers is not; the
            key is named.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"cannot read {path}: {error}", valid="a mergekit YAML file") from None
    name = str(path)
    _require_keys(name, content, _DOCUMENT_KEYS, "the file")
    method = str(content.get("merge_method"))
    if method not in METHODS:
        raise RecipeError(f"{name}: merge_method {method}", valid=", ".join(METHODS))
    base = content.get("base_model")
    slices = _slices(name, content, base if method in NEED_BASE else None)
    models = list(dict.fromkeys(model for piece in slices for model in piece.sources))
    if len(models) != 2:
        raise RecipeError(
            f"{name} merges {len(models)} models: {', '.join(models)}",
            valid="a VLM and its backbone" + (" beside base_model" if method in NEED_BASE else ""),
        )
    if (method in NEED_BASE or method == "slerp") and not isinstance(base, str):
        raise RecipeError(f"{name}: {method} without base_model", valid="base_model: one model")
    if method == "slerp" and base not in models:
        raise RecipeError(f"{name}: base_model {base} is not merged", valid=" or ".join(models))
    if content.get("tokenizer_source", "base") not in ("base", *models):
        raise RecipeError(f"{name}: tokenizer_source", valid="none: the VLM's files come along")
    dtype = content.get("out_dtype") or content.get("dtype")
    both = (models[0], models[1])
    return Document(name, method, both, base, tuple(slices), None if dtype is None else str(dtype))


def _slices(name: str, content: Mapping[str, Any], base: str | None) -> list[Slice]:
    """Slices of the one module that mixes models, in the file's order."""
    given = [key for key in ("slices", "models", "modules") if content.get(key)]
    if len(given) != 1:
        raise RecipeError(f"{name} has {given or 'none'} of slices, models, modules", valid="one")
    outer = (_parameters(name, content),)
    if given == ["modules"]:
        _require_mapping(name, content["modules"], "modules")
        for module in content["modules"].values():
            _require_mapping(name, module, "a module")
        modules = {
            key: _module(name, module, outer, base) for key, module in content["modules"].items()
        }
        mixed = [key for key, pieces in modules.items() if len(_models(pieces)) > 1]
        if len(mixed) != 1:
            raise RecipeError(
                f"{name}: modules {', '.join(mixed) or 'none'} mix models",
                valid="one module of text layers that does, the VLM alone in all others",
            )
        return modules[mixed[0]]
    return _module(name, content, outer, base)


def _models(pieces: list[Slice]) -> set[str]:
    return {model for piece in pieces for model in piece.sources}


def _module(
    name: str, module: Mapping[str, Any], outer: tuple[Mapping[str, Any], ...], base: str | None
) -> list[Slice]:
    scopes = outer if "merge_method" in module else (_parameters(name, module), *outer)
    if module.get("models"):
        whole = {"sources": module["models"]}
        return [_slice(name, whole, scopes, base)]
    return [
        _slice(name, piece, (_parameters(name, piece), *scopes), base)
        for piece in _listed(name, module, "slices")
    ]


def _slice(
    name: str, piece: Mapping[str, Any], scopes: tuple[Mapping[str, Any], ...], base: str | None
) -> Slice:
    _require_keys(name, piece, _SLICE_KEYS, "a slice")
    sources: dict[str, Mapping[str, Any]] = {}
    ranges = set()
    for source in _listed(name, piece, "sources"):
        _require_keys(name, source, _SOURCE_KEYS, "a source")
        model = source.get("model")
        if not isinstance(model, str) or "+" in model:
            raise RecipeError(f"{name}: model {model!r}", valid="a directory or hub id, no LoRA")
        ranges.add(_layer_range(name, source))
        if model != base:
            sources[model] = _parameters(name, source)
    if len(ranges) != 1:
        raise RecipeError(f"{name}: a slice of other layers in each source", valid="equal ranges")
    start, end = ranges.pop()
    return Slice(sources, start, end, scopes)


def _layer_range(name: str, source: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """First layer and the one after the last; None and None for all."""
    given = source.get("layer_range")
    if given is None:
        return None, None
    if not isinstance(given, list) or [type(end) for end in given] != [int, int]:
        raise RecipeError(f"{name}: layer_range {given}", valid="two whole numbers, as [0, 28]")
    return given[0], given[1]


def _listed(name: str, holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """What stands in a list, each with keys and values; empty where there is no list."""
    given = holder.get(key) or []
    if not isinstance(given, list):
        raise RecipeError(f"{name}: {key} is {type(given).__name__}", valid="a list")
    for one in given:
        _require_mapping(name, one, f"a {key.removesuffix('s')}")
    return given


def _parameters(name: str, holder: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters: Mapping[str, Any] = holder.get("parameters") or {}
    _require_keys(name, parameters, _PARAMETERS, "parameters")
    return parameters


def _require_keys(name: str, found: Any, known: tuple[str, ...], what: str) -> None:
    _require_mapping(name, found, what)
    unknown = sorted(map(str, set(found) - set(known)))
    if unknown:
        raise RecipeError(
            f"{name}: {what} has {unknown[0]}, which a recipe cannot express",
            valid=", ".join(known),
        )


def _require_mapping(name: str, found: Any, what: str) -> None:
    if not isinstance(found, Mapping):
        raise RecipeError(f"{name}: {what} is {type(found).__name__}", valid="keys and values")
