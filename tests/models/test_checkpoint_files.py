from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import INDEX, WEIGHTS, Checkpoint, read_header
from tests.models.edited_checkpoints import copied
from tests.tiny_models import TinyPair


def test_tensors_are_those_of_safetensors(pair_on_disk: TinyPair) -> None:
    checkpoint = Checkpoint.open(pair_on_disk.vlm)
    expected = load_file(pair_on_disk.vlm / WEIGHTS)
    assert checkpoint.tensor_names == tuple(sorted(expected))
    for name, tensor in expected.items():
        assert torch.equal(checkpoint.tensor(name), tensor)
        assert checkpoint.shape(name) == tuple(tensor.shape)
        assert checkpoint.dtype(name) == tensor.dtype


def test_shards_are_read_through_their_index(sharded_pair: TinyPair) -> None:
    checkpoint = Checkpoint.open(sharded_pair.vlm)
    assert len(checkpoint.files) > 3
    assert checkpoint.n_bytes == sum(path.stat().st_size for path in checkpoint.files)
    for file in checkpoint.files:
        for name, tensor in load_file(file).items():
            assert torch.equal(checkpoint.tensor(name), tensor)


def test_a_tensors_place_holds_its_bytes(sharded_pair: TinyPair) -> None:
    checkpoint = Checkpoint.open(sharded_pair.backbone)
    for name, place in checkpoint.stored.items():
        content = place.file.read_bytes()[place.start : place.start + place.n_bytes]
        there = torch.frombuffer(bytearray(content), dtype=checkpoint.dtype(name))
        assert torch.equal(there.reshape(place.shape), checkpoint.tensor(name))


def test_companions_are_all_but_the_weights(pair_on_disk: TinyPair) -> None:
    companions = {str(path) for path in Checkpoint.open(pair_on_disk.vlm).companion_files()}
    assert companions >= {"config.json", "tokenizer.json", "processor_config.json"}
    assert companions >= {"chat_template.jinja", "video_preprocessor_config.json"}
    assert WEIGHTS not in companions


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(keep=st.floats(0.0, 1.0, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "cut.safetensors"
    save_file({"a": torch.arange(64.0), "b": torch.ones(3, 5)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(CheckpointError, match="truncated or no safetensors file"):
        read_header(path)


def truncate(directory: Path) -> None:
    path = directory / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def only_pickled(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "pytorch_model.bin")


def torn_config(directory: Path) -> None:
    (directory / "config.json").write_text('{"model_type": "qw')


def index_without_shard(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "one.safetensors")
    (directory / INDEX).write_text(
        json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}})
    )


def index_with_other_names(directory: Path) -> None:
    (directory / WEIGHTS).rename(directory / "one.safetensors")
    (directory / INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))


def index_out_of_the_directory(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    (directory / INDEX).write_text(json.dumps({"weight_map": {"a": "../one.safetensors"}}))


def empty_index(directory: Path) -> None:
    (directory / WEIGHTS).unlink()
    (directory / INDEX).write_text("{}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "model.safetensors is truncated"),
        (lambda d: (d / WEIGHTS).write_bytes(b""), "model.safetensors is truncated"),
        (lambda d: (d / WEIGHTS).write_text("a git-lfs pointer, not weights"), "truncated or no"),
        (lambda d: (d / WEIGHTS).unlink(), "has no safetensors; valid: weights in"),
        (only_pickled, r"pickled weights \(.bin\) only; valid: weights in model.safetensors"),
        (lambda d: (d / "config.json").unlink(), "has no config.json; valid: a checkpoint"),
        (torn_config, "cannot read .*config.json"),
        (index_without_shard, "names two.safetensors, which is not there"),
        (index_with_other_names, "lacks a, which"),
        (index_out_of_the_directory, "places a in '../one.safetensors'"),
        (empty_index, "names no tensor"),
        (shutil.rmtree, "no directory /"),
    ],
)
def test_damage_is_one_clear_line(
    pair_on_disk: TinyPair, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    directory = copied(pair_on_disk.backbone, tmp_path / "damaged")
    damage(directory)
    with pytest.raises(CheckpointError, match=message) as refused:
        Checkpoint.open(directory)
    assert "\n" not in str(refused.value)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(CheckpointError, match="is a file"):
        Checkpoint.open(file)
    with pytest.raises(CheckpointError, match=r"no directory models; valid: .*owner/name"):
        Checkpoint.open("models")
    with pytest.raises(CheckpointError, match="is a directory, so it has no revision 'main'"):
        Checkpoint.open(tmp_path, revision="main")


@pytest.mark.parametrize("source", ["nobody/not-a-model", "no body/!"])
def test_a_hub_id_out_of_reach_is_one_clear_line(source: str) -> None:
    with pytest.raises(CheckpointError, match="not reachable as a hub id") as refused:
        Checkpoint.open(source)
    assert "\n" not in str(refused.value)
    assert "valid: a checkpoint directory, or a hub id" in str(refused.value)


def test_a_hub_id_in_the_cache_opens_at_its_commit(
    pair_on_disk: TinyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--owner--tiny"
    copied(pair_on_disk.backbone, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for revision in (None, commit):
        checkpoint = Checkpoint.open("owner/tiny", revision=revision)
        assert checkpoint.source == "owner/tiny"
        assert checkpoint.revision == commit
        assert checkpoint.tensor_names == Checkpoint.open(pair_on_disk.backbone).tensor_names
    with pytest.raises(CheckpointError, match="owner/tiny@other is no directory here, and not"):
        Checkpoint.open("owner/tiny", revision="other")


def test_tensors_that_are_no_finite_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    tensors = {"nan": torch.tensor([1.0, torch.nan]), "whole": torch.tensor([1, 2])}
    save_file(tensors, tmp_path / WEIGHTS)
    checkpoint = Checkpoint.open(tmp_path)
    with pytest.raises(CheckpointError, match="tensor nan holds NaN"):
        checkpoint.finite_tensor("nan")
    with pytest.raises(CheckpointError, match=r"tensor whole is torch.int64; valid: float"):
        checkpoint.finite_tensor("whole")
    with pytest.raises(CheckpointError, match="has no tensor other"):
        checkpoint.tensor("other")
