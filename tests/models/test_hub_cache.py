"""Hub ids, read from a cache laid out on disk as huggingface_hub lays it out; no network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import load_backbone, load_vlm
from tests.cli.conftest import Command, command
from tests.models.edited_checkpoints import with_config
from tests.tiny_models import TinyPair

__all__ = ["command"]
FIRST, SECOND = "a" * 40, "b" * 40


def cached(
    cache: Path, repository: str, commit: str, source: Path, *, refs: tuple[str, ...]
) -> None:
    """One commit of a repository: blobs, a snapshot of links to them, and names of the commit."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir(exist_ok=True)
    for path in source.iterdir():
        blob = folder / "blobs" / f"{commit[0]}-{path.name}"
        shutil.copyfile(path, blob)
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob.name)
    for ref in refs:
        name = folder / "refs" / ref
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(commit)


@pytest.fixture
def hub(pair_on_disk: TinyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two commits of acme/vlm and one of acme/text."""
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cached(cache, "acme/vlm", FIRST, pair_on_disk.vlm, refs=("v1", "refs/pr/1"))
    newer = with_config(pair_on_disk.vlm, tmp_path / "newer", note="newer")
    cached(cache, "acme/vlm", SECOND, newer, refs=("main",))
    cached(cache, "acme/text", FIRST, pair_on_disk.backbone, refs=("main",))
    return cache


@pytest.mark.parametrize(
    ("source", "revision", "commit"),
    [
        ("acme/vlm", None, SECOND),
        ("acme/vlm", "main", SECOND),
        ("acme/vlm", "v1", FIRST),
        ("acme/vlm@v1", None, FIRST),
        ("acme/vlm@refs/pr/1", None, FIRST),
        (f"acme/vlm@{FIRST}", None, FIRST),
        ("acme/vlm", FIRST, FIRST),
    ],
)
@pytest.mark.usefixtures("hub")
def test_a_revision_is_the_commit_that_it_names(
    source: str, revision: str | None, commit: str
) -> None:
    checkpoint = Checkpoint.open(source, revision=revision)
    assert (checkpoint.source, checkpoint.revision) == ("acme/vlm", commit)
    assert ("note" in checkpoint.config) == (commit == SECOND)


@pytest.mark.usefixtures("hub")
def test_models_load_from_the_cache_and_know_their_commit(pair_on_disk: TinyPair) -> None:
    vlm, backbone = load_vlm("acme/vlm@v1"), load_backbone("acme/text", revision="main")
    assert (vlm.source, vlm.revision) == ("acme/vlm", FIRST)
    assert vlm.fingerprint == fingerprint(Checkpoint.open(pair_on_disk.vlm))
    # what a recipe writes down loads the same weights again
    reference = backbone.reference()
    assert load_backbone(reference.source, revision=reference.revision).fingerprint == (
        backbone.fingerprint
    )


@pytest.mark.usefixtures("hub")
def test_what_the_cache_lacks_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"acme/vlm@v9 is no directory here, and not reach"):
        Checkpoint.open("acme/vlm@v9")
    with pytest.raises(
        CheckpointError, match=r"asked for at two revisions, v1 and main; valid: one"
    ):
        Checkpoint.open("acme/vlm@v1", revision="main")
    with pytest.raises(CheckpointError, match=r"acme/other is no directory here"):
        Checkpoint.open("acme/other")


def test_a_half_downloaded_snapshot_is_refused(hub: Path) -> None:
    (hub / "models--acme--text" / "snapshots" / FIRST / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no safetensors"):
        Checkpoint.open("acme/text")
    # where weights are not needed, the config serves
    assert Checkpoint.open("acme/text", needs_weights=False).tensor_names == ()


@pytest.mark.usefixtures("hub")
def test_the_command_line_takes_a_hub_id_with_its_revision(command: Command) -> None:
    ended = command("pair", "--vlm", "acme/vlm@v1", "--backbone", "acme/text")
    assert ended.code == 0, ended.err
    ended = command("pair", "--vlm", "acme/vlm@v9", "--backbone", "acme/text")
    assert ended.code == 2
    assert "acme/vlm@v9" in ended.error_line
