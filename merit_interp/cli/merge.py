"""`merit-interp merge`: write the merged model of a recipe as a checkpoint directory.

    merit-interp merge --recipe r.json --out merged

This file parses, calls and prints; it must not touch a tensor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
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
    with bytes_progress() as progress:
        write_merged(chosen, out, vlm=vlm, backbone=backbone, progress=progress)
    count = len(chosen.layers)
    if json:
        print(dumps({"out": str(out), "layers": count, "merge_hash": chosen.merge_hash}))
    else:
        print(f"{out}: {count} text layers merged")


@contextlib.contextmanager
def bytes_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar of bytes written on a terminal, silence elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("writing weights"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    silent = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
