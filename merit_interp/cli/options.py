"""Options that several verbs share, each defined once.

    def mask(recipe: RecipeOption, device: DeviceOption = "cpu") -> None: ...

This file must not import anything that loads torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeOption = Annotated[
    Path, typer.Option("--recipe", help="recipe.json as `merit-interp search` writes it.")
]
RunOption = Annotated[Path, typer.Option("--out", help="Directory of the run's results.")]
ItemSetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--items",
        help="items.jsonl, or NAME=items.jsonl; may be given several times. "
        "Default: the recipe's own items.",
    ),
]
ItemsOption = Annotated[
    str | None, typer.Option("--items", help="items.jsonl. Default: the recipe's own items.")
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        help="Which videos: all, search, validation or held_out, as the recipe's search split "
        "them. Default: validation; all of --items."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Torch device: cpu, cuda, cuda:1, ...")]
DtypeOption = Annotated[str, typer.Option(help="Weights' type: float32, bfloat16 or float16.")]
DeviceMapOption = Annotated[
    str | None,
    typer.Option(
        help="Spread a model over the devices: auto, balanced, balanced_low_0, sequential."
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with a checkpoint.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ResumeOption = Annotated[bool, typer.Option(help="Go on with an interrupted run.")]
OverwriteOption = Annotated[bool, typer.Option(help="Delete the earlier run in --out first.")]
SeedOption = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
BatchOption = Annotated[
    int, typer.Option("--batch-size", "--batch", min=1, help="Most rows in one forward pass.")
]
MaxFailedOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Share of items that may fail to decode.")
]
AnswersOption = Annotated[
    str | None,
    typer.Option(
        help="What is scored: letter (of the option, in a list), option_text, or generated "
        "(evaluate only: what the model says is read). Default: letter, or the recipe's."
    ),
]
CircularOption = Annotated[
    bool | None,
    typer.Option(
        "--circular/--no-circular", help="Ask each item with its options in every cyclic order."
    ),
]
NewTokensOption = Annotated[
    int | None, typer.Option(min=1, help="Most tokens of a generated answer. Default: 16.")
]
VideoControlOption = Annotated[
    list[str] | None,
    typer.Option(
        "--video-control",
        help="What is shown in place of each video too, with commas: black, shuffled, reversed, "
        "single_frame, evidence_only, evidence_removed.",
    ),
]
VideoTimeLimitOption = Annotated[
    float, typer.Option(help="Seconds that one video may take to decode; then it has failed.")
]
FrameCacheOption = Annotated[
    str | None,
    typer.Option(
        help="Directory that keeps decoded frames, up to 4 GiB or MERIT_INTERP_CACHE_GIB, or "
        "`off`. Default: merit-interp/frames in the user's cache directory."
    ),
]
SamplingOption = Annotated[
    str | None,
    typer.Option(
        help="Frames taken: uniform, segments (MVBench's mid-points), or fps (a rate, see --fps). "
        "Default: uniform, or fps where --fps is given."
    ),
]
FpsOption = Annotated[
    float | None, typer.Option(help="Frames taken per second, at most --max-frames.")
]
MaxSideOption = Annotated[
    int | None, typer.Option(min=1, help="Longest side of a decoded frame, in pixels.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Most items of each set, drawn with --seed.")
]


def comma_names(given: list[str] | None) -> tuple[str, ...]:
    """Names of an option that may be given several times, each time with commas; once each."""
    names = (name.strip() for text in given or () for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
