from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from merit_interp.errors import CheckpointError, ItemError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from tests.models.edited_checkpoints import copied, with_config
from tests.tiny_models import TinyPair


def test_a_fingerprint_is_of_the_content_not_of_the_place(
    sharded_pair: TinyPair, tmp_path: Path
) -> None:
    here = fingerprint(Checkpoint.open(sharded_pair.vlm))
    moved = copied(sharded_pair.vlm, tmp_path / "moved")
    (moved / "README.md").write_text("a note changes no weight")
    assert fingerprint(Checkpoint.open(moved)) == here
    assert here.startswith("sha256:")
    assert len(here) == len("sha256:") + 64


def test_one_changed_bit_changes_it(sharded_pair: TinyPair, tmp_path: Path) -> None:
    here = fingerprint(Checkpoint.open(sharded_pair.vlm))
    changed = copied(sharded_pair.vlm, tmp_path / "changed")
    checkpoint = Checkpoint.open(changed)
    assert fingerprint(checkpoint) == here
    file = checkpoint.files[2]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert fingerprint(checkpoint) != here
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot read"):
        fingerprint(checkpoint)


def test_the_config_counts(pair_on_disk: TinyPair, tmp_path: Path) -> None:
    other = with_config(pair_on_disk.backbone, tmp_path / "other", rms_norm_eps=1e-5)
    assert fingerprint(Checkpoint.open(other)) != fingerprint(
        Checkpoint.open(pair_on_disk.backbone)
    )


def test_items_digest_is_the_files_sha256(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes(b"{}\n")
    assert items_digest(tmp_path / "items.jsonl") == hashlib.sha256(b"{}\n").hexdigest()
    with pytest.raises(ItemError, match=r"cannot read .*missing.jsonl"):
        items_digest(tmp_path / "missing.jsonl")
