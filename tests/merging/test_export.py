from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import weakref
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoTokenizer

from merit_interp.errors import CheckpointError, PairError, RecipeError, RunError
from merit_interp.merging import export, weight_stream
from merit_interp.merging.export import write_merged
from merit_interp.models import checkpoint_files, file_digests
from merit_interp.models.checkpoint_files import INDEX, Checkpoint, read_bytes
from merit_interp.models.fingerprints import fingerprint, is_fingerprinted
from merit_interp.recipe import ModelReference, Recipe, read_recipe
from tests.merging.conftest import Opened
from tests.models.edited_checkpoints import Tensors, copied, with_config, with_tensors
from tests.tiny_models import N_LAYERS, TinyPair

RECIPES: list[dict[str, Any]] = [
    {},
    {"layers": {0: 0.3, 2: 1.0}},
    {"layers": {1: {"q": 0.7, "o": 0.1}, 3: 0.5}, "projections": ("q", "o")},
    {"layers": dict.fromkeys(range(N_LAYERS), 0.35), "weights": "text"},
]


def written(opened: Opened, recipe: Recipe, out: Path, **settings: Any) -> Path:
    write_merged(recipe, out, vlm=opened.vlm, backbone=opened.backbone, **settings)
    return out


@pytest.mark.parametrize("kind", ["whole", "sharded"])
@pytest.mark.parametrize("fields", RECIPES)
def test_the_merge_on_disk_is_the_merge_in_memory(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, fields: dict[str, Any]
) -> None:
    opened: Opened = request.getfixturevalue(kind)
    recipe = opened.recipe(**fields)
    out = written(opened, recipe, tmp_path / "merged")
    model, report = AutoModelForImageTextToText.from_pretrained(
        out, dtype="auto", output_loading_info=True
    )
    assert not any(report.values()), report
    on_disk = dict(model.named_parameters())
    with opened.merge(weights="text").applied(recipe):
        in_memory = dict(opened.loaded.model.named_parameters())
        assert on_disk.keys() == in_memory.keys()
        for name, parameter in in_memory.items():
            assert parameter.dtype == on_disk[name].dtype
            assert torch.equal(parameter, on_disk[name]), name


def test_key_names_types_shards_and_index_are_the_vlms(sharded: Opened, tmp_path: Path) -> None:
    recipe = sharded.recipe(layers={0: 0.5})
    out = written(sharded, recipe, tmp_path / "merged")
    merged = Checkpoint.open(out)
    assert (out / INDEX).read_bytes() == (sharded.directories.vlm / INDEX).read_bytes()
    assert [f.name for f in merged.files] == [f.name for f in sharded.vlm.files]
    for name, place in sharded.vlm.stored.items():
        there = merged.stored[name]
        assert (there.file.name, there.shape, there.dtype) == (
            place.file.name,
            place.shape,
            place.dtype,
        )
    changed = {
        name
        for file in merged.files
        for name, tensor in load_file(file).items()
        if not torch.equal(tensor, sharded.vlm.tensor(name))
    }
    prefix = "language_model.model.layers.0.self_attn."
    assert len(changed) == 7
    assert all(name.startswith(prefix) for name in changed)


def test_the_identity_is_a_copy_of_the_weights(whole: Opened, tmp_path: Path) -> None:
    out = written(whole, whole.identity, tmp_path / "merged")
    for file in whole.vlm.files:
        assert (out / file.name).read_bytes() == file.read_bytes()
    assert "this is the VLM unchanged" in (out / "README.md").read_text()


