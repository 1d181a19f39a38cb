"""`merit-interp demo`: the whole study on the embedded pair, ending with a report.

    merit-interp demo --out runs/demo

This file parses, calls and prints; the study itself is `microworld.study`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from merit_interp.cli.options import (
    DeviceOption,
    DtypeOption,
    JsonOption,
    OverwriteOption,
    ResumeOption,
    SeedOption,
)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Directory of the study.")] = Path("runs/demo"),
    sampler: Annotated[str, typer.Option(help="Who proposes recipes.")] = "cmaes",
    budget: Annotated[int, typer.Option(min=1, help="Different recipes to try.")] = 200,
    draws: Annotated[int, typer.Option(min=0, help="Sets of random layers.")] = 20,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Search, merge and evaluate on the embedded pair; write a report of it."""
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.cli.progress import blocks_progress
    from merit_interp.cli.tables import print_skills
    from merit_interp.microworld.study import StudySettings, run_study
    from merit_interp.models.loading import Placement
    from merit_interp.report.run_report import write_report
    from merit_interp.search.progress import search_progress
    from merit_interp.search.settings import SearchSettings
    from merit_interp.tables.run_tables import write_tables

    settings = StudySettings(
        search=SearchSettings(sampler=sampler, budget=budget, seed=seed),
        draws=draws,
        placement=Placement(device=device, dtype=dtype),
    )
    with keeps_results(out):
        found = run_study(
            out, settings, resume=resume, overwrite=overwrite,
            searching=search_progress, scoring=blocks_progress,
        )  # fmt: skip
    write_tables(out)
    report = write_report(out)
    print_skills(out, as_json=json)
    if not json:
        shares = ", ".join(
            f"layer {layer}: {share}" for layer, share in found.recipe.layers.items()
        )
        print(f"recipe  {out / 'recipe.json'} ({shares or 'merges nothing'})")
        print(f"report  {report}")
