from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from merit_interp.models import file_digests
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.file_digests import (
    CACHE,
    PassingDigest,
    Stopped,
    file_digest,
    file_stamp,
    known_digest,
    remember_digest,
)
from merit_interp.models.fingerprints import fingerprint, fingerprinted_meanwhile, is_fingerprinted
from tests.tiny_models import TinyPair


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of its own; a file counts as settled at once."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "SETTLED_NS", 0)
    return tmp_path / "cache"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(bytes(range(256)) * 40_000)
    return path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process knows."""
    monkeypatch.setattr(file_digests, "_in_process", {})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_next_process_remembers_it(
    cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert known_digest(weights) is None
    assert file_digest(weights) == sha256(weights)
    forget(monkeypatch)
    assert known_digest(weights) == sha256(weights)
    (kept,) = (cache / "digests").iterdir()
    assert json.loads(kept.read_text())["path"] == str(weights)


def test_a_changed_file_is_read_again_even_with_its_old_size_and_time(
    cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_digest(weights)
    before = weights.stat()
    content = bytearray(weights.read_bytes())
    content[7] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        assert known_digest(weights) is None
        forget(monkeypatch)
    assert file_digest(weights) == sha256(weights)


def test_a_file_put_in_its_place_is_read_again(cache: Path, weights: Path) -> None:
    file_digest(weights)
    other = weights.with_name("other")
    other.write_bytes(weights.read_bytes()[::-1])
    other.replace(weights)
    assert known_digest(weights) is None


def test_a_file_of_this_moment_is_not_remembered_beyond_the_process(
    cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_digests, "SETTLED_NS", 10**11)
    file_digest(weights)
    assert known_digest(weights)
    assert not cache.exists()


def test_a_digest_of_a_file_that_changed_meanwhile_is_not_remembered(weights: Path) -> None:
    stamp = file_stamp(weights)
    time.sleep(0.01)
    weights.write_bytes(b"other")
    remember_digest(weights, stamp, "0" * 64)
    assert known_digest(weights) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"path": 3}', '{"path": "/elsewhere"}'])
def test_a_damaged_note_costs_a_reading(
    cache: Path, weights: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_digest(weights)
    (kept,) = (cache / "digests").iterdir()
    kept.write_text(content)
    forget(monkeypatch)
    assert known_digest(weights) is None
    assert file_digest(weights) == sha256(weights)


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    cache: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file")
    assert file_digest(weights) == sha256(weights)
    forget(monkeypatch)
    assert known_digest(weights) is None


def test_an_empty_setting_keeps_no_cache(
    weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE, "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(file_digests, "SETTLED_NS", 0)
    file_digest(weights)
    assert not (tmp_path / "home").exists()
    monkeypatch.delenv(CACHE)
    forget(monkeypatch)
    file_digest(weights)
    assert (tmp_path / "home" / "merit-interp" / "digests").is_dir()


def test_reading_stops_when_asked(weights: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        file_digest(weights, stop=stop)
    assert known_digest(weights) is None


def test_blocks_that_pass_by_give_the_same_digest() -> None:
    blocks = [os.urandom(size) for size in (5, 100_000, 0, 3)]
    with ThreadPoolExecutor(1) as threads:
        digest = PassingDigest(threads)
        for block in blocks:
            digest.update(memoryview(block))
        assert digest.hexdigest() == hashlib.sha256(b"".join(blocks)).hexdigest()


def test_fingerprints_meanwhile(pair: TinyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    vlm, backbone = Checkpoint.open(pair.vlm), Checkpoint.open(pair.backbone)
    forget(monkeypatch)
    assert not is_fingerprinted(vlm)
    with fingerprinted_meanwhile(vlm, backbone) as fingerprint_of:
        assert fingerprint_of(vlm) == fingerprint(vlm)
        assert fingerprint_of(backbone) == fingerprint(backbone)
    assert is_fingerprinted(vlm)