@pytest.mark.parametrize("kind", ["whole", "sharded"])
def test_tied_weights_stay_tied_and_untied_ones_apart(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    opened: Opened = request.getfixturevalue(kind)
    out = written(opened, opened.recipe(layers={0: 0.5}), tmp_path / "merged")
    model = AutoModelForImageTextToText.from_pretrained(out, dtype="auto")
    tied = model.lm_head.weight is model.get_input_embeddings().weight
    assert tied == (kind == "whole")
    assert torch.equal(model.lm_head.weight, opened.loaded.model.lm_head.weight)


def test_all_that_belongs_to_a_checkpoint_lies_beside_it(whole: Opened, tmp_path: Path) -> None:
    recipe = whole.recipe(layers={1: 0.25, 3: {"q": 1.0, "k": 0.5}})
    out = written(whole, recipe, tmp_path / "merged")
    source = whole.directories.vlm
    names = {path.name for path in out.iterdir()}
    assert names == {path.name for path in source.iterdir()} | {"README.md", "recipe.json"}
    assert {"chat_template.jinja", "processor_config.json", "tokenizer.json"} <= names
    for name in names - {"README.md", "recipe.json", "model.safetensors"}:
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert AutoTokenizer.from_pretrained(out).chat_template == whole.loaded.tokenizer.chat_template
    assert read_recipe(out / "recipe.json").merge_hash == recipe.merge_hash


def test_the_files_of_a_merged_model_can_be_merged_again(whole: Opened, tmp_path: Path) -> None:
    first = written(whole, whole.recipe(layers={0: 0.5}), tmp_path / "first")
    vlm = Checkpoint.open(first)
    reference = whole.identity.vlm.model_copy(update={"fingerprint": fingerprint(vlm)})
    recipe = whole.recipe(vlm=reference, layers={1: 0.5})
    write_merged(recipe, tmp_path / "second", vlm=vlm, backbone=whole.backbone)
    assert read_recipe(tmp_path / "second" / "recipe.json").layers == {1: 0.5}


def test_progress_counts_bytes(sharded: Opened, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    written(
        sharded,
        sharded.identity,
        tmp_path / "merged",
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (sharded.vlm.n_bytes, sharded.vlm.n_bytes)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks and pieces smaller than a tiny tensor, and no divisor of its size."""
    monkeypatch.setattr(weight_stream, "BLOCK", 1000)
    monkeypatch.setattr(export, "PIECE", 77)
    return 1000


@pytest.mark.parametrize("kind", ["whole", "sharded"])
@pytest.mark.parametrize("fields", RECIPES)
def test_blocks_change_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, fields: dict[str, Any]
) -> None:
    opened: Opened = request.getfixturevalue(kind)
    recipe = opened.recipe(**fields)
    at_once = written(opened, recipe, tmp_path / "at_once")
    request.getfixturevalue("small_blocks")
    in_blocks = written(opened, recipe, tmp_path / "in_blocks")
    for path in at_once.glob("*.safetensors"):
        assert (in_blocks / path.name).read_bytes() == path.read_bytes()


def test_a_few_blocks_are_in_memory_at_most(
    whole: Opened, tmp_path: Path, small_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def watched(file: FileIO, n_bytes: int) -> torch.Tensor:
        nonlocal most
        block = read_bytes(file, n_bytes)
        assert block.numel() <= small_blocks
        alive.add(block)
        most = max(most, len(alive))
        return block

    monkeypatch.setattr(weight_stream, "read_bytes", watched)
    monkeypatch.setattr(checkpoint_files, "read_bytes", watched)
    monkeypatch.setattr(Checkpoint, "tensor", None)
    written(whole, whole.recipe(**RECIPES[-1]), tmp_path / "merged")
    # the one being merged, its predecessor in the digest, and the backbone's
    assert 1 <= most <= 3


def test_what_is_read_is_digested_in_the_same_pass(
    pair: TinyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "_in_process", {})
    vlm, backbone = Checkpoint.open(pair.vlm), Checkpoint.open(pair.backbone)
    references = [
        ModelReference(source=side.source, fingerprint=fingerprint(side))
        for side in (vlm, backbone)
    ]
    recipe = Recipe(vlm=references[0], backbone=references[1], layers={0: 0.5})
    monkeypatch.setattr(file_digests, "_in_process", {})
    write_merged(recipe, tmp_path / "merged", vlm=vlm, backbone=backbone)
    assert is_fingerprinted(vlm)
    # a recipe for another VLM of this layout is refused, though only after the pass
    wrong = recipe.replaced(vlm=references[0].model_copy(update={"fingerprint": "sha256:0"}))
    for known in (False, True):
        if not known:
            monkeypatch.setattr(file_digests, "_in_process", {})
        with pytest.raises(RecipeError, match="made for another VLM"):
            write_merged(wrong, tmp_path / "other", vlm=vlm, backbone=backbone)
    assert {path.name for path in tmp_path.iterdir()} == {"merged"}


def test_a_source_that_changes_meanwhile_is_refused(
    sharded: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = copied(sharded.directories.vlm, tmp_path / "vlm")
    vlm = Checkpoint.open(moved)

    other = bytearray(vlm.files[0].read_bytes())
    other[-1] ^= 1

    def meddle(done: int, total: int) -> None:
        if done > total / 2:
            vlm.files[0].write_bytes(other)

    with pytest.raises(RecipeError, match="made for another VLM"):
        write_merged(
            sharded.recipe(layers={0: 1.0}),
            tmp_path / "merged",
            vlm=vlm,
            backbone=sharded.backbone,
            progress=meddle,
        )
    assert {path.name for path in tmp_path.iterdir()} == {"vlm"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_middle_leaves_nothing(
    sharded: Opened, tmp_path: Path, error: type[BaseException]
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total / 2:
            raise error

    with pytest.raises(error):
        written(sharded, sharded.recipe(layers={0: 1.0}), tmp_path / "m", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_middle_leaves_nothing_under_the_final_name(
    sharded: Opened, tmp_path: Path
) -> None:
    def kill(done: int, total: int) -> None:
        if done > total / 2:
            os.kill(os.getpid(), signal.SIGKILL)

    # the fingerprints are known here, so that the child only copies files
    recipe = sharded.recipe(layers={0: 1.0})
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        written(sharded, recipe, tmp_path / "merged", progress=kill)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not (tmp_path / "merged").exists()
    # and the next run is not hindered by what was left
    assert written(sharded, recipe, tmp_path / "merged").is_dir()


def test_a_full_disk_is_noticed_before_anything_is_written(
    sharded: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(RunError, match=r"merged needs 0.00 GiB, and its disk has 0.00 GiB left"):
        written(sharded, sharded.identity, tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_one_clear_line(whole: Opened, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*merged: File too large"):
            written(whole, whole.identity, tmp_path / "merged")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_exists_is_refused(whole: Opened, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(RunError, match=r"exists already; valid: a directory that does not exist"):
        written(whole, whole.identity, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


def test_what_does_not_fit_is_refused_and_leaves_nothing(whole: Opened, tmp_path: Path) -> None:
    other = whole.identity.backbone.model_copy(update={"fingerprint": "sha256:0"})
    out = tmp_path / "out" / "merged"
    for fields, message in (
        ({"layers": {N_LAYERS: 1.0}}, "layer 4 is not in the model; valid: layers 0 to 3"),
        ({"backbone": other}, "made for another backbone"),
        ({"method": "dare"}, "no merge method 'dare'; valid: .*linear"),
    ):
        with pytest.raises(RecipeError, match=message):
            written(whole, whole.recipe(**fields), out)
    assert list(out.parent.iterdir()) == []


def test_a_backbone_of_another_layout_is_refused(whole: Opened, tmp_path: Path) -> None:
    source = whole.directories.backbone
    backbone = Checkpoint.open(
        with_config(source, tmp_path / "b", num_attention_heads=8, num_key_value_heads=4)
    )
    reference = whole.identity.backbone.model_copy(update={"fingerprint": fingerprint(backbone)})
    recipe = whole.recipe(backbone=reference, layers={0: 1.0})
    with pytest.raises(PairError, match="num_attention_heads 4 against 8"):
        write_merged(recipe, tmp_path / "merged", vlm=whole.vlm, backbone=backbone)


def test_nan_in_either_side_is_named_and_leaves_nothing(whole: Opened, tmp_path: Path) -> None:
    key = "model.layers.2.self_attn.q_proj.weight"

    def damaged(tensors: Tensors) -> Tensors:
        tensors[key][1, 1] = torch.nan
        return tensors

    backbone = Checkpoint.open(with_tensors(whole.directories.backbone, tmp_path / "b", damaged))
    reference = whole.identity.backbone.model_copy(update={"fingerprint": fingerprint(backbone)})
    recipe = whole.recipe(backbone=reference, layers={2: 0.5})
    with pytest.raises(CheckpointError, match=f"tensor {key} holds NaN"):
        write_merged(recipe, tmp_path / "merged", vlm=whole.vlm, backbone=backbone)
    assert {path.name for path in tmp_path.iterdir()} == {"b"}


def test_the_model_card_tells_what_was_merged(whole: Opened, tmp_path: Path) -> None:
    recipe = whole.recipe(layers={1: 0.25, 3: {"q": 1.0, "k": 0.5}})
    card = (written(whole, recipe, tmp_path / "merged") / "README.md").read_text()
    header = card.split("---")[1]
    assert "library_name: transformers" in header
    assert "base_model:" not in header  # directories are no hub ids
    assert str(whole.directories.vlm.parent) not in card
    assert "| 1 | 0.25 |" in card
    assert "| 3 | q 1, k 0.5 |" in card
    assert recipe.vlm.fingerprint in card
    json.loads((tmp_path / "merged" / "recipe.json").read_text())
