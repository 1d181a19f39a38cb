from __future__ import annotations

import dataclasses
import gc
import tempfile
from pathlib import Path

import pytest
import torch

from merit_interp.errors import CheckpointError, RunError
from merit_interp.models.loading import LoadedModel, Placement
from merit_interp.scoring.visual_cache import (
    Features,
    VisualCache,
    check_feature_count,
    encoder_outputs,
    features_key,
    n_bytes,
)

PIXELS = {"pixel_values_videos": torch.zeros(1, 2, 3, 32, 32)}


def one(value: float, *, n_tokens: int = 3) -> Features:
    return {"pooler_output": torch.full((1, n_tokens, 4), value)}


def test_a_key_stands_for_weights_type_and_pixels(vlm: LoadedModel) -> None:
    key = features_key(vlm, PIXELS)
    assert key == features_key(vlm, {"pixel_values_videos": torch.zeros(1, 2, 3, 32, 32)})
    others = [
        features_key(vlm, {"pixel_values_videos": torch.zeros(1, 2, 3, 32, 32) + 1e-6}),
        features_key(vlm, {"pixel_values_videos": torch.zeros(1, 3, 2, 32, 32)}),
        features_key(dataclasses.replace(vlm, fingerprint="sha256:other"), PIXELS),
        features_key(dataclasses.replace(vlm, placement=Placement(dtype="bfloat16")), PIXELS),
    ]
    assert len({key, *others}) == 5


def test_what_does_not_fit_into_memory_goes_to_disk(tmp_path: Path) -> None:
    cache = VisualCache(2 * n_bytes(one(0.0)), tmp_path)
    for i in range(4):
        cache.put(str(i), one(float(i)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.pt", "3.pt"]
    for i in range(4):
        assert str(i) in cache
        assert torch.equal(cache.get(str(i))["pooler_output"], one(float(i))["pooler_output"])
    assert "4" not in cache
    assert not cache.reserve(1)


def test_features_on_disk_serve_the_next_run(tmp_path: Path) -> None:
    VisualCache(0, tmp_path).put("a", {"pooler_output": (torch.ones(3, 4),)})
    again = VisualCache(0, tmp_path)
    assert "a" in again
    assert torch.equal(again.get("a")["pooler_output"][0], torch.ones(3, 4))


def test_a_directory_of_its_own_goes_with_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = VisualCache(0)
    cache.put("a", one(1.0))
    assert len(list(tmp_path.glob("*/a.pt"))) == 1
    del cache
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write"):
        VisualCache(0, tmp_path / "file").put("a", one(1.0))


def test_videos_of_one_batch_are_joined_in_row_order(vlm: LoadedModel) -> None:
    joined = encoder_outputs(vlm, [one(1.0), one(2.0)])["video"]
    assert joined.pooler_output.shape == (2, 3, 4)
    joined = encoder_outputs(vlm, [one(1.0), one(2.0, n_tokens=2)])["video"]
    assert joined.pooler_output.shape == (1, 5, 4)
    assert joined.pooler_output[0, :, 0].tolist() == [1, 1, 1, 2, 2]
    # a sequence over videos, and layers of such sequences, as Qwen3-VL has them
    a, b = torch.zeros(3, 4), torch.ones(2, 4)
    rows: list[Features] = [
        {"pooler_output": (x,), "deepstack_features": ((x + 1,), (x + 2,))} for x in (a, b)
    ]
    joined = encoder_outputs(vlm, rows)["video"]
    assert [len(video) for video in joined.pooler_output] == [3, 2]
    assert [[float(v[0, 0]) for v in layer] for layer in joined.deepstack_features] == [
        [1, 2],
        [2, 3],
    ]


def test_a_processor_that_disagrees_with_the_tower_is_an_error() -> None:
    check_feature_count(one(1.0, n_tokens=5), 5, "vlm")
    check_feature_count({"pooler_output": (torch.ones(3, 4),)}, 3, "vlm")
    with pytest.raises(CheckpointError, match="makes 4 visual tokens of a video"):
        check_feature_count(one(1.0, n_tokens=5), 4, "vlm")
