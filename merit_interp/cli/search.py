"""`merit-interp search`: find how much of the backbone's self-attention to merge into each layer.

    merit-interp search --vlm models/vlm --backbone models/backbone --items items.jsonl --out run

This file parses, calls and prints; it must not propose or score a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from merit_interp.cli.merge_options import BaseOption, MethodOption, SetOption, settings_of
from merit_interp.cli.options import (
    AnswersOption,
    BatchOption,
    CircularOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    FpsOption,
    FrameCacheOption,
    JsonOption,
    MaxFailedOption,
    MaxSideOption,
    OverwriteOption,
    ResumeOption,
    RunOption,
    SamplingOption,
    SeedOption,
    TrustOption,
    VideoTimeLimitOption,
)
from merit_interp.errors import SettingError
from merit_interp.recipe import PROJECTIONS, Coefficient

if TYPE_CHECKING:
    from merit_interp.search.command import SearchResult


def search(
    vlm: Annotated[str, typer.Option("--vlm", help="The VLM: directory or hub id.")],
    backbone: Annotated[str, typer.Option("--backbone", help="Its text backbone.")],
    items: Annotated[Path, typer.Option("--items", help="items.jsonl to search and validate on.")],
    out: RunOption,
    sampler: Annotated[
        str, typer.Option(help="Who proposes: cmaes, tpe, discrete, greedy or random.")
    ] = "cmaes",
    budget: Annotated[int, typer.Option(min=1, help="Different recipes to try.")] = 200,
    penalty: Annotated[float, typer.Option(help="Weight of perception lost.")] = 1.0,
    levels: Annotated[
        str | None,
        typer.Option(
            help="Coefficients to choose from, as 0,0.5,1. Default: all of [0, 1], or "
            "these three for discrete and greedy."
        ),
    ] = None,
    projections: Annotated[str, typer.Option(help="Projections to merge.")] = "q,k,v,o",
    method: MethodOption = None,
    base: BaseOption = None,
    method_settings: SetOption = None,
    per_projection: Annotated[
        bool, typer.Option("--per-projection", help="A coefficient for each projection of a layer.")
    ] = False,
    objective: Annotated[
        str, typer.Option(help="Unit of the objective: margin (in nats) or accuracy.")
    ] = "margin",
    seed: SeedOption = 0,
    top: Annotated[int, typer.Option(min=1, help="Best recipes to try again on validation.")] = 8,
    validation_share: Annotated[
        float, typer.Option(help="Share of the items kept for choosing the winner.")
    ] = 0.5,
    held_out_share: Annotated[
        float,
        typer.Option(help="Share kept from search and choice, for evaluate --split held_out."),
    ] = 0.0,
    parsimony: Annotated[
        float, typer.Option(help="Share of the objective that fewer layers may cost; 0 for none.")
    ] = 0.1,
    answers: AnswersOption = None,
    circular: CircularOption = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Most frames of a video.")] = 16,
    sampling: SamplingOption = None,
    fps: FpsOption = None,
    max_side: MaxSideOption = None,
    max_failed: MaxFailedOption = 0.0,
    video_time_limit: VideoTimeLimitOption = 60.0,
    frame_cache: FrameCacheOption = None,
    batch_size: BatchOption = 64,
    device: DeviceOption = "cpu",
    dtype: DtypeOption = "float32",
    device_map: DeviceMapOption = None,
    trust_remote_code: TrustOption = False,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Search the recipe that restores reasoning at the least cost to perception."""
    from merit_interp.cli.decoding import decoding_settings, print_decoding
    from merit_interp.cli.interrupts import keeps_results
    from merit_interp.models.loading import Placement
    from merit_interp.scoring_settings import Scoring, changed_scoring
    from merit_interp.search.command import find_recipe
    from merit_interp.search.progress import search_progress
    from merit_interp.search.settings import SearchSettings
    from merit_interp.search.subject import SearchInputs

    settings = SearchSettings(
        sampler=sampler, budget=budget, penalty=penalty, levels=_numbers(levels),
        projections=_projections(projections), per_projection=per_projection,
        method=method or "linear", method_settings=settings_of(method_settings or ()),
        objective=objective, seed=seed, top=top, validation_share=validation_share,
        held_out_share=held_out_share, parsimony=parsimony,
    )  # fmt: skip
    scoring = changed_scoring(
        Scoring(), answers=_answers(answers), circular=circular, max_frames=max_frames,
        max_side=max_side, fps=fps, sampling=sampling or (None if fps is None else "fps"),
    )  # fmt: skip
    inputs = SearchInputs(
        vlm, backbone, items, scoring, Placement(device, dtype, device_map, trust_remote_code),
        batch_size=batch_size, max_failed=max_failed, base=base,
        decoding=decoding_settings(video_time_limit, frame_cache),
    )  # fmt: skip
    with keeps_results(out), search_progress() as watch:
        result = find_recipe(settings, inputs, out, resume=resume, overwrite=overwrite, watch=watch)
    print_decoding(out)
    _show(result, as_json=json)


def _answers(text: str | None) -> str | None:
    # why a search cannot take generated ones is for its inputs to say
    if text not in (None, "letter", "option_text", "generated"):
        raise SettingError(f"answers {text!r}", valid="letter or option_text")
    return text


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"levels {text}", valid="numbers with commas, such as 0,0.5,1") from None


def _projections(text: str) -> tuple[str, ...]:
    """Names in the recipe's order; what is unknown stays, for the settings to refuse."""
    names = [name.strip() for name in text.split(",")]
    order = {name: place for place, name in enumerate(PROJECTIONS)}
    return tuple(sorted(names, key=lambda name: order.get(name, len(order))))


def _show(result: SearchResult, *, as_json: bool) -> None:
    if as_json:
        from json import dumps

        print(dumps(result.to_json(), indent=2))
        return
    if result.finished_before:
        print(f"{result.run} was finished already; nothing to do")
    layers = " ".join(f"{layer}:{_share(share)}" for layer, share in result.recipe.layers.items())
    print(result.reason)
    print(f"layers {layers or 'none'}")
    print(f"recipe {result.run / 'recipe.json'}")


def _share(coefficient: Coefficient) -> str:
    if isinstance(coefficient, Mapping):
        return ",".join(f"{name}={share:g}" for name, share in coefficient.items())
    return f"{coefficient:g}"
