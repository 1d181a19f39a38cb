"""The attribution of a recipe: VLM, merged model and those they are held against, on item sets.

    attribute_recipe(recipe, {"validation": ItemSet(path, "validation")}, settings, run)

Writes `run.json`, `recipe.json`, `attributed_items.jsonl` (what figures show), `attributions.jsonl`
and `finished.json`. A run that was cut goes on after its last whole block (`blocks.Block`). This
file must not know what is made of the records.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.attribution.blocks import Block, Key, block_records, plan_blocks
from merit_interp.attribution.estimate import RunEstimate, estimate_run
from merit_interp.attribution.model_states import in_force, model_states
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.attribution.video_items import VIDEO, VideoItems, VideoSettings
from merit_interp.benchmarks.decoding import refuse_failures, write_reports
from merit_interp.benchmarks.video_controls import (
    SHUFFLE_SEED,
    VideoControl,
    check_evidence,
    checked_controls,
)
from merit_interp.errors import SettingError
from merit_interp.merging.control_scores import check_black_frames
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.item_sets import ItemSet, drawn_items
from merit_interp.merging.recipe_models import merge_of
from merit_interp.models.fingerprints import items_digest
from merit_interp.models.loading import LoadedModel
from merit_interp.provenance import provenance, refuse_other
from merit_interp.recipe import Recipe, write_recipe
from merit_interp.record_files import (
    FINISHED_MARKER,
    JsonlAppender,
    check_run_directory,
    mark_finished,
    open_run_directory,
    read_jsonl,
    write_json,
    write_whole,
)
from merit_interp.records import FrameAttribution

ATTRIBUTIONS = "attributions.jsonl"
ITEMS = "attributed_items.jsonl"
SMALL_WIDTH = 256
"""Columns of a model that gains nothing from threads."""


@dataclass(frozen=True)
class RunWatch:
    """Who is told how a run goes."""

    preparing: Callable[[int, int], None] = lambda done, total: None
    """Items prepared, and of how many."""
    estimated: Callable[[RunEstimate, int], None] = lambda estimate, n_items: None
    """What the run will take, before it starts, and for how many items."""
    attributed: Callable[[int, int, str], None] = lambda done, total, block: None
    """Items attributed, of how many over all blocks, and the block in work."""


def attribute_recipe(
    recipe: Recipe,
    item_sets: Mapping[str, ItemSet],
    settings: AttributionSettings,
    run: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watch: RunWatch = RunWatch(),
) -> None:
    """Attribute every item set's answers to frames.

    Args:
        recipe: The recipe; the identity too, which has no random layers to be held against.
        item_sets: Items by the name that records and tables give them.
        settings: Method, baseline, target, limits.
        run: The run's directory.
        resume: Go on with an interrupted run.
        overwrite: Delete an earlier run first, once models and items are known to be good.
        watch: Who is told how it goes.

    Raises:
        RunError: The directory is in use, or holds attributions made by other settings.
        FailedItemsError: More items than `max_failed` cannot be decoded.
        SettingError: A setting does not serve, or a batch does not fit into memory.
    """
    settings = settings.checked()
    check_run_directory(run, resume=resume, overwrite=overwrite)
    merge = merge_of(recipe, settings.placement)
    vlm = merge.vlm
    controls = [VideoControl(c) for c in checked_controls(settings.shown_controls)]
    check_evidence(settings.shown_controls, (i for c in item_sets.values() for i in c.read()[1]))
    check_black_frames(controls, vlm)
    states = model_states(
        recipe, n_layers=vlm.n_layers, draws=settings.draws,
        randomised=settings.randomised if settings.controls else 0, seed=settings.seed,
    )  # fmt: skip
    videos = {
        name: _prepared(vlm, name, chosen, settings, watch) for name, chosen in item_sets.items()
    }
    open_run_directory(run, resume=resume, overwrite=overwrite)
    _describe(run, recipe, item_sets, settings, next(iter(videos.values())).processor_route)
    # not before: a run of other settings is refused, and stays the finished one that it is
    (run / FINISHED_MARKER).unlink(missing_ok=True)
    _write_pictures(run / ITEMS, videos)
    write_reports(run, {name: (part.videos, part.items) for name, part in videos.items()})
    blocks = plan_blocks(states, settings)
    planned = {b.key(n): len(part.items) for n, part in videos.items() for b in blocks}
    done = _keep_first_blocks(run / ATTRIBUTIONS, planned)
    work = [(n, b) for n in videos for b in blocks if b.key(n) not in done]
    try:
        with threads_for(vlm):
            _tell_estimate(vlm, videos, work, settings, watch)
            _run_blocks(vlm, merge, videos, work, settings, run / ATTRIBUTIONS, watch)
    except torch.OutOfMemoryError:
        raise SettingError(
            f"{settings.batch_size} rows do not fit on {settings.placement.device}",
            valid="a smaller --batch",
        ) from None
    # how many layers a control masks stands in no record
    mark_finished(run, masked_layers={s.name: s.masked for s in states if s.masked})


@contextlib.contextmanager
def threads_for(vlm: LoadedModel) -> Iterator[None]:
    """One thread for a small model on the CPU: threads cost it more than they give."""
    before = torch.get_num_threads()
    width = vlm.model.config.get_text_config(decoder=True).hidden_size
    if vlm.device.type == "cpu" and width <= SMALL_WIDTH:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run_blocks(
    vlm: LoadedModel,
    merge: InMemoryMerge,
    videos: Mapping[str, VideoItems],
    work: Sequence[tuple[str, Block]],
    settings: AttributionSettings,
    path: Path,
    watch: RunWatch,
) -> None:
    total = sum(len(videos[name].items) for name, _ in work)
    count = 0
    left = [(name, block.condition) for name, block in work]
    with JsonlAppender(path) as file:
        for number, (name, block) in enumerate(work):
            records: dict[int, FrameAttribution] = {}
            with in_force(block.state, vlm, merge):
                for place, record in block_records(vlm, videos[name], block, settings):
                    records[place] = record
                    count += 1
                    watch.attributed(count, total, " ".join(block.key(name)))
            for place in sorted(records):
                file.append(records[place].to_row())
            forgotten = (name, block.condition)
            if block.condition != VIDEO and forgotten not in left[number + 1 :]:
                videos[name].forget(block.condition)


def _prepared(
    vlm: LoadedModel, name: str, chosen: ItemSet, settings: AttributionSettings, watch: RunWatch
) -> VideoItems:
    file, items = chosen.read()
    videos = VideoItems(
        vlm,
        file,
        drawn_items(items, settings.limit, settings.seed),
        name,
        VideoSettings(
            settings.scoring, settings.baseline, SHUFFLE_SEED, decoding=settings.decoding
        ),
        progress=watch.preparing,
    )
    # without a single one there is nothing to do, whatever may fail
    max_failed = settings.max_failed if videos.places else 0.0
    refuse_failures(videos.videos, videos.items, videos.failures, max_failed, "attributed")
    return videos


def _tell_estimate(
    vlm: LoadedModel,
    videos: Mapping[str, VideoItems],
    work: Sequence[tuple[str, Block]],
    settings: AttributionSettings,
    watch: RunWatch,
) -> None:
    if not work:
        return
    part = videos[work[0][0]]
    n_items = max(len(videos[name].places) for name, _ in work)
    estimate = estimate_run(
        vlm,
        part.framed(part.places[len(part.places) // 2], VIDEO),
        settings,
        methods=[block.method for _, block in work],
        n_items=n_items,
    )
    watch.estimated(estimate, n_items)


def _keep_first_blocks(path: Path, planned: Mapping[Key, int]) -> set[Key]:
    """Drop all from the first block on that is not whole; the keys of those before it.

    Readers take the first block's method for the run's main one, so that no block may be written
    after others that belong behind it.

    Args:
        path: `attributions.jsonl`; may be missing.
        planned: Items of each block of the run, in the order in which blocks are written.
    """
    rows = read_jsonl(path)
    keys: list[Key] = [(r["item_set"], r["model"], r["condition"], r["method"]) for r in rows]
    counts = Counter(keys)
    whole = set(itertools.takewhile(lambda key: counts[key] == planned[key], planned))
    kept = [row for row, key in zip(rows, keys, strict=True) if key in whole]
    if len(kept) < len(rows):
        _write_lines(path, kept)
    return whole


def _write_pictures(path: Path, videos: Mapping[str, VideoItems]) -> None:
    rows = [picture.to_row() for part in videos.values() for picture in part.pictures.values()]
    _write_lines(path, rows)


def _write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def _describe(
    run: Path,
    recipe: Recipe,
    item_sets: Mapping[str, ItemSet],
    settings: AttributionSettings,
    processor: str,
) -> None:
    """Write run.json and recipe.json, or check that they are the ones of this attribution."""
    described = {
        "scoring": settings.scoring.model_dump(mode="json"),
        "attribution": {
            key: value
            for key, value in dataclasses.asdict(settings).items()
            # what was not asked for is not described, as in runs from before one could ask
            if key not in ("scoring", "placement", "batch_size", "decoding")
            and not (key == "video_controls" and value is None)
        },
        "recipe": recipe.merge_hash,
        "item_sets": {name: chosen.to_row() for name, chosen in item_sets.items()},
    }
    digests = {f"items:{name}": items_digest(c.path) for name, c in item_sets.items()}
    record = provenance(
        seed=settings.seed,
        device=settings.placement.device,
        dtype=settings.placement.dtype,
        device_map=settings.placement.device_map,
        fingerprints={
            "vlm": recipe.vlm.fingerprint, "backbone": recipe.backbone.fingerprint, **digests
        },
        settings=described,
        processor=processor,
    )  # fmt: skip
    path = run / "run.json"
    if path.exists():
        refuse_other(json.loads(path.read_text()), record, run)
        return
    write_json(path, record.to_row())
    write_recipe(recipe, run / "recipe.json")
