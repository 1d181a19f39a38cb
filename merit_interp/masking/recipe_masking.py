"""The masking sweep of a recipe, from paths to records: what `merit-interp mask` calls.

    mask_recipe(recipe, ItemSet(path, "validation"), MaskSettings(), run)

Writes `run.json`, `recipe.json`, `sweep.json` (the sets of layers), `masks.jsonl` (every model, set
and batch), `scores.jsonl` (every model unmasked) and `finished.json` into the run's directory. This
file must not know how effects are tabulated or judged.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from merit_interp.benchmarks.decoding import write_reports
from merit_interp.errors import SettingError
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.model_sweep import MaskedModel, key_of, sweep_model
from merit_interp.masking.settings import NEEDS_A_MERGE, MaskSettings
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.item_sets import ItemSet, drawn_items
from merit_interp.merging.recipe_models import merge_of
from merit_interp.models.loading import LoadedModel, Placement, load_backbone
from merit_interp.provenance import provenance, refuse_other
from merit_interp.recipe import Recipe, write_recipe
from merit_interp.record_files import (
    FINISHED_MARKER,
    JsonlAppender,
    check_run_directory,
    is_finished,
    mark_finished,
    open_run_directory,
    read_jsonl,
    write_json,
    write_whole,
)
from merit_interp.records import MaskedScores, MaskPlan, Provenance
from merit_interp.scoring.evaluation import Evaluation

VLM, MERGED, BACKBONE = "vlm", "merged", "backbone_transcripts"
RUN, SWEEP, MASKS, SCORES = "run.json", "sweep.json", "masks.jsonl", "scores.jsonl"

Progress = Callable[[str, int, int], None]
"""Told which model is masked, how many of its batches and sets are done, and of how many."""


def mask_recipe(
    recipe: Recipe,
    chosen: ItemSet,
    settings: MaskSettings,
    run: Path,
    *,
    placement: Placement | None = None,
    reference: ItemSet | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Mask every set of layers in VLM, merged model and backbone; resumes after the last batch.

    The backbone is masked on the items that have a transcript. What says nothing is left out: the
    merged model where the recipe merges nothing, `revert` on the VLM, visual tokens of transcripts,
    `revert` and `swap` on the backbone. The run's directory is touched only after every input has
    been read.

    Args:
        recipe: The recipe, whose layers are held against the others.
        chosen: The items.
        settings: Mode, tokens, sets and seeds.
        run: The run's directory.
        placement: Device and type; the CPU in float32 where not given.
        reference: Items that `mean` averages over; the masked items themselves where not given.
        resume: Go on with the sweep in `run`; a finished one is left as it is.
        overwrite: Delete the earlier run in `run`.
        progress: Called after each batch and set.

    Raises:
        SettingError: A mode, layer or head that these models do not have, or a batch that does not
            fit.
        RunError: The directory is in use, or holds a sweep of other settings.
        VideoError: More items than `max_failed` cannot be decoded.
    """
    placement = placement or Placement()
    if recipe.is_identity and settings.mode in NEEDS_A_MERGE:
        raise SettingError(
            f"the recipe merges nothing, so there is nothing to {settings.mode}",
            valid="--mode zero, mean or resample",
        )
    check_run_directory(run, resume=resume, overwrite=overwrite)
    item_sets = (chosen, chosen if reference is None else reference)
    record = _record(recipe, item_sets, settings, placement)
    begun = resume and (run / RUN).exists()
    if begun:
        refuse_other(json.loads((run / RUN).read_text()), record, run)
        if is_finished(run, ("masks", "scores")):
            return
    merge = merge_of(recipe, placement)
    plan = _plan(recipe, merge.vlm, settings)
    models = [
        *_vlm_models(recipe, merge, item_sets, settings),
        *_backbone_models(recipe, item_sets, settings, placement),
    ]
    open_run_directory(run, resume=resume, overwrite=overwrite)
    (run / FINISHED_MARKER).unlink(missing_ok=True)
    shown = models[0].evaluation
    write_reports(run, {chosen.split: (shown.videos, shown.items)})
    if not begun:
        write_recipe(recipe, run / "recipe.json")
        write_json(run / SWEEP, plan.to_row())
        route = models[0].evaluation.processor_route
        write_json(run / RUN, dataclasses.replace(record, processor=route).to_row())
    records = [MaskedScores.from_row(row) for row in read_jsonl(run / MASKS)]
    done = {key_of(record.model, record, record.batch) for record in records}
    with _told_of_room(settings, placement), JsonlAppender(run / MASKS) as masks:

        def write(record: MaskedScores) -> None:
            masks.append(record.to_row())

        for model in models:
            told = None if progress is None else functools.partial(progress, model.name)
            sweep_model(model, plan, settings, write=write, done=done, progress=told)
    _write_unmasked(run, models, item_set=chosen.split)
    mark_finished(run)


