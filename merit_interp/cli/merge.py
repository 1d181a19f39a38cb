"""`merit-interp merge`: write the merged model of a recipe as a checkpoint directory.

    merit-interp merge --recipe r.json --out merged

This file parses, calls and prints; it must not touch a tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merit_interp.cli.options import JsonOption, RecipeOption


def merge(
    recipe: RecipeOption,
    out: Annotated[Path, typer.Option("--out", help="Checkpoint directory to write; new.")],
    json: JsonOption = False,
) -> None:
    """Write the merged model as a checkpoint directory that transformers loads."""
    from json import dumps

    from merit_interp.merging.export import write_merged
    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.recipe import read_recipe

    chosen = read_recipe(recipe)
    vlm = Checkpoint.open(chosen.vlm.source, revision=chosen.vlm.revision)
    backbone = Checkpoint.open(chosen.backbone.source, revision=chosen.backbone.revision)
    write_merged(chosen, out, vlm=vlm, backbone=backbone)
    if json:
        print(dumps({"out": str(out), "layers": len(chosen.layers), "merge": chosen.merge_hash}))
    else:
        print(f"merged model with {len(chosen.layers)} layers changed: {out}")
