"""The recipe: which layers of the backbone go back into the VLM, and how much of each.

    recipe = read_recipe(Path("r.json"))
    recipe.coefficient(layer=4, projection="q")    # 0.0 where the layer stays the VLM's

The recipe is the one value that every stage after the search takes. It names its models and its
items, so that a command needs nothing else. This file must not know how a recipe is found, applied
or scored, and loads no torch.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from merit_interp.errors import RecipeError
from merit_interp.record_files import write_whole
from merit_interp.scoring_settings import Scoring as Scoring

FORMAT = "merit-interp/recipe"
VERSION = 1
PROJECTIONS = ("q", "k", "v", "o")

Coefficient = float | Mapping[str, float]
"""A layer's share of the backbone in [0, 1]: one number, or one for each projection."""

Setting = bool | int | float
"""A value of a merge method's setting."""

_WRITTEN_IF_SET = ("base", "settings", "pattern")
"""Fields that came after version 1's first recipes: an unset one is in neither file nor hash."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class ModelReference(_Frozen):
    """Where a model is, and what its weights were when the recipe was made."""

    source: str
    """Directory (relative to the recipe's file, or absolute) or hub id."""
    revision: str | None = None
    """Hub revision; null for a directory."""
    fingerprint: str
    """`sha256:...` over config and weights (`models.fingerprints`)."""


class ItemsReference(_Frozen):
    """The items that a recipe was found on."""

    source: str
    """items.jsonl, relative to the recipe's file, or absolute."""
    sha256: str
    """Digest of the items file's bytes."""
    split: Literal["all", "search", "validation"] = "all"
    """Which part of the file the search saw; the parts never share a video."""
    scoring: Scoring = Scoring()
    """How these items were scored."""
    split_hash: str | None = None
    """Which items, on which videos, are in which part (`benchmarks.splits`); null where the file
    was not split."""

    @model_serializer(mode="wrap")
    def _hash_if_split(self, written: Callable[[ItemsReference], dict[str, Any]]) -> dict[str, Any]:
        # recipes from before splits were recorded keep their bytes
        return {k: v for k, v in written(self).items() if v is not None or k != "split_hash"}


class Recipe(_Frozen):
    """A layer-selective merge: `W = W_vlm + a * (W_backbone - W_vlm)` for each listed layer.

    That is method `linear`; `merging.methods` has the others.

    Source: MERIT (arXiv 2604.11399); with `weights="text"` the whole-layer averaging of "Bring
    Reason to Vision" (arXiv 2505.05464).
    """

    vlm: ModelReference
    backbone: ModelReference
    base: ModelReference | None = None
    """The model that both were made from, for a method that merges task vectors."""
    method: str = "linear"
    """Name of a merge method (`merging.methods`)."""
    settings: Mapping[str, StrictBool | StrictInt | StrictFloat] = Field(default_factory=dict)
    """The method's settings, like `density`; one that is left out has the method's default."""
    weights: Literal["self_attention", "text", "pattern"] = "self_attention"
    """What of a layer is merged: its self-attention projections, all of its weights, or those
    whose name within the layer `pattern` matches."""
    pattern: str | None = None
    r"""Regular expression on a tensor's whole name within its layer, like `mlp\..*`."""
    projections: tuple[str, ...] = PROJECTIONS
    """Which self-attention projections are merged, in the order q, k, v, o."""
    layers: Mapping[int, Coefficient] = Field(default_factory=dict)
    """Coefficient in (0, 1] of each merged text layer; a layer not listed stays the VLM's."""
    items: ItemsReference | None = None
    search: Mapping[str, Any] = Field(default_factory=dict)
    """How the recipe was found: sampler, seed, budget, penalty, scores, versions."""

    @field_validator("projections")
    @classmethod
    def _known_projections(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(PROJECTIONS):
            raise ValueError(f"projections are a choice of {', '.join(PROJECTIONS)}")
        return tuple(p for p in PROJECTIONS if p in value)

    @field_validator("settings")
    @classmethod
    def _finite_settings(cls, value: Mapping[str, Setting]) -> Mapping[str, Setting]:
        for name, setting in value.items():
            if not math.isfinite(setting):
                raise ValueError(f"setting {name} is {setting}")
        return MappingProxyType(dict(sorted(value.items())))

    @field_validator("pattern")
    @classmethod
    def _whole_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _pattern_or_not(self) -> Recipe:
        if (self.weights == "pattern") != bool(self.pattern):
            raise ValueError('"weights": "pattern" and a "pattern" go together')
        return self

    @model_validator(mode="after")
    def _canonical_layers(self) -> Recipe:
        layers: dict[int, Coefficient] = {}
        for layer in sorted(self.layers):
            if layer < 0:
                raise ValueError(f"layer {layer} is negative")
            coefficient = self._canonical(layer, self.layers[layer])
            if coefficient != 0.0:
                layers[layer] = coefficient
        object.__setattr__(self, "layers", MappingProxyType(layers))
        object.__setattr__(self, "search", MappingProxyType(dict(self.search)))
        return self

    def _canonical(self, layer: int, coefficient: Coefficient) -> Coefficient:
        """Zeros dropped, equal projections folded into one number: equal merges, equal bytes."""
        if not isinstance(coefficient, Mapping):
            _check_share(layer, coefficient)
            return float(coefficient)
        unknown = set(coefficient) - set(self.projections)
        if unknown:
            raise ValueError(
                f"layer {layer} names projection {min(unknown)!r}, which is not in the recipe's "
                f"projections {', '.join(self.projections)}"
            )
        for share in coefficient.values():
            _check_share(layer, share)
        shares = {p: float(coefficient.get(p, 0.0)) for p in self.projections}
        if len(set(shares.values())) == 1:
            return next(iter(shares.values()))
        return MappingProxyType({p: share for p, share in shares.items() if share})

    @model_serializer(mode="wrap")
    def _set_fields_only(self, written: Callable[[Recipe], dict[str, Any]]) -> dict[str, Any]:
        fields = written(self)
        return {k: v for k, v in fields.items() if v or k not in _WRITTEN_IF_SET}

    @field_serializer("settings")
    def _settings_as_json(self, settings: Mapping[str, Setting]) -> dict[str, Setting]:
        return dict(settings)

    @field_serializer("layers")
    def _layers_as_json(self, layers: Mapping[int, Coefficient]) -> dict[str, Any]:
        return {str(layer): dict(c) if isinstance(c, Mapping) else c for layer, c in layers.items()}

    @field_serializer("search")
    def _search_as_json(self, search: Mapping[str, Any]) -> dict[str, Any]:
        return dict(search)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def coefficient(self, layer: int, projection: str) -> float:
        """Share of the backbone in one projection of one layer, in [0, 1]."""
        if projection not in self.projections:
            return 0.0
        coefficient = self.layers.get(layer, 0.0)
        if isinstance(coefficient, Mapping):
            return float(coefficient.get(projection, 0.0))
        return float(coefficient)

    def layer_coefficient(self, layer: int) -> float:
        """Mean share over the recipe's projections of one layer, in [0, 1]."""
        return sum(self.coefficient(layer, p) for p in self.projections) / len(self.projections)

    @property
    def is_identity(self) -> bool:
        """Whether the merged model is the VLM itself."""
        return not self.layers

    @property
    def merge_hash(self) -> str:
        """Hash of what is merged: models, method and coefficients, not how they were found.

        Two recipes with one merge hash give the same weights; the ledger of a search is keyed
        by it. Sixteen hexadecimal digits.
        """
        merge = self.model_dump(mode="json", exclude={"items", "search"})
        for side in ("vlm", "backbone", "base"):
            if side in merge:
                merge[side] = merge[side]["fingerprint"]
        return hashlib.sha256(_canonical_json(merge).encode()).hexdigest()[:16]

    def with_layers(self, layers: Mapping[int, Coefficient]) -> Recipe:
        """The same recipe with other coefficients."""
        return Recipe.model_validate({**self._fields(), "layers": layers})

    def replaced(self, **fields: Any) -> Recipe:
        """The same recipe with other fields, checked again."""
        return Recipe.model_validate({**self._fields(), **fields})

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields}

    def _repr_html_(self) -> str:
        """Layers and shares as a small table, for a notebook."""
        vlm, backbone = (_end_of_path(model.source) for model in (self.vlm, self.backbone))
        models = html.escape(f"{self.method} of {vlm} and {backbone}")
        what = html.escape(self.pattern or self.weights.replace("_", " "))
        lead = f"<p><b>Recipe</b> <code>{self.merge_hash}</code>: {models}, {what}</p>"
        if self.is_identity:
            return f"{lead}<p>No layer is merged: it is the VLM itself.</p>"
        apart = any(isinstance(share, Mapping) for share in self.layers.values())
        columns = self.projections if apart else ("share of the backbone",)
        rows = (
            (str(layer), *(f"{self.coefficient(layer, p):.3f}" for p in self.projections))
            if apart
            else (str(layer), f"{self.layer_coefficient(layer):.3f}")
            for layer in self.layers
        )
        return lead + _html_table(("layer", *columns), rows)

    def to_json(self) -> str:
        """The recipe's file content; equal recipes give equal text."""
        body = {"format": FORMAT, "version": VERSION, **self.model_dump(mode="json")}
        body["search"] = json.loads(json.dumps(body["search"], sort_keys=True))
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _end_of_path(source: str) -> str:
    return "/".join(Path(source).parts[-2:]) if Path(source).is_absolute() else source


def _html_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _check_share(layer: int, share: float) -> None:
    # written so that NaN fails too
    if not 0.0 <= float(share) <= 1.0:
        raise ValueError(f"layer {layer} has coefficient {share}, outside [0, 1]")


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def parse_recipe(text: str, *, name: str) -> Recipe:
    """A recipe from the text of its file.

    Args:
        text: JSON as in DESIGN.md, "Formats".
        name: What to call the text in an error.

    Raises:
        RecipeError: The text is no JSON, of another format, or a field is unknown or wrong.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecipeError(
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}",
            valid="a whole recipe.json as `merit-interp search` writes it",
        ) from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise RecipeError(f"{name} is not a recipe", valid=f'an object with "format": "{FORMAT}"')
    if body.get("version") != VERSION:
        raise RecipeError(
            f"{name} has recipe version {body.get('version')!r}", valid=f"version {VERSION}"
        )
    fields = {key: value for key, value in body.items() if key not in ("format", "version")}
    return made_recipe(name, **fields)


def made_recipe(name: str, **fields: Any) -> Recipe:
    """A recipe from its fields, whoever gave them.

    Args:
        name: What to call the recipe in an error.
        fields: Fields of `Recipe`.

    Raises:
        RecipeError: A field is unknown or wrong.
    """
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise RecipeError(f"{name}: {_first_fault(error)}", valid=_valid_fields(error)) from None


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    message = re.sub(r"^Value error, ", "", fault["msg"])
    return f"field {where}: {message}" if where else message


def _valid_fields(error: ValidationError) -> str | None:
    if error.errors()[0]["type"] != "extra_forbidden":
        return None
    return "fields " + ", ".join(("format", "version", *Recipe.model_fields))


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; its relative sources come back resolved against the file's directory.

    Raises:
        RecipeError: The file is missing or is not a whole, valid recipe.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(
            f"no recipe at {path}", valid="a recipe.json written by `merit-interp search`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise RecipeError(
            f"cannot read recipe {path}: {reason}",
            valid="a recipe.json written by `merit-interp search`",
        ) from None
    recipe = parse_recipe(text, name=str(path))
    return _with_sources(recipe, lambda source: resolve_source(source, Path(path).parent))


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe whole or not at all; sources below its directory are written relative."""
    base = Path(path).parent.resolve()
    located = _with_sources(recipe, lambda source: _relative_below(source, base))
    write_whole(Path(path), located.to_json().encode())


def resolve_source(source: str, base: Path) -> str:
    """A recipe's source as an absolute path where it exists below `base`, else unchanged.

    What exists nowhere on disk is left alone: it is a hub id.
    """
    candidate = Path(source) if Path(source).is_absolute() else base / source
    return str(candidate.resolve()) if candidate.exists() else source


def _relative_below(source: str, base: Path) -> str:
    path = Path(source)
    if not path.exists():
        return source
    absolute = path.resolve()
    if absolute.is_relative_to(base):
        return os.path.relpath(absolute, base)
    return str(absolute)


def _with_sources(recipe: Recipe, relocate: Any) -> Recipe:
    changes: dict[str, Any] = {}
    for name in ("vlm", "backbone", "base", "items"):
        reference = getattr(recipe, name)
        if reference is not None:
            changes[name] = reference.model_copy(update={"source": relocate(reference.source)})
    return recipe.replaced(**changes)
