"""The evaluation of a recipe: VLM, merged model and baselines on any number of item sets.

    evaluate_recipe(recipe, {"validation": ItemSet(path, "validation")}, EvaluationSettings(), run)

Writes `run.json`, `recipe.json`, `scores.jsonl`, `control_scores.jsonl` where video controls are
asked for, and `finished.json` into the run's directory. This file must not know how a recipe was
found, nor how its scores are tabulated.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from merit_interp.benchmarks.decoding import write_reports
from merit_interp.benchmarks.decoding_settings import DecodingSettings
from merit_interp.benchmarks.video_controls import VideoControl, checked_controls
from merit_interp.errors import PairError
from merit_interp.merging.attention_schedule import schedule_of, visual_attention
from merit_interp.merging.baselines import (
    ATTENTION_SCHEDULE,
    baseline_recipes,
    check_methods,
    method_baselines,
)
from merit_interp.merging.control_scores import (
    CONTROL_SCORES,
    check_black_frames,
    score_controls,
    shorter_prompts,
)
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.item_sets import ItemSet, drawn_items
from merit_interp.merging.recipe_models import merge_of
from merit_interp.merging.recipe_scores import MERGED, keep_whole_blocks, score_recipes
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.loading import LoadedModel, Placement
from merit_interp.provenance import provenance, refuse_other
from merit_interp.recipe import Recipe, Scoring, write_recipe
from merit_interp.record_files import FINISHED_MARKER, mark_finished, read_finished, write_json
from merit_interp.scoring.evaluation import Evaluation


@dataclass(frozen=True)
class EvaluationSettings:
    """What an evaluation does, beside its recipe and items."""

    scoring: Scoring = Scoring()
    draws: int = 20
    """Sets of random layers."""
    methods: tuple[str, ...] = ()
    """Further baselines: `baselines.BASELINE_METHODS`."""
    base: str | None = None
    """The common ancestor, for methods that need one, where the recipe names none."""
    video_controls: tuple[str, ...] = ()
    """What is shown in place of each video too: `video_controls.CONTROLS`."""
    seed: int = 0
    batch_size: int = 64
    """Most rows in one forward pass."""
    max_failed: float = 0.0
    """Share of items that may fail to decode before the run fails."""
    limit: int | None = None
    """Most items of each set, drawn at random; None for all."""
    placement: Placement = Placement()
    decoding: DecodingSettings = DecodingSettings()
    """How videos are decoded; no number depends on it."""


def evaluate_recipe(
    recipe: Recipe,
    item_sets: Mapping[str, ItemSet],
    settings: EvaluationSettings,
    run: Path,
    *,
    progress: Callable[[str, str], None] | None = None,
    left_out: Callable[[str], None] | None = None,
) -> None:
    """Score VLM, merged model and baselines on every item set; resumes after the last whole block.

    Args:
        recipe: The recipe; the identity is evaluated too, against the uniform baselines.
        item_sets: Items by the name that records and tables give them.
        settings: Scoring, draws, seed, placement.
        run: The run's directory, opened by the caller.
        progress: Called with item set and model after each block.
        left_out: Told in a line which baselines the pair does not allow or give NaN, and why.

    Raises:
        SettingError: There is no such baseline or video control, or the family drops what it shows.
        RecipeError: A method needs a base, or the recipe was made for other weights.
        RunError: The directory holds scores made by other settings, or a search that was changed
            after it ended.
        VideoError: More items than `max_failed` cannot be decoded.
        NotANumberError: VLM or merged model gives NaN.
    """
    # the baselines merge whole layers too, and what holds those holds self-attention
    check_methods(settings.methods, has_base=bool(recipe.base or settings.base))
    base = Checkpoint.open(settings.base) if settings.base else None
    # few recipes change what lies beyond self-attention, which is five sixths of the text layers
    merge = merge_of(recipe, settings.placement, weights="text", base=base, lean=True)
    vlm = merge.vlm
    controls = [VideoControl(c) for c in checked_controls(settings.video_controls)]
    check_black_frames(controls, vlm)
    evaluations = {name: _prepared(vlm, chosen, settings) for name, chosen in item_sets.items()}
    attention = None
    if ATTENTION_SCHEDULE in settings.methods:
        attention = schedule_of(visual_attention(next(iter(evaluations.values()))))
    recipes, excluded = _recipes(recipe, merge, settings, attention)
    tell = left_out or _nobody
    for line in excluded:
        tell(line)
    _describe(run, recipe, merge, item_sets, settings)
    write_reports(run, {name: (e.videos, e.items) for name, e in evaluations.items()})
    # what a search wrote here, and controls that are not asked for, are not written again
    read_finished(run, but=("scores", "control_scores") if controls else ("scores",))
    (run / FINISHED_MARKER).unlink(missing_ok=True)
    scores = run / "scores.jsonl"
    sizes = {name: len(e.items) for name, e in evaluations.items()}
    done = keep_whole_blocks(scores, sizes)
    for name, evaluation in evaluations.items():
        score_recipes(
            evaluation, merge, recipes, item_set=name, path=scores, done=done, left_out=tell,
            progress=None if progress is None else functools.partial(progress, name),
        )  # fmt: skip

    def under(name: str, control: VideoControl) -> Evaluation:
        evaluation = _prepared(vlm, item_sets[name], settings, control)
        line = shorter_prompts(control.name, evaluation.encoded, evaluations[name].encoded)
        if line is not None:
            tell(line)
        return evaluation

    if controls:
        path = run / CONTROL_SCORES
        score_controls(controls, under, merge, recipe, sizes, path, progress=progress)
    mark_finished(run)


def _nobody(line: str) -> None:
    """Told, and says nothing."""


def _recipes(
    recipe: Recipe,
    merge: InMemoryMerge,
    settings: EvaluationSettings,
    schedule: Mapping[int, float] | None,
) -> tuple[dict[str, Recipe], list[str]]:
    """The recipe and its baselines by name, and a line for each reason why some are left out."""
    n_layers, seed = merge.vlm.n_layers, settings.seed
    wanted = {
        **baseline_recipes(recipe, n_layers=n_layers, draws=settings.draws, seed=seed),
        **method_baselines(
            recipe, settings.methods, n_layers=n_layers, base=recipe.base or merge.base,
            schedule=schedule, seed=seed,
        ),
    }  # fmt: skip
    recipes, reasons = {MERGED: recipe}, defaultdict[str, list[str]](list)
    for name, baseline in wanted.items():
        try:
            merge.plan(baseline)
        except PairError as error:
            reasons[error.problem].append(name)
        else:
            recipes[name] = baseline
    lines = [f"left out {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return recipes, lines


def _prepared(
    vlm: LoadedModel,
    chosen: ItemSet,
    settings: EvaluationSettings,
    control: VideoControl | None = None,
) -> Evaluation:
    file, items = chosen.read()
    return Evaluation(
        vlm,
        file,
        drawn_items(items, settings.limit, settings.seed),
        settings.scoring,
        batch_size=settings.batch_size,
        max_failed=settings.max_failed,
        decoding=settings.decoding,
        control=control,
    )


def _describe(
    run: Path,
    recipe: Recipe,
    merge: InMemoryMerge,
    item_sets: Mapping[str, ItemSet],
    settings: EvaluationSettings,
) -> None:
    """Write run.json and recipe.json, or check that they are the ones of this evaluation."""
    from merit_interp.models.fingerprints import items_digest

    described = {
        "scoring": settings.scoring.model_dump(mode="json"),
        "evaluation": {
            key: value
            for key, value in dataclasses.asdict(settings).items()
            # controls change no score: a finished run may be gone on with, for more of them
            if key
            not in (
                "scoring",
                "placement",
                "batch_size",
                "base",
                "methods",
                "video_controls",
                "decoding",
            )
        },
        # what was not asked for is not described, as in runs from before one could ask
        **({"methods": list(settings.methods)} if settings.methods else {}),
        "recipe": recipe.merge_hash,
        "n_layers": merge.vlm.n_layers,
        "item_sets": {
            # the file itself is known by its digest, so that a moved run can be gone on with
            name: {k: v for k, v in chosen.to_row().items() if k != "path"}
            for name, chosen in item_sets.items()
        },
    }
    digests = {f"items:{name}": items_digest(c.path) for name, c in item_sets.items()}
    record = provenance(
        seed=settings.seed,
        device=settings.placement.device,
        dtype=settings.placement.dtype,
        device_map=settings.placement.device_map,
        fingerprints={
            "vlm": recipe.vlm.fingerprint, "backbone": recipe.backbone.fingerprint,
            **({"base": merge.base.fingerprint} if merge.base else {}), **digests,
        },
        settings=described,
    )  # fmt: skip
    path = run / "evaluation.json"
    if path.exists():
        refuse_other(json.loads(path.read_text()), record, run)
        return
    write_json(path, record.to_row())
    if not (run / "run.json").exists():
        write_json(run / "run.json", record.to_row())
    if not (run / "recipe.json").exists():
        write_recipe(recipe, run / "recipe.json")
