"""`merit-interp attribute`: how much each frame decides the answer, before and after merging.

    merit-interp attribute --recipe r.json

This file parses, calls and prints; it must not compute an attribution or a statistic.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merit_interp.cli.item_sets import item_sets_of
from merit_interp.cli.options import (
    BatchOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    FrameCacheOption,
    ItemSetsOption,
    JsonOption,
    LimitOption,
    MaxFailedOption,
    OverwriteOption,
    RecipeOption,
    ResumeOption,
    SeedOption,
    SplitOption,
    TrustOption,
    VideoControlOption,
    VideoTimeLimitOption,
    comma_names,
)
from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from merit_interp.tables.attribution_tables import AttributionFindings


def attribute(
    recipe: RecipeOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Directory of the run's results. Default: attribute/ beside the recipe."),
    ] = None,
    items: ItemSetsOption = None,
    split: SplitOption = None,
    limit: LimitOption = 64,
    method: Annotated[
        str, typer.Option(help="ig, ig_pixels, gradient, occlusion or shapley.")
    ] = "ig",
    baseline: Annotated[
        str | None,
        typer.Option(
            help="What stands for an absent frame: black, mean, blurred or previous. Default: the "
            "first that the family does not take for padding."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option(help="log_prob, margin, chosen_log_prob or chosen_margin.")
    ] = "log_prob",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the path, or sampled orders.")
    ] = None,
    draws: Annotated[int, typer.Option(min=0, help="Sets of random layers.")] = 4,
    controls: Annotated[
        bool, typer.Option(help="Run controls, randomised weights and the other methods too.")
    ] = True,
    video_control: VideoControlOption = None,
    png: Annotated[
        bool, typer.Option(help="Draw the figures as PNG too, where Chromium is.")
    ] = True,
    batch_size: BatchOption = 64,
    max_failed: MaxFailedOption = 0.0,
    video_time_limit: VideoTimeLimitOption = 60.0,
    frame_cache: FrameCacheOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    device_map: DeviceMapOption = None,
    trust_remote_code: TrustOption = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Attribute answers to frames, in the VLM and in the merged model, and test what moved."""
    from merit_interp.attribution.progress import attribution_progress
    from merit_interp.attribution.recipe_attribution import attribute_recipe
    from merit_interp.attribution.settings import AttributionSettings
    from merit_interp.attribution.target import checked_target
    from merit_interp.benchmarks.video_controls import checked_controls
    from merit_interp.cli.answers import one_forward_scoring
    from merit_interp.cli.decoding import decoding_settings, print_decoding
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.models.loading import Placement
    from merit_interp.recipe import read_recipe
    from merit_interp.report.run_report import write_reports
    from merit_interp.tables.attribution_tables import (
        attribution_findings,
        write_attribution_tables,
    )

    chosen = read_recipe(recipe)
    settings = AttributionSettings(
        scoring=one_forward_scoring(chosen, "attribute"),
        method=method,
        baseline=baseline,
        target=checked_target(target),
        steps=steps,
        batch_size=batch_size,
        limit=limit,
        draws=draws,
        controls=controls,
        video_controls=checked_controls(comma_names(video_control)) or None,
        max_failed=max_failed,
        decoding=decoding_settings(video_time_limit, frame_cache),
        seed=seed,
        placement=Placement(device, dtype, device_map, trust_remote_code),
    ).checked()
    sets = item_sets_of(chosen, items, split)
    run = recipe.parent / "attribute" if out is None else out
    with keeps_results(run), attribution_progress() as watch:
        attribute_recipe(
            chosen, sets, settings, run, resume=resume, overwrite=overwrite, watch=watch
        )
    print_decoding(run)
    findings = attribution_findings(run, seed=seed)
    write_attribution_tables(findings)
    pages = write_reports(run)
    draw_figures(findings, png=png)
    print_attribution(findings, pages, as_json=json)


def draw_figures(findings: AttributionFindings, *, png: bool) -> None:
    """Write the figures; where there is no browser for PNG, say so and go on."""
    from merit_interp.report.attribution import write_attribution_figures

    for item_set in findings.item_sets:
        try:
            write_attribution_figures(findings, item_set, png=png)
        except SettingError as error:
            print(f"no PNG: {error}", file=sys.stderr)
            png = False


def print_attribution(
    findings: AttributionFindings, pages: Sequence[Path], *, as_json: bool
) -> None:
    """Three lines an item set, and where the results are."""
    if as_json:
        print(findings.shift.to_json(orient="records", indent=2))
        return
    for name in findings.item_sets:
        n_items = findings.frame.loc[findings.frame["item_set"] == name, "item"].nunique()
        print(f"{name}, {n_items} items, {findings.run.method}:")
        for line in findings.lines(name):
            print(f"  {line}")
    print(f"results {findings.run.directory}")
    for page in pages:
        print(f"report  {page}")
