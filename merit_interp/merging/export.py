"""A merged checkpoint on disk, written without ever holding a model in memory.

    write_merged(recipe, Path("merged"), vlm=vlm_checkpoint, backbone=backbone_checkpoint)

Each of the VLM's weight files is read once, and written with other bytes where a tensor is merged;
so key names, element types, sharding, index and tied weights are the VLM's own by construction.
Methods that work element by element get a few MiB of each side at a time, others one whole tensor
of each side. What is read is digested in passing, and the directory takes its name only if the
fingerprints are the recipe's. This file must not know modules in memory.
"""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import (
    FIRST_EXCEPTION,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.errors import RunError
from merit_interp.merging.lmms_eval import lmms_eval_section
from merit_interp.merging.merge_plan import MergePlan, Shapes, merge_plan, require_made_for
from merit_interp.merging.methods import merge_method
from merit_interp.merging.model_card import model_card
from merit_interp.merging.part_directories import merged_directory
from merit_interp.merging.text_side import TextSide, open_text_side
from merit_interp.merging.weight_stream import Change, stream_weight_file
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import vlm_family
from merit_interp.models.file_digests import (
    PassingDigest,
    file_stamp,
    known_digest,
    remember_digest,
)
from merit_interp.models.fingerprints import (
    fingerprint,
    fingerprinted_meanwhile,
    is_fingerprinted,
)
from merit_interp.models.pairing import text_config
from merit_interp.models.text_tensors import TextTensor, text_tensors
from merit_interp.recipe import Recipe, Scoring, write_recipe

GIB = 2**30
AT_ONCE = 2
"""Weight files written at a time where blocks are merged one by one: one waits for the disk, the
other computes."""
PIECE = 2**18
"""Values merged at a time: little enough to stay in a processor's cache, four times as fast."""


SIGNALS_HEARD_S = 0.5


@dataclass(frozen=True)
class _Sides:
    """What a merge reads, and what it does with it."""

    plan: MergePlan
    changed: Mapping[str, TextTensor]
    """The VLM's keys whose tensors change."""
    vlm: Checkpoint
    backbone: TextSide
    base: TextSide | None

    def changes(self, file: Path) -> list[Change]:
        """What is rewritten in one of the VLM's weight files."""
        return [
            Change(
                self.vlm.stored[key],
                functools.partial(self._rewritten, key),
                in_blocks=merge_method(self.plan[tensor].method).is_elementwise,
            )
            for key, tensor in self.changed.items()
            if self.vlm.stored[key].file == file
        ]

    def _rewritten(self, key: str, start: int, block: torch.Tensor) -> torch.Tensor:
        """The merged bytes in place of the VLM's, which start at byte `start` of the tensor."""
        tensor, dtype = self.changed[key], self.vlm.float_dtype(key)
        merge = functools.partial(self.plan[tensor].merged, tensor)
        own = block.view(dtype)
        self.vlm.require_finite(key, own)
        others = [
            side.part(tensor, start // dtype.itemsize, own.numel())
            for side in (self.backbone, self.base)
            if side is not None
        ]
        if not merge_method(self.plan[tensor].method).is_elementwise:
            shape = self.vlm.shape(key)
            whole = merge(own.view(shape), *(other.view(shape) for other in others))
            return whole.contiguous().flatten().view(torch.uint8)
        merged = torch.empty_like(own)
        for piece in range(0, own.numel(), PIECE):
            span = slice(piece, piece + PIECE)
            merged[span] = merge(own[span], *(other[span] for other in others))
        return merged.view(torch.uint8)


def write_merged(
    recipe: Recipe,
    out: Path,
    *,
    vlm: Checkpoint,
    backbone: Checkpoint,
    base: Checkpoint | None = None,
    lmms_eval: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the merged model as a checkpoint directory that transformers loads.

    Beside the weights it holds the VLM's config, tokenizer, processor and chat template,
    `recipe.json`, and a model card as `README.md`. The directory takes its name when all is there;
    what a killed merge into the same place left behind is cleared.

    Args:
        recipe: What to merge; made for these two checkpoints.
        out: A directory that does not exist yet.
        vlm: The VLM's checkpoint.
        backbone: The backbone's checkpoint.
        base: The common ancestor's, for a recipe that names one.
        lmms_eval: Tasks of lmms-eval whose command the model card says.
        progress: Called with bytes written and bytes in all after each weight file.

    Raises:
        RecipeError: The recipe does not fit the checkpoints.
        PairError: The checkpoints do not pair.
        CheckpointError: A tensor cannot be read or holds NaN.
        RunError: `out` exists, cannot be written, or the disk has no room.
        SettingError: lmms-eval is asked for and cannot load such a checkpoint.
    """
    scoring = _scoring(recipe, vlm, lmms_eval, out.name) if lmms_eval else []
    sides = _sides(recipe, vlm, backbone, base if recipe.base else None)
    with merged_directory(out) as directory:
        companions = vlm.companion_files()
        _require_room(directory, out, vlm, companions)
        for companion in companions:
            target = directory / companion
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(vlm.directory / companion, target)
        _write_weights(recipe, directory, sides, progress or (lambda done, total: None))
        write_recipe(recipe, directory / "recipe.json")
        card = model_card(recipe, out.name, scoring=scoring)
        (directory / "README.md").write_text(card, encoding="utf-8")


def _scoring(recipe: Recipe, vlm: Checkpoint, tasks: Sequence[str], name: str) -> list[str]:
    """What the model card says of lmms-eval."""
    max_frames = (recipe.items.scoring if recipe.items else Scoring()).max_frames
    return lmms_eval_section(vlm_family(vlm.config, vlm.source).model_type, tasks, name, max_frames)


def _write_weights(
    recipe: Recipe, directory: Path, sides: _Sides, progress: Callable[[int, int], None]
) -> None:
    """Write every weight file; what was read must be what the recipe was made for."""
    vlm = sides.vlm
    others = {"backbone": sides.backbone.checkpoint}
    if sides.base is not None:
        others["base"] = sides.base.checkpoint
    if all(map(is_fingerprinted, (vlm, *others.values()))):
        # refused before gigabytes are written; where a file must be read first, after that
        known = {role: fingerprint(checkpoint) for role, checkpoint in others.items()}
        require_made_for(recipe, vlm=fingerprint(vlm), **known)
    at_once = AT_ONCE if merge_method(recipe.method).is_elementwise else 1
    passed = _Passed(vlm.n_bytes, progress)
    with (
        fingerprinted_meanwhile(*others.values()) as found,
        ThreadPoolExecutor(1) as hashing,
        ThreadPoolExecutor(at_once) as writing,
    ):
        try:
            tasks = [
                writing.submit(_write_file, file, directory / file.name, sides, passed, hashing)
                for file in vlm.files
            ]
            _finish(tasks)
        except BaseException:
            # what failed, or Ctrl-C, is not to wait for gigabytes that nobody will read
            passed.stop.set()
            raise
        known = {role: found(checkpoint) for role, checkpoint in others.items()}
        require_made_for(recipe, vlm=fingerprint(vlm), **known)


def _finish(tasks: Iterable[Future[None]]) -> None:
    """Wait until all are done or one fails.

    In pieces, since a signal that comes just before an endless wait is not heard until its end.
    """
    left = set(tasks)
    while left:
        done, left = wait(left, SIGNALS_HEARD_S, return_when=FIRST_EXCEPTION)
        for task in done:
            task.result()


def _write_file(
    file: Path, target: Path, sides: _Sides, passed: _Passed, hashing: ThreadPoolExecutor
) -> None:
    """Write one weight file; its digest is remembered if it was not known."""
    stamp = file_stamp(file)
    digest = None if known_digest(file) else PassingDigest(hashing)

    def seen(block: memoryview) -> None:
        if digest is not None:
            digest.update(block)
        passed.add(len(block))

    stream_weight_file(file, target, sides.changes(file), seen=seen)
    if digest is not None:
        remember_digest(file, stamp, digest.hexdigest())


class _Passed:
    """Bytes of all files that were read, told as they pass; raises in every thread once stopped."""

    def __init__(self, total: int, progress: Callable[[int, int], None]) -> None:
        self.stop = threading.Event()
        self._total, self._done, self._progress = total, 0, progress
        self._lock = threading.Lock()

    def add(self, n_bytes: int) -> None:
        if self.stop.is_set():
            raise CancelledError
        with self._lock:
            self._done += n_bytes
            self._progress(self._done, self._total)


def _sides(
    recipe: Recipe, vlm: Checkpoint, backbone: Checkpoint, base: Checkpoint | None
) -> _Sides:
    """The models of a merge, checked to fit the recipe and one another."""
    config = text_config(vlm)
    text = open_text_side(backbone, config, vlm.source, role="backbone")
    ancestor = open_text_side(base, config, vlm.source, role="base") if base else None
    family = vlm_family(vlm.config, vlm.source)
    keys = text_tensors(vlm, family)
    shapes = Shapes(
        vlm={tensor: vlm.shape(key) for tensor, key in keys.items()},
        backbone=text.shapes,
        base=ancestor.shapes if ancestor else None,
    )
    plan = merge_plan(recipe, shapes, family)
    return _Sides(plan, {keys[tensor]: tensor for tensor in plan}, vlm, text, ancestor)


def _require_room(
    directory: Path, out: Path, vlm: Checkpoint, companions: tuple[Path, ...]
) -> None:
    needed = vlm.n_bytes + sum((vlm.directory / path).stat().st_size for path in companions)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise RunError(
            f"{out} needs {needed / GIB:.2f} GiB, and its disk has {free / GIB:.2f} GiB left",
            valid="--out on a disk with room",
        )
