from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.cli.merge import merge
from merit_interp.errors import RunError, SettingError
from merit_interp.recipe import read_recipe
from tests.tiny_models import TinyPair


def test_a_mergekit_file_comes_out_and_goes_in(pair: TinyPair, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    merge(
        out=tmp_path / "a", vlm=str(pair.vlm), backbone=str(pair.backbone), layers="1,3",
        coefficient=0.25, to_mergekit=config,
    )  # fmt: skip
    merge(out=tmp_path / "b", from_mergekit=config)
    first, second = (read_recipe(tmp_path / name / "recipe.json") for name in "ab")
    assert first.layers == {1: 0.25, 3: 0.25}
    assert second.merge_hash == first.merge_hash
    weights = "model.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() == (tmp_path / "b" / weights).read_bytes()


def test_a_mergekit_file_says_all(pair: TinyPair, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="so does --vlm; valid: --from-mergekit alone"):
        merge(out=tmp_path / "a", from_mergekit=tmp_path / "c.yml", vlm=str(pair.vlm))


def test_a_merge_that_is_refused_costs_no_earlier_file(pair: TinyPair, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("mine")
    (tmp_path / "a").mkdir()
    with pytest.raises(RunError, match="exists already"):
        merge(
            out=tmp_path / "a", vlm=str(pair.vlm), backbone=str(pair.backbone), coefficient=0.25,
            to_mergekit=config,
        )  # fmt: skip
    assert config.read_text() == "mine"
