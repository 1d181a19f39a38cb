"""`merit-interp evaluate`: the merged model against the VLM and the baselines.

    merit-interp evaluate --recipe r.json --items longer=items/longer/items.jsonl --out RUN

This file parses, calls and prints; it must not compute a score or a statistic.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from merit_interp.cli.item_sets import item_sets_of
from merit_interp.cli.merge_options import BaseOption
from merit_interp.cli.options import (
    AnswersOption,
    BatchOption,
    CircularOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    FrameCacheOption,
    ItemSetsOption,
    JsonOption,
    LimitOption,
    MaxFailedOption,
    NewTokensOption,
    OverwriteOption,
    RecipeOption,
    ResumeOption,
    RunOption,
    SeedOption,
    SplitOption,
    TrustOption,
    VideoControlOption,
    VideoTimeLimitOption,
    comma_names,
)


def evaluate(
    recipe: RecipeOption,
    out: RunOption,
    items: ItemSetsOption = None,
    split: SplitOption = None,
    draws: Annotated[int, typer.Option(min=0, help="Sets of random layers.")] = 20,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="Further baselines, with commas: slerp, layer_swap, attention (a schedule); "
            "with a base also task_arithmetic, ties, dare_linear, dare_ties."
        ),
    ] = None,
    base: BaseOption = None,
    video_control: VideoControlOption = None,
    answers: AnswersOption = None,
    circular: CircularOption = None,
    max_new_tokens: NewTokensOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    batch_size: BatchOption = 64,
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
    """Score merged model, VLM and baselines per skill, with intervals clustered by video."""
    from merit_interp.benchmarks.video_controls import check_evidence, checked_controls
    from merit_interp.cli.answers import asked_scoring, print_answers
    from merit_interp.cli.decoding import decoding_settings, print_decoding
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.cli.progress import blocks_progress
    from merit_interp.cli.tables import print_skills
    from merit_interp.merging.baselines import check_methods
    from merit_interp.merging.recipe_evaluation import EvaluationSettings, evaluate_recipe
    from merit_interp.models.loading import Placement
    from merit_interp.recipe import read_recipe
    from merit_interp.record_files import open_run_directory
    from merit_interp.tables.run_tables import write_tables

    chosen = read_recipe(recipe)
    settings = EvaluationSettings(
        scoring=asked_scoring(
            chosen, answers=answers, circular=circular, max_new_tokens=max_new_tokens
        ),
        draws=draws,
        methods=comma_names(baseline),
        base=base,
        video_controls=checked_controls(comma_names(video_control)),
        seed=seed,
        batch_size=batch_size,
        max_failed=max_failed,
        decoding=decoding_settings(video_time_limit, frame_cache),
        limit=limit,
        placement=Placement(device, dtype, device_map, trust_remote_code),
    )
    check_methods(settings.methods, has_base=bool(base or chosen.base))
    sets = item_sets_of(chosen, items, split)
    check_evidence(settings.video_controls, (i for s in sets.values() for i in s.read()[1]))
    run = open_run_directory(out, resume=resume, overwrite=overwrite)
    with keeps_results(out), blocks_progress() as progress:
        evaluate_recipe(chosen, sets, settings, run, progress=progress, left_out=_say)
    print_decoding(run)
    write_tables(run)
    print_skills(run, as_json=json)
    if not json:
        print_answers(run)


def _say(line: str) -> None:
    # beside the results, which may be JSON
    print(line, file=sys.stderr)
