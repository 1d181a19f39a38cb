"""Videos with and without torchvision: equal prompts, equal pixels.

pip install --no-deps --target /tmp/tv torchvision==0.28.0
MERIT_INTERP_TORCHVISION=/tmp/tv pytest tests/peers/test_torchvision_parity.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from merit_interp.models.processors import FRAME_LISTS
from tests.peers.seen_videos import CLIPS, seen
from tests.tiny_families import FAMILIES, tiny_family_pair

TORCHVISION = os.environ.get("MERIT_INTERP_TORCHVISION", "")
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        not TORCHVISION, reason="MERIT_INTERP_TORCHVISION names no directory with torchvision"
    ),
]


@dataclass(frozen=True, eq=False)
class _Side:
    """What the process with torchvision saw."""

    checkpoints: dict[str, Path]
    arrays: dict[str, np.ndarray]
    defaults: dict[str, str]
    """Class attributes that differ."""


@pytest.fixture(scope="module")
def torchvision(tmp_path_factory: pytest.TempPathFactory) -> _Side:
    folder = tmp_path_factory.mktemp("parity")
    checkpoints = {name: tiny_family_pair(name, folder / name).vlm for name in FAMILIES}
    command = [sys.executable, "-m", "tests.peers.seen_videos", TORCHVISION, str(folder / "a.npz")]
    done = subprocess.run(
        [*command, *map(str, checkpoints.values())],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    arrays = dict(np.load(folder / "a.npz"))
    return _Side(checkpoints, arrays, json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_and_pixels_are_equal(torchvision: _Side, name: str) -> None:
    here = seen(torchvision.checkpoints[name])
    there = {
        key.removeprefix(f"{name} "): value
        for key, value in torchvision.arrays.items()
        if key.startswith(f"{name} ")
    }
    without = "pillow" if name in FRAME_LISTS else "torch"
    assert (str(here.pop("route")), str(there.pop("route"))) == (without, "torchvision")
    # an array of the videos' values in units of a normalised level
    level = 1 / 255 / here.pop("std").min()
    assert 1 / 255 / there.pop("std").min() == pytest.approx(level)
    assert set(here) == set(there)
    assert {key.split()[0] for key in here} == set(CLIPS)
    for key, array in here.items():
        assert array.shape == there[key].shape, key
        if "pixel" not in key.split()[1] or array.dtype.kind in "bi":
            np.testing.assert_array_equal(array, there[key], err_msg=key)
            continue
        difference = np.abs(array - there[key]).max() / level
        print(f"{name} {key}: at most {difference:.2g} levels of 255")
        # transformers' own image processors resize with Pillow where torchvision is missing
        assert difference <= (1.01 if name in FRAME_LISTS else 0.0), key


@pytest.mark.parametrize("name", FAMILIES)
def test_files_as_transformers_saves_them_are_read_the_same(torchvision: _Side, name: str) -> None:
    """One processor_config.json with the video processor's settings within."""
    directory = torchvision.checkpoints[name]
    here, saved = seen(directory), seen(directory.parent / "saved")
    assert not (directory.parent / "saved" / "video_preprocessor_config.json").exists()
    assert set(here) == set(saved)
    for key, array in here.items():
        np.testing.assert_array_equal(array, saved[key], err_msg=key)


def test_what_files_leave_out_is_as_in_the_families_own_classes(torchvision: _Side) -> None:
    assert torchvision.defaults == {}
