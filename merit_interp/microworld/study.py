"""The whole study on the embedded pair: items, search, evaluation on five item sets.

    run_study(Path("runs/demo"), StudySettings())

What `merit-interp demo` runs. Nothing here is special to the embedded pair but where its models and
items are: each step is the public function that its own command calls. This file must not draw or
print.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.merging.item_sets import ItemSet, recipe_item_set
from merit_interp.merging.recipe_evaluation import EvaluationSettings, evaluate_recipe
from merit_interp.merging.recipe_scores import keep_whole_blocks
from merit_interp.microworld import backbone_directory, vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.loading import Placement, load_backbone
from merit_interp.recipe import Recipe, Scoring
from merit_interp.record_files import FINISHED_MARKER, JsonlAppender, open_run_directory
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.search.command import SearchResult, find_recipe
from merit_interp.search.loop import Watch
from merit_interp.search.settings import SearchSettings
from merit_interp.search.subject import SearchInputs

BACKBONE = "backbone_transcripts"
"""The text backbone on transcripts of the clips: what reasoning there was before adaptation."""

BATCH = 256


@dataclass(frozen=True)
class StudySettings:
    """What the demo does with the embedded pair."""

    search: SearchSettings = SearchSettings()
    draws: int = 20
    """Sets of random layers."""
    sizes: Mapping[str, int] | None = None
    """Clips of each item set; None for the default."""
    placement: Placement = Placement()

    @property
    def scoring(self) -> Scoring:
        """The embedded pair knows no letters: an option is scored by its own text."""
        return Scoring(answers="option_text", max_frames=16)


def run_study(
    run: Path,
    settings: StudySettings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    searching: Callable[[], contextlib.AbstractContextManager[Watch | None]] | None = None,
    scoring: Callable[[], contextlib.AbstractContextManager[Callable[[str, str], None]]]
    | None = None,
) -> SearchResult:
    """Search a recipe on the embedded pair and evaluate it on validation and held-out items.

    Args:
        run: The run's directory.
        settings: Search, draws, sizes, placement.
        resume: Go on with an interrupted study.
        overwrite: Delete an earlier study first.
        searching: Makes the search's progress display.
        scoring: Makes the evaluation's progress display.

    Raises:
        RunError: The directory is in use, or holds a study of other settings.
    """
    open_run_directory(run, resume=resume, overwrite=overwrite)
    # matrices of 64 columns gain nothing from threads, and lose ten times their speed to them
    # where another process wants the cores
    torch.set_num_threads(1)
    items = write_item_sets(run / "items", seed=settings.search.seed, sizes=settings.sizes)
    inputs = SearchInputs(
        str(vlm_directory()),
        str(backbone_directory()),
        items["search"],
        settings.scoring,
        settings.placement,
        batch_size=BATCH,
    )
    with searching() if searching else contextlib.nullcontext() as watch:
        found = find_recipe(settings.search, inputs, run, resume=True, watch=watch)
    shutil.copyfile(_training_report(), run / "training_report.json")
    item_sets = _item_sets(items, found.recipe)
    evaluation = EvaluationSettings(
        scoring=settings.scoring,
        draws=settings.draws,
        seed=settings.search.seed,
        batch_size=BATCH,
        placement=settings.placement,
    )
    # the search marked the run as finished; the study is so only after its evaluation
    (run / FINISHED_MARKER).unlink(missing_ok=True)
    with scoring() if scoring else contextlib.nullcontext() as scored:
        _score_backbone(found.recipe, item_sets, evaluation, run)
        evaluate_recipe(found.recipe, item_sets, evaluation, run, progress=scored)
    return found


def _training_report() -> Path:
    return vlm_directory().parent / "training_report.json"


def _item_sets(items: Mapping[str, Path], recipe: Recipe) -> dict[str, ItemSet]:
    held_out = {name: ItemSet(path) for name, path in items.items() if name != "search"}
    return {"validation": recipe_item_set(recipe, "validation"), **held_out}


def _score_backbone(
    recipe: Recipe, item_sets: Mapping[str, ItemSet], settings: EvaluationSettings, run: Path
) -> None:
    """The same questions on the clips' transcripts, by the backbone alone."""
    backbone = load_backbone(recipe.backbone.source, placement=settings.placement)
    read = {name: chosen.read() for name, chosen in item_sets.items()}
    sizes = {name: len(items) for name, (_, items) in read.items()}
    done = keep_whole_blocks(run / "scores.jsonl", sizes)
    with JsonlAppender(run / "scores.jsonl") as file:
        for name, (items_file, items) in read.items():
            if (name, BACKBONE) in done:
                continue
            evaluation = Evaluation(
                backbone,
                items_file,
                items,
                settings.scoring,
                batch_size=settings.batch_size,
                transcripts=True,
            )
            for score in evaluation.scores(BACKBONE, "backbone", name):
                file.append(score.to_row())
