"""The lens on a recipe, from paths to records: what `merit-interp lens` calls.

    lens_recipe(recipe, ItemSet(path, "validation"), LensSettings(), run)

Writes `run.json`, `recipe.json`, `lens.json` (what is read), `readings.jsonl` (every model and
item), `checks.jsonl` (how far each model's reading is from transformers'), `head_changes.jsonl`,
`head_masks.jsonl` (every model, head and batch), `scores.jsonl` and `finished.json` into the run's
directory. This file must not know how readings are tabulated or judged.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.benchmarks.decoding import write_reports
from merit_interp.errors import ItemError, SettingError
from merit_interp.lens.head_masking import mask_heads
from merit_interp.lens.heads import AttentionWeights, attention_weights, head_changes, n_heads_of
from merit_interp.lens.model_reading import HeadStates, ReadModel, chosen_engine, read_model
from merit_interp.lens.settings import LensSettings
from merit_interp.lens.token_kinds import PromptKinds, token_kinds
from merit_interp.lens_records import LensPlan, LensReading
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
from merit_interp.records import MaskedScores, Provenance
from merit_interp.scoring.evaluation import Evaluation

VLM, MERGED, BACKBONE = "vlm", "merged", "backbone_transcripts"
RUN, PLAN, SCORES = "run.json", "lens.json", "scores.jsonl"
READINGS, CHECKS = "readings.jsonl", "checks.jsonl"
CHANGES, MASKS = "head_changes.jsonl", "head_masks.jsonl"
OWN = ("readings", "checks", "head_changes", "head_masks", "scores")
"""Stems of the files of records."""

Progress = Callable[[str, int, int], None]
"""Told what is being done to which model, how many batches are done, and of how many."""


@dataclass(frozen=True, eq=False)
class LensModel:
    """One model of a run."""

    name: str
    recipe: str
    """Merge hash of the recipe in force; the model's own name where there is none."""
    evaluation: Evaluation
    kinds: dict[int, PromptKinds]
    in_force: Callable[[], AbstractContextManager[None]]
    """Makes the evaluation's model this one."""


