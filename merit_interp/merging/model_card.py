"""The model card of a merged checkpoint.

    text = model_card(recipe, "merged")

This file must not know the checkpoints beyond what the recipe says of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from merit_interp.merging.methods import merge_method
from merit_interp.recipe import Coefficient, ModelReference, Recipe


def model_card(recipe: Recipe, name: str, *, scoring: Sequence[str] = ()) -> str:
    """Markdown with the hub's header: what was merged, how much, and how to load it.

    Args:
        recipe: The recipe that was applied.
        name: The directory's name.
        scoring: Lines on how to score it, like `lmms_eval.lmms_eval_section`.
    """
    return "\n".join([*_header(recipe), "", *_body(recipe, name, scoring), ""])


def _header(recipe: Recipe) -> list[str]:
    # the hub takes only hub ids here; a directory's name means nothing to others
    models = [r.source for r in _models(recipe).values() if not _is_directory(r)]
    bases = ["base_model:", *(f"- {source}" for source in models)] if models else []
    return [
        "---",
        "library_name: transformers",
        "pipeline_tag: video-text-to-text",
        *bases,
        "base_model_relation: merge",
        "tags:",
        "- merge",
        "- merit-interp",
        "---",
    ]


def _body(recipe: Recipe, name: str, scoring: Sequence[str]) -> list[str]:
    what = {
        "self_attention": f"self-attention ({', '.join(recipe.projections)})",
        "text": "all weights of the layer",
        "pattern": f"weights whose name matches `{recipe.pattern}`",
    }[recipe.weights]
    rows = [f"| {layer} | {_written(c)} |" for layer, c in recipe.layers.items()]
    table = ["| Text layer | Share of the backbone |", "| --- | --- |", *rows]
    return [
        f"# {name}",
        "",
        "A video-language model with layers of its text-only backbone merged back in by "
        "merit-interp; no training. The method is described in MERIT (arXiv 2604.11399).",
        "",
        *(f"- {role}: {_named(model)}" for role, model in _models(recipe).items()),
        f"- Method: {_method(recipe)}, on {what}",
        "- Everything that the table does not list is the VLM's own; `recipe.json` has the whole "
        "recipe.",
        "",
        *(table if rows else ["The recipe is the identity: this is the VLM unchanged."]),
        "",
        "```python",
        "from transformers import AutoModelForImageTextToText, AutoProcessor",
        "",
        f'model = AutoModelForImageTextToText.from_pretrained("{name}")',
        f'processor = AutoProcessor.from_pretrained("{name}")',
        "```",
        "",
        *([*scoring, ""] if scoring else []),
        "The licences of both models apply.",
    ]


def _models(recipe: Recipe) -> dict[str, ModelReference]:
    base = {} if recipe.base is None else {"Base": recipe.base}
    return {"VLM": recipe.vlm, "Backbone": recipe.backbone, **base}


def _method(recipe: Recipe) -> str:
    if recipe.method == "linear":
        return "linear, W = W_vlm + a (W_backbone - W_vlm)"
    settings = ", ".join(f"{name} {value}" for name, value in recipe.settings.items())
    name = f"{recipe.method} ({settings})" if settings else recipe.method
    return f"{name} ({merge_method(recipe.method).source})"


def _named(model: ModelReference) -> str:
    # where a directory lay on this machine is nobody's business
    name = Path(model.source).name if _is_directory(model) else model.source
    revision = f" at {model.revision}" if model.revision else ""
    return f"`{name}`{revision}, {model.fingerprint}"


def _is_directory(model: ModelReference) -> bool:
    return Path(model.source).exists()


def _written(coefficient: Coefficient) -> str:
    if isinstance(coefficient, Mapping):
        return ", ".join(f"{projection} {share:g}" for projection, share in coefficient.items())
    return f"{coefficient:g}"
