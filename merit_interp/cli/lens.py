"""`merit-interp lens`: what can be read off layers and heads, before and after merging.

    merit-interp lens --recipe r.json

This file parses, calls and prints; it must not compute a reading or a statistic.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merit_interp.cli.item_sets import item_set_of
from merit_interp.cli.mask import numbers_of
from merit_interp.cli.options import (
    BatchOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    FrameCacheOption,
    ItemsOption,
    JsonOption,
    LimitOption,
    MaxFailedOption,
    OverwriteOption,
    RecipeOption,
    ResumeOption,
    SeedOption,
    SplitOption,
    TrustOption,
    VideoTimeLimitOption,
)
from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from merit_interp.tables.lens_tables import LensFindings


def lens(
    recipe: RecipeOption,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory of results. Default: lens/ by the recipe."),
    ] = None,
    items: ItemsOption = None,
    split: SplitOption = None,
    limit: LimitOption = 64,
    layers: Annotated[
        str | None,
        typer.Option(help="Layers whose heads are compared, as 2,4-6. Default: the recipe's."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, transformer_lens or modules: what reads the models.")
    ] = "auto",
    mask_heads: Annotated[
        bool, typer.Option(help="Mask each of these heads too: a forward a head and batch.")
    ] = True,
    png: Annotated[
        bool, typer.Option(help="Draw the figures as PNG too, where Chromium is.")
    ] = True,
    seed: SeedOption = 0,
    batch_size: BatchOption = 16,
    max_failed: MaxFailedOption = 0.0,
    video_time_limit: VideoTimeLimitOption = 60.0,
    frame_cache: FrameCacheOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    device_map: DeviceMapOption = None,
    trust_remote_code: TrustOption = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Read VLM, merged model and backbone layer by layer and head by head."""
    from merit_interp.cli.answers import one_forward_scoring
    from merit_interp.cli.decoding import decoding_settings, print_decoding
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.cli.progress import sweep_progress
    from merit_interp.lens.recipe_lens import lens_recipe
    from merit_interp.lens.settings import LensSettings
    from merit_interp.models.loading import Placement
    from merit_interp.recipe import read_recipe
    from merit_interp.tables.lens_tables import lens_findings, write_lens_tables

    chosen = read_recipe(recipe)
    settings = LensSettings(
        engine=engine,
        layers=None if layers is None else numbers_of(layers, "--layers"),
        mask_heads=mask_heads,
        limit=limit,
        seed=seed,
        scoring=one_forward_scoring(chosen, "lens"),
        batch_size=batch_size,
        max_failed=max_failed,
        decoding=decoding_settings(video_time_limit, frame_cache),
    )
    item_set = item_set_of(chosen, items, split)
    run = recipe.parent / "lens" if out is None else out
    with keeps_results(run), sweep_progress("") as progress:
        lens_recipe(
            chosen,
            item_set,
            settings,
            run,
            placement=Placement(device, dtype, device_map, trust_remote_code),
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    print_decoding(run)
    findings = lens_findings(run, seed=seed)
    write_lens_tables(findings)
    print_lens(findings, png=png, as_json=json)


def print_lens(findings: LensFindings, *, png: bool, as_json: bool) -> None:
    """Draw the figures, and print the verdict in five lines and where the results are."""
    from json import dumps

    from merit_interp.report.lens import write_lens_figures
    from merit_interp.report.run_report import write_reports

    directory = findings.run.directory
    pages = write_reports(directory)
    try:
        write_lens_figures(findings, formats=("png",) if png else ())
    except SettingError as error:
        print(f"no PNG: {error}", file=sys.stderr)
    if as_json:
        value = {
            "run": str(directory),
            "verdict": findings.verdict.to_json(),
            "checks": [check.to_row() for check in findings.run.checks.values()],
            "left_out": dict(findings.run.plan.left_out),
        }
        print(dumps(value, indent=2, ensure_ascii=False))
        return
    print(findings.verdict.text)
    print(f"results {directory}")
    for page in pages:
        print(f"report  {page}")
