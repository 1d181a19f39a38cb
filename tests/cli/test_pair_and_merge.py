from __future__ import annotations

import json
from pathlib import Path

import pytest

from merit_interp.cli.merge import merge
from merit_interp.cli.pair import _number, pair
from merit_interp.errors import MeritError, PairError, RecipeError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import load_vlm
from merit_interp.recipe import ModelReference, Recipe, write_recipe
from tests.tiny_models import N_LAYERS, TinyPair, tiny_backbone, tiny_pair


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> TinyPair:
    return tiny_pair(tmp_path_factory.mktemp("pair"))


def reference(directory: Path) -> ModelReference:
    checkpoint = Checkpoint.open(directory)
    return ModelReference(source=checkpoint.source, fingerprint=fingerprint(checkpoint))


def test_pair_prints_a_row_a_layer(
    directories: TinyPair, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    pair(vlm=str(directories.vlm), backbone=str(directories.backbone))
    printed = capsys.readouterr().out
    assert f"{N_LAYERS} text layers" in printed
    assert "(16, 32)" in printed
    rows = [line for line in printed.splitlines() if line.startswith("│")]
    assert [row.split()[1] for row in rows] == ["0", "1", "2", "3"]


def test_numbers_of_the_table_have_the_minus_of_all_other_text() -> None:
    assert [_number(value) for value in (-0.25, -0.00001, 0.5, None)] == [
        "−0.2500",
        "0.0000",
        "0.5000",
        "–",
    ]


def test_pair_prints_the_whole_report_as_json(
    directories: TinyPair, capsys: pytest.CaptureFixture[str]
) -> None:
    pair(vlm=str(directories.vlm), backbone=str(directories.backbone), json=True)
    report = json.loads(capsys.readouterr().out)
    assert report["pairs"]
    assert len(report["tensors"]) == 7 * N_LAYERS


def test_pair_prints_notes(
    directories: TinyPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair(vlm=str(directories.vlm), backbone=str(tiny_backbone(tmp_path / "b", vocab_size=500)))
    assert "note: vocab_size 416 against 500" in capsys.readouterr().out


def test_models_that_do_not_pair_print_nothing_but_the_error(
    directories: TinyPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PairError, match="swapped"):
        pair(vlm=str(directories.backbone), backbone=str(directories.vlm))
    with pytest.raises(PairError, match="num_hidden_layers 4 against 2"):
        pair(
            vlm=str(directories.vlm),
            backbone=str(tiny_backbone(tmp_path / "b", num_hidden_layers=2)),
        )
    assert capsys.readouterr().out == ""


def test_merge_writes_what_the_recipe_names(
    directories: TinyPair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = Recipe(
        vlm=reference(directories.vlm), backbone=reference(directories.backbone), layers={1: 0.5}
    )
    write_recipe(recipe, tmp_path / "r.json")
    merge(recipe=tmp_path / "r.json", out=tmp_path / "merged")
    assert capsys.readouterr().out == f"{tmp_path / 'merged'}: 1 text layers merged\n"
    assert load_vlm(tmp_path / "merged").n_layers == N_LAYERS
    merge(recipe=tmp_path / "r.json", out=tmp_path / "again", json=True)
    assert json.loads(capsys.readouterr().out) == {
        "out": str(tmp_path / "again"),
        "layers": 1,
        "merge_hash": recipe.merge_hash,
    }


def test_mistakes_are_errors_of_the_user(directories: TinyPair, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no recipe at"):
        merge(recipe=tmp_path / "none.json", out=tmp_path / "merged")
    for vlm in ("none", str(tmp_path), "nobody/none"):
        with pytest.raises(MeritError):
            pair(vlm=vlm, backbone=str(directories.backbone))
