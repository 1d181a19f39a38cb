"""`merit-interp pair`: do a VLM and a backbone pair, and how far did each layer move?

    merit-interp pair --vlm models/vlm --backbone models/backbone --out runs/pair

This file parses, calls and prints; it must not compare a tensor.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merit_interp.cli.options import (
    BatchOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    NewTokensOption,
    OverwriteOption,
)
from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from rich.table import Table

    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.models.pairing import PairReport


def pair(
    vlm: Annotated[
        str, typer.Option("--vlm", help="The VLM: directory or hub id (owner/name[@revision]).")
    ],
    backbone: Annotated[str, typer.Option("--backbone", help="Its text backbone.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory for the tables and the figure.")
    ] = None,
    ranks: Annotated[
        bool | None,
        typer.Option(
            help="Effective ranks of the differences: seconds a large weight. Default: with --out."
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only what a study of the pair would take.")
    ] = False,
    items: Annotated[int, typer.Option(min=2, help="Estimate: items, a video each.")] = 200,
    frames: Annotated[int, typer.Option(min=1, help="Estimate: frames of a video.")] = 16,
    tokens_per_frame: Annotated[
        int, typer.Option(min=1, help="Estimate: visual tokens of a frame.")
    ] = 128,
    answers: Annotated[
        str, typer.Option(help="Estimate: what is scored: letter, option_text or generated.")
    ] = "letter",
    circular: Annotated[
        bool, typer.Option("--circular", help="Estimate: items asked in every order of options.")
    ] = False,
    options: Annotated[int, typer.Option(min=2, help="Estimate: options of an item.")] = 4,
    max_new_tokens: NewTokensOption = None,
    batch_size: BatchOption = 64,
    budget: Annotated[int, typer.Option(min=1, help="Estimate: recipes of the search.")] = 200,
    tflops: Annotated[
        float | None,
        typer.Option(help="Estimate: sustained TFLOP/s. Default: measured on --device."),
    ] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Check that a VLM and a backbone pair, and show how far each layer moved."""
    if estimate:
        from merit_interp.cli.estimate import print_estimate
        from merit_interp.estimates import Workload
        from merit_interp.models.loading import Placement
        from merit_interp.scoring_settings import Scoring, changed_scoring

        if tflops is not None and not 0.0 < tflops < math.inf:
            raise SettingError(f"tflops {tflops}", valid="a number above 0")
        scoring = changed_scoring(
            Scoring(), answers=answers, circular=circular, max_new_tokens=max_new_tokens
        )
        work = Workload(
            items, frames, tokens_per_frame, batch_size, budget,
            answers=scoring.answers, circular=scoring.circular, n_options=options,
            max_new_tokens=scoring.max_new_tokens,
        )  # fmt: skip
        placement = Placement(device=device, dtype=dtype)
        print_estimate(vlm, backbone, work, placement, tflops=tflops, as_json=json)
        return
    from json import dumps

    from rich.console import Console

    from merit_interp.models.checkpoint_files import Checkpoint
    from merit_interp.record_files import check_run_directory

    if out is not None:
        check_run_directory(out, overwrite=overwrite)
    sides = Checkpoint.open(vlm), Checkpoint.open(backbone)
    report = compared(*sides, with_ranks=out is not None if ranks is None else ranks)
    if out is not None:
        write_run(report, sides, out, overwrite=overwrite)
    if json:
        print(dumps(report.to_row(), indent=2))
        return
    console = Console()
    console.print(distance_table(report))
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    if out is not None:
        print(f"results {out}")


def compared(vlm: Checkpoint, backbone: Checkpoint, *, with_ranks: bool) -> PairReport:
    """The report of two models that pair, with a bar on a terminal while it is made."""
    from rich.console import Console
    from rich.progress import Progress

    from merit_interp.models.pairing import pair as compare
    from merit_interp.models.pairing import require_pair

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("comparing weights", total=None)
        report = compare(
            vlm,
            backbone,
            with_ranks=with_ranks,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    require_pair(report)
    return report


def write_run(
    report: PairReport, sides: tuple[Checkpoint, Checkpoint], out: Path, *, overwrite: bool
) -> None:
    """Write report, table, figure and what made them; without a browser there is no PNG."""
    from merit_interp.models.fingerprints import fingerprint
    from merit_interp.provenance import provenance
    from merit_interp.record_files import FINISHED_MARKER, open_run_directory, write_json
    from merit_interp.report.pair_distances import write_pair

    fingerprints = {
        role: fingerprint(side) for role, side in zip(("vlm", "backbone"), sides, strict=True)
    }
    run = open_run_directory(out, overwrite=overwrite)
    record = provenance(
        seed=0, device="cpu", dtype="float64", fingerprints=fingerprints, settings={}
    )
    write_json(run / "run.json", record.to_row())
    try:
        write_pair(report.to_row(), run)
    except SettingError as error:
        print(f"no PNG: {error}", file=sys.stderr)
    write_json(run / FINISHED_MARKER, {"tensors": len(report.tensors)})


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
        # a layer of some models has no keys or values of its own
        cells = (weights.get((layer, name)) for name in names)
        table.add_row(
            str(layer),
            *(f"{_number(t.relative_norm)} {_number(t.cosine)}" if t else "" for t in cells),
        )
    return table


def _number(value: float | None) -> str:
    # a minus as in the tables, which a dash for what is missing cannot be taken for
    return "–" if value is None else f"{value:z.4f}".replace("-", "−")
