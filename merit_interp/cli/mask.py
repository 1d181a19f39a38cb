"""`merit-interp mask`: which layers' self-attention reasoning and perception need.

    merit-interp mask --recipe r.json --mode mean --tokens visual

This file parses, calls and prints; it must not compute an effect or a statistic.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from merit_interp.cli.item_sets import item_set_of
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

ModeOption = Annotated[str, typer.Option(help="zero, mean, resample, revert or swap.")]
TokensOption = Annotated[str, typer.Option(help="all, visual, text or last.")]
LayersOption = Annotated[
    str | None,
    typer.Option(help="Layers to hold against the others, as 2,4-6. Default: the recipe's."),
]
HeadsOption = Annotated[
    str | None,
    typer.Option(help="Only these heads of each masked layer, as 0,2; or `each`, one by one too."),
]
DrawsOption = Annotated[
    int, typer.Option(min=0, help="Sets of as many layers; all of them if there are no more.")
]
ReferenceOption = Annotated[
    Path | None, typer.Option(help="items.jsonl that --mode mean averages over.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Directory of results. Default: mask/ by the recipe.")
]
EACH = "each"


def mask(
    recipe: RecipeOption,
    items: ItemsOption = None,
    split: SplitOption = None,
    mode: ModeOption = "zero",
    tokens: TokensOption = "all",
    layers: LayersOption = None,
    heads: HeadsOption = None,
    draws: DrawsOption = 200,
    reference: ReferenceOption = None,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    batch_size: BatchOption = 64,
    max_failed: MaxFailedOption = 0.0,
    video_time_limit: VideoTimeLimitOption = 60.0,
    frame_cache: FrameCacheOption = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    device_map: DeviceMapOption = None,
    trust_remote_code: TrustOption = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Mask self-attention layer by layer and say whether the recipe's layers are special."""
    from merit_interp.cli.answers import one_forward_scoring
    from merit_interp.cli.decoding import decoding_settings, print_decoding
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.cli.masking import print_findings
    from merit_interp.cli.progress import sweep_progress
    from merit_interp.masking.recipe_masking import mask_recipe
    from merit_interp.masking.settings import MaskSettings
    from merit_interp.merging.item_sets import ItemSet
    from merit_interp.models.loading import Placement
    from merit_interp.recipe import read_recipe
    from merit_interp.tables.masking_tables import masking_findings, write_masking_tables

    chosen = read_recipe(recipe)
    settings = MaskSettings(
        mode=mode,
        tokens=tokens,
        layers=None if layers is None else numbers_of(layers, "--layers"),
        heads=() if heads in (None, EACH) else numbers_of(str(heads), "--heads"),
        each_head=heads == EACH,
        draws=draws,
        seed=seed,
        scoring=one_forward_scoring(chosen, "mask"),
        batch_size=batch_size,
        max_failed=max_failed,
        decoding=decoding_settings(video_time_limit, frame_cache),
        limit=limit,
    )
    item_set = item_set_of(chosen, items, split)
    run = recipe.parent / "mask" if out is None else out
    with keeps_results(run), sweep_progress() as progress:
        mask_recipe(
            chosen,
            item_set,
            settings,
            run,
            placement=Placement(device, dtype, device_map, trust_remote_code),
            reference=None if reference is None else ItemSet(reference),
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    print_decoding(run)
    findings = masking_findings(run, seed=seed)
    write_masking_tables(findings)
    print_findings(findings, as_json=json)


def numbers_of(text: str, option: str) -> tuple[int, ...]:
    """The numbers of a list as a user writes it: `2,4-6` is 2, 4, 5, 6.

    Raises:
        SettingError: It is no such list.
    """
    numbers: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise SettingError(f"{option} {text!r} is no list of numbers", valid="2,4-6")
        numbers += range(first, last + 1)
    return tuple(dict.fromkeys(numbers))
