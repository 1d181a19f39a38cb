"""A merged checkpoint on disk, written without ever holding a model in memory.

    write_merged(recipe, Path("merged"), vlm=vlm_checkpoint, backbone=backbone_checkpoint)

Each of the VLM's weight files is copied, and the bytes of the merged tensors in it are overwritten;
so key names, element types, sharding, index and tied weights are the VLM's own by construction, and
one tensor of each side is in memory at a time. This file must not know modules in memory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from merit_interp.errors import RunError
from merit_interp.merging.merge_plan import MergePlan, Shapes, merge_plan, require_made_for
from merit_interp.merging.model_card import model_card
from merit_interp.merging.text_side import TextSide, open_text_side
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import vlm_family
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.pairing import text_config
from merit_interp.models.text_tensors import TextTensor, text_tensors
from merit_interp.recipe import Recipe, write_recipe
from merit_interp.record_files import directory_written_whole

GIB = 2**30


@dataclass(frozen=True)
class _Sides:
    """What a merge reads, and what it does with it."""

    plan: MergePlan
    changed: Mapping[str, TextTensor]
    """The VLM's keys whose tensors change."""
    vlm: Checkpoint
    backbone: TextSide
    base: TextSide | None

    def merged(self, key: str) -> torch.Tensor:
        tensor = self.changed[key]
        vlm, backbone = self.vlm.finite_tensor(key), self.backbone.tensor(tensor)
        base = self.base.tensor(tensor) if self.base else None
        return self.plan[tensor].merged(tensor, vlm, backbone, base)


def write_merged(
    recipe: Recipe,
    out: Path,
    *,
    vlm: Checkpoint,
    backbone: Checkpoint,
    base: Checkpoint | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the merged model as a checkpoint directory that transformers loads.

    Beside the weights it holds the VLM's config, tokenizer, processor and chat template,
    `recipe.json`, and a model card as `README.md`. The directory takes its name when all is there.

    Args:
        recipe: What to merge; made for these two checkpoints.
        out: A directory that does not exist yet.
        vlm: The VLM's checkpoint.
        backbone: The backbone's checkpoint.
        base: The common ancestor's, for a recipe that names one.
        progress: Called with bytes written and bytes in all after each weight file.

    Raises:
        RecipeError: The recipe does not fit the checkpoints.
        PairError: The checkpoints do not pair.
        CheckpointError: A tensor cannot be read or holds NaN.
        RunError: `out` exists, cannot be written, or the disk has no room.
    """
    with directory_written_whole(out) as directory:
        base = base if recipe.base else None
        require_made_for(
            recipe,
            vlm=fingerprint(vlm),
            backbone=fingerprint(backbone),
            base=fingerprint(base) if base else None,
        )
        sides = _sides(recipe, vlm, backbone, base)
        companions = vlm.companion_files()
        _require_room(directory, out, vlm, companions)
        for companion in companions:
            target = directory / companion
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(vlm.directory / companion, target)
        written = 0
        for file in vlm.files:
            _write_weight_file(file, directory / file.name, sides)
            written += file.stat().st_size
            if progress is not None:
                progress(written, vlm.n_bytes)
        write_recipe(recipe, directory / "recipe.json")
        (directory / "README.md").write_text(model_card(recipe, out.name), encoding="utf-8")


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


def _write_weight_file(source: Path, target: Path, sides: _Sides) -> None:
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for key in sides.changed:
            place = sides.vlm.stored[key]
            if place.file != source:
                continue
            content = sides.merged(key).contiguous().flatten().view(torch.uint8).numpy().tobytes()
            assert len(content) == place.n_bytes, f"{key} changed its size"
            file.seek(place.start)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
