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
from pathlib import Path

import torch

from merit_interp.errors import RunError
from merit_interp.merging.merge_plan import require_made_for, shared_tensors, tensor_shares
from merit_interp.merging.methods import MergeMethod, merge_method
from merit_interp.merging.model_card import model_card
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import backbone_family, vlm_family
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.pairing import layout_differences, refuse_differences, text_config
from merit_interp.models.text_tensors import text_tensors
from merit_interp.recipe import Recipe, write_recipe
from merit_interp.record_files import directory_written_whole

GIB = 2**30

MergeInputs = tuple[str, float]
"""The backbone's key and the share of it that goes into a tensor of the VLM."""


def write_merged(
    recipe: Recipe,
    out: Path,
    *,
    vlm: Checkpoint,
    backbone: Checkpoint,
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
        progress: Called with bytes written and bytes in all after each weight file.

    Raises:
        RecipeError: The recipe does not fit the checkpoints.
        PairError: The checkpoints do not pair.
        CheckpointError: A tensor cannot be read or holds NaN.
        RunError: `out` exists, cannot be written, or the disk has no room.
    """
    with directory_written_whole(out) as directory:
        require_made_for(recipe, vlm=fingerprint(vlm), backbone=fingerprint(backbone))
        inputs = _merge_inputs(recipe, vlm, backbone)
        method = merge_method(recipe.method)
        companions = vlm.companion_files()
        _require_room(directory, out, vlm, companions)
        for companion in companions:
            target = directory / companion
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(vlm.directory / companion, target)
        written = 0
        for file in vlm.files:
            _write_weight_file(file, directory / file.name, inputs, method, vlm, backbone)
            written += file.stat().st_size
            if progress is not None:
                progress(written, vlm.n_bytes)
        write_recipe(recipe, directory / "recipe.json")
        (directory / "README.md").write_text(model_card(recipe, out.name), encoding="utf-8")


def _merge_inputs(
    recipe: Recipe, vlm: Checkpoint, backbone: Checkpoint
) -> Mapping[str, MergeInputs]:
    """For each of the VLM's keys that changes: the backbone's key and its share."""
    refuse_differences(
        vlm.source, backbone.source, layout_differences(text_config(vlm), text_config(backbone))
    )
    family = vlm_family(vlm.config, vlm.source)
    keys = text_tensors(vlm, family)
    backbone_keys = text_tensors(backbone, backbone_family(backbone.config, backbone.source))
    n_layers = 1 + max(tensor.layer for tensor in keys)
    shares = tensor_shares(recipe, keys, family, n_layers=n_layers)
    shared = shared_tensors(
        {tensor: vlm.shape(keys[tensor]) for tensor in shares},
        {tensor: backbone.shape(key) for tensor, key in backbone_keys.items()},
        family,
    )
    return {keys[tensor]: (backbone_keys[tensor], shares[tensor]) for tensor in shared}


def _write_weight_file(
    source: Path,
    target: Path,
    inputs: Mapping[str, MergeInputs],
    method: MergeMethod,
    vlm: Checkpoint,
    backbone: Checkpoint,
) -> None:
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        for key, (backbone_key, share) in inputs.items():
            place = vlm.stored[key]
            if place.file != source:
                continue
            merged = method(vlm.finite_tensor(key), backbone.finite_tensor(backbone_key), share)
            content = merged.contiguous().flatten().view(torch.uint8).numpy().tobytes()
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