@contextlib.contextmanager
def _told_of_room(settings: MaskSettings, placement: Placement) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise SettingError(
            f"{settings.batch_size} rows do not fit on {placement.device}",
            # records are kept by the batch, so that a sweep cannot go on with smaller ones
            valid="a smaller --batch-size, with --overwrite or another --out",
        ) from None


def _plan(recipe: Recipe, vlm: LoadedModel, settings: MaskSettings) -> MaskPlan:
    n_heads = vlm.model.config.get_text_config(decoder=True).num_attention_heads
    settings.require_heads_below(n_heads)
    return plan_sweep(
        n_layers=vlm.n_layers,
        chosen=tuple(recipe.layers) if settings.layers is None else settings.layers,
        draws=settings.draws,
        seed=settings.seed,
        heads=settings.heads,
        each_of_heads=n_heads if settings.each_head else 0,
    )


def _vlm_models(
    recipe: Recipe,
    merge: InMemoryMerge,
    item_sets: tuple[ItemSet, ItemSet],
    settings: MaskSettings,
) -> list[MaskedModel]:
    """The VLM and the merged model: the same modules with other weights in force."""
    merged = functools.partial(merge.applied, recipe)
    unmerged = functools.partial(merge.applied, recipe.with_layers({}))
    evaluation, reference = _evaluations(merge.vlm, item_sets, settings)
    models = []
    if settings.mode != "revert":
        models.append(MaskedModel(VLM, VLM, evaluation, reference, unmerged, merged))
    if not recipe.is_identity:
        models.append(
            MaskedModel(MERGED, recipe.merge_hash, evaluation, reference, merged, unmerged)
        )
    return models


def _backbone_models(
    recipe: Recipe,
    item_sets: tuple[ItemSet, ItemSet],
    settings: MaskSettings,
    placement: Placement,
) -> list[MaskedModel]:
    """The backbone, where the items have transcripts and the mode says something of it."""
    readable = any(item.transcript is not None for item in item_sets[0].read()[1])
    if settings.mode in NEEDS_A_MERGE or settings.tokens == "visual" or not readable:
        return []
    loaded = load_backbone(
        recipe.backbone.source, revision=recipe.backbone.revision, placement=placement
    )
    evaluation, reference = _evaluations(loaded, item_sets, settings, transcripts=True)
    return [MaskedModel(BACKBONE, BACKBONE, evaluation, reference, nullcontext, nullcontext)]


def _evaluations(
    model: LoadedModel,
    item_sets: tuple[ItemSet, ItemSet],
    settings: MaskSettings,
    *,
    transcripts: bool = False,
) -> tuple[Evaluation, Evaluation]:
    """The masked items and the reference items, prepared for a model; once where they are one."""
    prepared: dict[ItemSet, Evaluation] = {}
    for chosen in item_sets:
        if chosen in prepared:
            continue
        file, items = chosen.read()
        if transcripts:
            items = tuple(item for item in items if item.transcript is not None)
        prepared[chosen] = Evaluation(
            model,
            file,
            drawn_items(items, settings.limit, settings.seed),
            settings.scoring,
            batch_size=settings.batch_size,
            max_failed=settings.max_failed,
            decoding=settings.decoding,
            transcripts=transcripts,
        )
    return prepared[item_sets[0]], prepared[item_sets[1]]


def _record(
    recipe: Recipe,
    item_sets: tuple[ItemSet, ItemSet],
    settings: MaskSettings,
    placement: Placement,
) -> Provenance:
    """What makes this sweep, as far as it is known before a model is loaded."""
    described: dict[str, Any] = {"masking": settings.to_json(), "recipe": recipe.merge_hash}
    fingerprints = {"vlm": recipe.vlm.fingerprint, "backbone": recipe.backbone.fingerprint}
    for role, items in zip(("items", "reference"), item_sets, strict=True):
        described[role] = items.to_row()
        fingerprints[role] = items.read()[0].sha256
    return provenance(
        seed=settings.seed,
        device=placement.device,
        dtype=placement.dtype,
        device_map=placement.device_map,
        fingerprints=fingerprints,
        settings=described,
    )


def _write_unmasked(run: Path, models: Sequence[MaskedModel], *, item_set: str) -> None:
    """Every item's score by every model as it is, out of the sweep's own records."""
    known: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in read_jsonl(run / MASKS):
        if not row["layers"]:
            own = known.setdefault(row["model"], {})
            own |= {item: tuple(values) for item, values in row["log_probs"].items()}
    lines = []
    for model in models:
        items = model.evaluation.items
        log_probs = {
            index: known[model.name][item.id]
            for index, item in enumerate(items)
            if item.id in known.get(model.name, {})
        }
        for score in model.evaluation.item_scores(log_probs, model.name, model.recipe, item_set):
            lines.append(json.dumps(score.to_row(), ensure_ascii=False) + "\n")
    write_whole(run / SCORES, "".join(lines).encode())
