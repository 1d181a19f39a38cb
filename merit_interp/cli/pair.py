"""`merit-interp pair`: do a VLM and a backbone pair, and how far did each layer move?

    merit-interp pair --vlm models/vlm --backbone models/backbone

This file parses, calls and prints; it must not compare a tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from merit_interp.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from merit_interp.models.pairing import PairReport


def pair(
    vlm: Annotated[str, typer.Option("--vlm", help="The VLM: directory or hub id.")],
    backbone: Annotated[str, typer.Option("--backbone", help="Its text backbone.")],
    json: JsonOption = False,
) -> None:
    """Check that a VLM and a backbone pair, and show how far each layer moved."""
    from json import dumps

    from rich.console import Console

    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.models.pairing import pair as compare
    from merit_interp.models.pairing import require_pair

    report = compare(Checkpoint.open(vlm), Checkpoint.open(backbone))
    require_pair(report)
    if json:
        print(dumps(report.to_row(), indent=2))
        return
    console = Console()
    console.print(distance_table(report))
    for note in report.notes:
        console.print(f"note: {note}", markup=False)


def distance_table(report: PairReport) -> Table:
    """Relative distance and cosine of every weight, one row a layer."""
    from rich.table import Table
    from rich.text import Text

    weights = {(t.layer, t.tensor): t for t in report.tensors if t.tensor.endswith(".weight")}
    names = list(dict.fromkeys(name for _, name in weights))
    table = Table(
        title=Text(f"{report.vlm} and {report.backbone} pair: {report.n_layers} text layers"),
        caption="|backbone - VLM| / |VLM| and cosine of every weight; biases with --json",
    )
    table.add_column("layer", justify="right")
    for name in names:
        shapes = {str(t.vlm_shape) for (_, n), t in weights.items() if n == name}
        table.add_column(f"{name.removesuffix('.weight')}\n{' '.join(sorted(shapes))}")
    for layer in range(report.n_layers):
        cells = (weights[layer, name] for name in names)
        table.add_row(
            str(layer), *(f"{_number(t.relative_norm)} {_number(t.cosine)}" for t in cells)
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
