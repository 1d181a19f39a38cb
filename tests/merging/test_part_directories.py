"""What a merge that is killed leaves behind, with real processes that are killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.merging.export import write_merged
from merit_interp.merging.part_directories import clear_left_parts, merged_directory
from merit_interp.recipe import write_recipe
from tests.merging.conftest import Opened

STUCK = """
import sys, time
from merit_interp.cli.main import main
from merit_interp.merging import export

def stuck(source, target, changes, *, seen):
    target.write_bytes(b"half of it")
    print("begun", flush=True)
    while True:
        seen(memoryview(b""))
        time.sleep(0.01)

export.stream_weight_file = stuck
main(sys.argv[1:])
"""


@pytest.fixture
def recipe_file(whole: Opened, tmp_path: Path) -> Path:
    write_recipe(whole.recipe(layers={1: 0.5}), tmp_path / "r.json")
    return tmp_path / "r.json"


@contextlib.contextmanager
def merging(recipe_file: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """A merge in a process of its own, in the midst of a weight file."""
    words = [sys.executable, "-c", STUCK, "merge", "--recipe", str(recipe_file), "--out", str(out)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        try:
            assert one.stdout.readline() == "begun\n"
            yield one
        finally:
            one.kill()


def parts(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix == ".part")


def test_sigterm_takes_away_what_is_half_written(recipe_file: Path, tmp_path: Path) -> None:
    with merging(recipe_file, tmp_path / "merged") as process:
        assert len(parts(tmp_path)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_the_next_merge_clears_what_a_dead_one_left_and_nothing_else(
    whole: Opened, recipe_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "merged"
    with merging(recipe_file, out) as dead:
        dead.send_signal(signal.SIGKILL)
        dead.wait(60)
    (left,) = parts(tmp_path)
    others = [".merged.of_users.part", ".merged.ab.12345678.part", ".other.12345678.part"]
    for name in others:
        (tmp_path / name).mkdir()
    with merging(recipe_file, out):
        (alive,) = {path for path in parts(tmp_path) if path.name not in others}
        assert alive != left, "cleared by the second merge"
        recipe = whole.recipe(layers={1: 0.5})
        write_merged(recipe, out, vlm=whole.vlm, backbone=whole.backbone)
        assert (alive / "model.safetensors").read_bytes() == b"half of it"
    assert not (out / ".merging").exists()
    assert {path.name for path in parts(tmp_path)} == {alive.name, *others}
    clear_left_parts(out)
    assert {path.name for path in parts(tmp_path)} == set(others)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write"), merged_directory(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
