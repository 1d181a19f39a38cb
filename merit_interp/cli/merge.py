"""`merit-interp merge`: write a merged model as a checkpoint directory.

    merit-interp merge --recipe r.json --out merged
    merit-interp merge --vlm V --backbone B --base O --method ties --coefficient 0.5 --out merged
    merit-interp merge --from-mergekit config.yml --out merged
    merit-interp merge --vlm V --backbone B --schedule attention --items items.jsonl --out merged

This file parses, calls and prints; it must not touch a tensor.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from merit_interp.cli.mask import numbers_of
from merit_interp.cli.merge_options import BaseOption, MethodOption, SetOption, settings_of
from merit_interp.cli.options import (
    DeviceOption,
    DtypeOption,
    FpsOption,
    JsonOption,
    MaxSideOption,
    SamplingOption,
)
from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from merit_interp.recipe import Recipe


SCORING = ("answers", "max-frames", "sampling", "fps", "max-side")
"""Options on how a schedule's items are shown and asked."""


def merge(
    out: Annotated[Path, typer.Option("--out", help="Checkpoint directory to write; new.")],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="recipe.json; or say what to merge, as below.")
    ] = None,
    from_mergekit: Annotated[
        Path | None, typer.Option(help="A mergekit YAML file that says what to merge.")
    ] = None,
    to_mergekit: Annotated[
        Path | None, typer.Option(help="Write what is merged as mergekit's YAML too.")
    ] = None,
    vlm: Annotated[str | None, typer.Option("--vlm", help="The VLM: directory or hub id.")] = None,
    backbone: Annotated[str | None, typer.Option("--backbone", help="Its text backbone.")] = None,
    base: BaseOption = None,
    method: MethodOption = None,
    coefficient: Annotated[
        float | None, typer.Option(help="Share of the backbone, from 0 to 1.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Text layers to merge, as 2,4-6. Default: all.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="self_attention (the default), text, or pattern.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help=r"With --weights pattern: names within a layer, as 'mlp\..*'."),
    ] = None,
    projections: Annotated[
        str | None, typer.Option(help="Projections of self-attention, as q,k. Default: all four.")
    ] = None,
    settings: SetOption = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="attention: the less a layer attends to the video, the more of the backbone, at "
            "most --coefficient."
        ),
    ] = None,
    items: Annotated[
        Path | None, typer.Option("--items", help="items.jsonl that --schedule measures on.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="With --schedule: most frames of a video.")
    ] = None,
    sampling: SamplingOption = None,
    fps: FpsOption = None,
    max_side: MaxSideOption = None,
    answers: Annotated[
        str | None,
        typer.Option(help="With --schedule: how items are asked, letter or option_text."),
    ] = None,
    lmms_eval: Annotated[
        str | None,
        typer.Option(
            help="Benchmarks, with commas (video_mme,mvbench): the README says the lmms-eval "
            "command that scores the checkpoint on them."
        ),
    ] = None,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    json: JsonOption = False,
) -> None:
    """Write a merged model as a checkpoint directory that transformers loads."""
    from json import dumps

    from merit_interp.merging.export import write_merged
    from merit_interp.merging.lmms_eval import lmms_eval_tasks
    from merit_interp.models.checkpoint_files import opened
    from merit_interp.record_files import write_whole

    options = {
        "from-mergekit": from_mergekit,
        "vlm": vlm, "backbone": backbone, "base": base, "method": method, "layers": layers,
        "coefficient": coefficient, "weights": weights, "pattern": pattern,
        "projections": projections, "set": settings or None, "seed": seed,
        "schedule": schedule, "items": items, "max-frames": max_frames,
        "sampling": sampling, "fps": fps, "max-side": max_side,
        "answers": answers,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    tasks = () if lmms_eval is None else lmms_eval_tasks(lmms_eval)
    chosen = _chosen(recipe, given, device, dtype)
    yaml = None
    if to_mergekit is not None:
        from merit_interp.merging.mergekit_config import mergekit_from_recipe

        yaml = mergekit_from_recipe(chosen, opened(chosen.vlm)).encode()
    with _ends_on_sigterm(), bytes_progress() as progress:
        write_merged(
            chosen,
            out,
            vlm=opened(chosen.vlm),
            backbone=opened(chosen.backbone),
            base=opened(chosen.base) if chosen.base else None,
            lmms_eval=tasks,
            progress=progress,
        )
    if to_mergekit is not None and yaml is not None:
        # a merge that is refused does not cost an earlier file
        write_whole(to_mergekit, yaml)
    count = len(chosen.layers)
    if json:
        print(dumps({"out": str(out), "layers": count, "merge_hash": chosen.merge_hash}))
    else:
        print(f"{out}: {count} text layers merged")


def _chosen(recipe: Path | None, options: Mapping[str, Any], device: str, dtype: str) -> Recipe:
    """The recipe of the file, or the one that the options say."""
    from merit_interp.recipe import read_recipe

    if recipe is not None:
        if options:
            raise SettingError(
                f"--recipe says what to merge, and so does --{next(iter(options))}",
                valid="--recipe alone, or --vlm, --backbone and what to merge",
            )
        return read_recipe(recipe)
    if "from-mergekit" in options:
        if len(options) > 1:
            raise SettingError(
                f"--from-mergekit says what to merge, and so does --{list(options)[1]}",
                valid="--from-mergekit alone",
            )
        from merit_interp.merging.mergekit_config import recipe_from_mergekit

        return recipe_from_mergekit(options["from-mergekit"])
    from merit_interp.merging.plain_recipe import plain_recipe

    for needed in ("vlm", "backbone"):
        if needed not in options:
            raise SettingError(f"--{needed} is missing", valid="--recipe, or --vlm and --backbone")
    pair = options["vlm"], options["backbone"]
    if "schedule" in options:
        return _scheduled(pair, options, device, dtype)
    for name in ("items", *SCORING):
        if name in options:
            raise SettingError(f"--{name} is for a schedule", valid="--schedule attention with it")
    return plain_recipe(*pair, **_fields(options))


def _scheduled(
    pair: tuple[str, str], options: Mapping[str, Any], device: str, dtype: str
) -> Recipe:
    from merit_interp.merging.scheduled_recipe import scheduled_recipe
    from merit_interp.models.loading import Placement
    from merit_interp.scoring_settings import Scoring, changed_scoring

    if options["schedule"] != "attention":
        raise SettingError(f"no schedule {options['schedule']!r}", valid="attention")
    if "items" not in options:
        raise SettingError("--schedule attention needs items", valid="--items items.jsonl")
    asked = {name.replace("-", "_"): options[name] for name in SCORING if name in options}
    if asked.get("answers") not in (None, "letter", "option_text"):
        raise SettingError(f"answers {asked['answers']!r}", valid="letter or option_text")
    if "fps" in asked:
        asked.setdefault("sampling", "fps")
    scoring = changed_scoring(Scoring(), **asked)
    return scheduled_recipe(
        *pair, options["items"], scoring=scoring, placement=Placement(device, dtype),
        **_fields(options),
    )  # fmt: skip


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the options say of the merge, as arguments of `plain_recipe`."""
    seed = {"seed": options["seed"]} if "seed" in options else {}
    fields: dict[str, Any] = {"settings": {**settings_of(options.get("set", ())), **seed}}
    for name in ("base", "coefficient", "method", "weights", "pattern"):
        if name in options:
            fields[name] = options[name]
    if "layers" in options:
        fields["layers"] = numbers_of(options["layers"], "--layers")
    if "projections" in options:
        fields["projections"] = tuple(part.strip() for part in options["projections"].split(","))
    return fields


@contextlib.contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Let SIGTERM, which schedulers send, take away what is half written, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        # what a shell says of a process that a signal ended
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