def lens_recipe(
    recipe: Recipe,
    chosen: ItemSet,
    settings: LensSettings,
    run: Path,
    *,
    placement: Placement | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Read VLM, merged model and backbone; resumes after the last whole model and masked head.

    The backbone is read on the transcripts of the items that have one. The run's directory is
    touched only after every input has been read.

    Args:
        recipe: The recipe, whose layers' heads are compared.
        chosen: The items.
        settings: Engine, layers, items.
        run: The run's directory.
        placement: Device and type; the CPU in float32 where not given.
        resume: Go on with the run; a finished one is left as it is.
        overwrite: Delete the earlier run first.
        progress: Called after each batch.

    Raises:
        SettingError: A layer that the model does not have, or a batch that does not fit.
        CheckpointError: A reading is not that of transformers.
        RunError: The directory is in use, or holds a run of other settings.
        VideoError: More items than `max_failed` cannot be decoded.
    """
    placement = placement or Placement()
    check_run_directory(run, resume=resume, overwrite=overwrite)
    record = _provenance(recipe, chosen, settings, placement)
    begun = resume and (run / RUN).exists()
    if begun:
        refuse_other(json.loads((run / RUN).read_text()), record, run)
        if is_finished(run, OWN):
            return
    merge = merge_of(recipe, placement)
    settings.require_layers_below(merge.vlm.n_layers)
    models, left_out = _models(recipe, merge, chosen, settings, placement)
    plan = LensPlan(
        n_layers=merge.vlm.n_layers,
        n_heads=n_heads_of(merge.vlm),
        layers=tuple(recipe.layers) if settings.layers is None else settings.layers,
        models=tuple(model.name for model in models),
        left_out=left_out,
    )
    open_run_directory(run, resume=resume, overwrite=overwrite)
    (run / FINISHED_MARKER).unlink(missing_ok=True)
    shown = models[0].evaluation
    write_reports(run, {chosen.split: (shown.videos, shown.items)})
    if not begun:
        write_recipe(recipe, run / "recipe.json")
        route = models[0].evaluation.processor_route
        write_json(run / RUN, dataclasses.replace(record, processor=route).to_row())
    write_json(run / PLAN, plan.to_row())
    try:
        _read(run, models, _weights(run, plan, models), settings, progress)
        if settings.mask_heads and plan.layers:
            _mask(run, plan, models, progress)
    except torch.OutOfMemoryError:
        raise SettingError(
            f"{settings.batch_size} rows with eager attention do not fit on {placement.device}",
            valid="a smaller --batch-size",
        ) from None
    _write_scores(run, models, chosen.split)
    mark_finished(run)


def _models(
    recipe: Recipe,
    merge: InMemoryMerge,
    chosen: ItemSet,
    settings: LensSettings,
    placement: Placement,
) -> tuple[list[LensModel], dict[str, str]]:
    """The models of a run, and why others are not in it."""
    left_out = {}
    evaluation = _evaluation(merge.vlm, chosen, settings)
    kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
    unmerged = functools.partial(merge.applied, recipe.with_layers({}))
    models = [LensModel(VLM, VLM, evaluation, kinds, unmerged)]
    if recipe.is_identity:
        left_out[MERGED] = "the recipe merges nothing"
    else:
        merged = functools.partial(merge.applied, recipe)
        models.append(LensModel(MERGED, recipe.merge_hash, evaluation, kinds, merged))
    if all(item.transcript is None for item in evaluation.items):
        left_out[BACKBONE] = "no item has a transcript"
        return models, left_out
    backbone = load_backbone(
        recipe.backbone.source, revision=recipe.backbone.revision, placement=placement
    )
    try:
        evaluation = _evaluation(backbone, chosen, settings, transcripts=True)
        kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
    except ItemError as error:
        left_out[BACKBONE] = error.problem
        return models, left_out
    models.append(LensModel(BACKBONE, BACKBONE, evaluation, kinds, nullcontext))
    return models, left_out


def _evaluation(
    model: LoadedModel, chosen: ItemSet, settings: LensSettings, *, transcripts: bool = False
) -> Evaluation:
    file, items = chosen.read()
    items = drawn_items(items, settings.limit, settings.seed)
    if transcripts:
        items = tuple(item for item in items if item.transcript is not None)
    return Evaluation(
        model,
        file,
        items,
        settings.scoring,
        batch_size=settings.batch_size,
        max_failed=settings.max_failed,
        decoding=settings.decoding,
        transcripts=transcripts,
    )


def _weights(
    run: Path, plan: LensPlan, models: Sequence[LensModel]
) -> dict[str, dict[int, AttentionWeights]]:
    """Heads' weights of VLM and merged model, and their changes into the run."""
    found = {}
    for model in models:
        if model.name != BACKBONE:
            with model.in_force():
                found[model.name] = attention_weights(model.evaluation.model, plan.layers)
    changes = head_changes(found[VLM], found[MERGED]) if MERGED in found else []
    lines = [json.dumps(change.to_row()) + "\n" for change in changes]
    write_whole(run / CHANGES, "".join(lines).encode())
    return found


def _read(
    run: Path,
    models: Sequence[LensModel],
    weights: dict[str, dict[int, AttentionWeights]],
    settings: LensSettings,
    progress: Progress | None,
) -> None:
    """Read every model that is not whole yet."""
    whole = _whole_models(run, models)
    before: HeadStates | None = None
    with JsonlAppender(run / READINGS) as readings, JsonlAppender(run / CHECKS) as checks:

        def write(reading: LensReading) -> None:
            readings.append(reading.to_row())

        for model in models:
            if model.name in whole:
                continue
            states = HeadStates(weights.get(model.name, {}))
            read = ReadModel(
                model.name, model.evaluation, model.kinds, states,
                before if model.name == MERGED else None,
            )  # fmt: skip
            told = None
            if progress is not None:
                told = functools.partial(progress, f"reading {model.name}")
            with (
                model.in_force(),
                chosen_engine(model.evaluation.model, settings.engine) as (engine, why),
            ):
                check = read_model(read, engine, why=why, write=write, progress=told)
            checks.append(check.to_row())
            before = states if model.name == VLM else before


def _whole_models(run: Path, models: Sequence[LensModel]) -> set[str]:
    """Models that were read to their end; what is left of others is dropped.

    VLM and merged model count as one: the heads' outputs of the one are held against the other's.
    """
    counts = Counter(row["model"] for row in read_jsonl(run / READINGS))
    items = {m.name: sum(len(batch.items) for batch in m.evaluation.batches) for m in models}
    checked = {row["model"] for row in read_jsonl(run / CHECKS)}
    whole = {name for name in checked if counts[name] == items.get(name)}
    names = {model.name for model in models}
    if not {VLM, MERGED} & names <= whole:
        whole -= {VLM, MERGED}
    for path in (run / READINGS, run / CHECKS):
        rows = [row for row in read_jsonl(path) if row["model"] in whole]
        text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
        write_whole(path, text.encode())
    return whole


def _mask(
    run: Path, plan: LensPlan, models: Sequence[LensModel], progress: Progress | None
) -> None:
    """Mask every head of the layers in VLM and merged model."""
    records = [MaskedScores.from_row(row) for row in read_jsonl(run / MASKS)]
    done = {(r.model, r.layers, r.heads, r.batch) for r in records}
    with JsonlAppender(run / MASKS) as masks:

        def write(record: MaskedScores) -> None:
            masks.append(record.to_row())

        for model in models:
            if model.name == BACKBONE:
                continue
            told = None
            if progress is not None:
                told = functools.partial(progress, f"masking heads of {model.name}")
            with model.in_force():
                mask_heads(
                    model.evaluation, model.name, plan.layers, write=write, done=done,
                    progress=told,
                )  # fmt: skip


def _write_scores(run: Path, models: Sequence[LensModel], item_set: str) -> None:
    """Every item's score by every model, as the last layer's lens has it."""
    known: dict[str, dict[str, tuple[float, ...]]] = {}
    for row in read_jsonl(run / READINGS):
        known.setdefault(row["model"], {})[row["item"]] = tuple(row["layer_log_probs"][-1])
    lines = []
    for model in models:
        log_probs = {
            index: known[model.name][item.id]
            for index, item in enumerate(model.evaluation.items)
            if item.id in known[model.name]
        }
        scores = model.evaluation.item_scores(log_probs, model.name, model.recipe, item_set)
        lines += [json.dumps(score.to_row(), ensure_ascii=False) + "\n" for score in scores]
    write_whole(run / SCORES, "".join(lines).encode())


def _provenance(
    recipe: Recipe, chosen: ItemSet, settings: LensSettings, placement: Placement
) -> Provenance:
    """What makes this run, as far as it is known before a model is loaded."""
    return provenance(
        seed=settings.seed,
        device=placement.device,
        dtype=placement.dtype,
        device_map=placement.device_map,
        fingerprints={
            "vlm": recipe.vlm.fingerprint,
            "backbone": recipe.backbone.fingerprint,
            "items": chosen.read()[0].sha256,
        },
        settings={
            "lens": settings.to_json(),
            "recipe": recipe.merge_hash,
            "items": chosen.to_row(),
        },
    )
