"""`merit-interp mask` as a user calls it, on a tiny pair."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import Item, write_items
from merit_interp.benchmarks.splits import parts_of, split_hash
from merit_interp.cli.main import main
from merit_interp.cli.mask import numbers_of
from merit_interp.errors import SettingError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint, items_digest
from merit_interp.recipe import ItemsReference, ModelReference, Recipe, Scoring, write_recipe
from tests.tiny_models import TinyPair
from tests.videos_on_disk import tiny_video


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, pair: TinyPair) -> Path:
    """A recipe on four layers with its items beside it, as a search leaves them."""
    folder = tmp_path_factory.mktemp("searched")
    items = []
    for number in range(4):
        tiny_video(folder / f"{number}.mp4", n_frames=2, seed=number)
        for skill in ("reasoning", "perception"):
            question = f"Which is {'first' if skill == 'reasoning' else 'red'}?"
            items.append(
                Item(f"{number}{skill}", f"{number}.mp4", question, ("a", "b"), number % 2, skill)  # type: ignore[arg-type]
            )
    write_items(folder / "items.jsonl", items)

    def reference(directory: Path) -> ModelReference:
        found = fingerprint(Checkpoint.open(str(directory)))
        return ModelReference(source=str(directory), fingerprint=found)

    path = folder / "recipe.json"
    source = str(folder / "items.jsonl")
    described = ItemsReference(
        source=source, sha256=items_digest(Path(source)), split="search",
        scoring=Scoring(max_frames=2), split_hash=split_hash(parts_of(items)),
    )  # fmt: skip
    write_recipe(
        Recipe(
            vlm=reference(pair.vlm), backbone=reference(pair.backbone), layers={1: 1.0, 2: 0.5},
            items=described, search={"split": {"validation_share": 0.5, "seed": 0}},
        ),
        path,
    )  # fmt: skip
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["mask", *arguments])
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.fixture
def without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take seconds and are tested elsewhere."""

    def none_here(findings: object) -> None:
        raise SettingError("pictures need Chrome or Chromium")

    monkeypatch.setattr("merit_interp.cli.masking.write_masking_figures", none_here)


@pytest.mark.usefixtures("without_browser")
def test_with_nothing_but_a_recipe(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--recipe", str(recipe))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("Zeroing self-attention in the recipe's 2 layers (1, 2) costs")
    assert "of all 6 sets of 2 layers" in lines[1]
    assert lines[3] == f"results {recipe.parent / 'mask'}"
    assert "no PNG" in err
    for name in ("report.html", "verdict.json", "tables/mask_comparison.parquet"):
        assert (recipe.parent / "mask" / name).exists()
    described = json.loads((recipe.parent / "mask" / "run.json").read_text())
    assert described["settings"]["items"]["split"] == "validation"

    # again: only with a word on what shall become of the first run
    code, _, err = run(capsys, "--recipe", str(recipe))
    assert code == 2
    assert "--resume, --overwrite or another --out" in err
    assert run(capsys, "--recipe", str(recipe), "--resume")[1] == out
    code, _, err = run(capsys, "--recipe", str(recipe), "--resume", "--mode", "mean")
    assert code == 2
    assert "other settings" in err


@pytest.mark.usefixtures("without_browser")
def test_every_option(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = str(recipe.parent / "items.jsonl")
    code, out, _ = run(
        capsys, "--recipe", str(recipe), "--items", items, "--reference", items, "--mode", "mean",
        "--tokens", "text", "--layers", "0,2-3", "--heads", "1,3", "--draws", "2", "--limit", "6",
        "--seed", "1", "--out", str(tmp_path / "run"), "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert found["verdict"]["layers"] == [0, 2, 3]
    assert {row["n_others"] for row in found["comparison"] if row["family"] == "together"} == {2}
    assert set(found["left_out"]) == {"vlm", "merged"}
    sweep = json.loads((tmp_path / "run" / "sweep.json").read_text())
    assert {tuple(entry["heads"]) for entry in sweep["sets"]} == {(), (1, 3)}


@pytest.mark.usefixtures("without_browser")
def test_each_head(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(
        capsys, "--recipe", str(recipe), "--heads", "each", "--draws", "0", "--limit", "2",
        "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert code == 0
    table = (tmp_path / "run" / "tables" / "mask_layers.csv").read_text()
    assert ",3,2,head,1," in table


@pytest.mark.parametrize(
    ("option", "value", "valid"),
    [
        ("--mode", "ones", "zero, mean, resample, revert, swap"),
        ("--tokens", "first", "all, visual, text, last"),
        ("--layers", "4", "layers from 0 to 3"),
        ("--layers", "one", "2,4-6"),
        ("--heads", "4", "heads 0 to 3"),
        ("--items", "nowhere.jsonl", "a JSONL file of items"),
        ("--device", "cuda:7", "cpu"),
        ("--recipe", "nowhere.json", "recipe.json written by"),
    ],
)
def test_a_mistake_is_one_line(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    option: str, value: str, valid: str,
) -> None:  # fmt: skip
    out = tmp_path / "run"
    code, _, err = run(capsys, "--recipe", str(recipe), "--out", str(out), option, value)
    assert code == 2
    assert valid in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.usefixtures("without_browser")
def test_a_mistake_costs_no_earlier_run(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    common = ("--recipe", str(recipe), "--out", str(out), "--limit", "2", "--draws", "0")
    assert run(capsys, *common)[0] == 0
    kept = (out / "masks.jsonl").read_bytes()
    assert run(capsys, *common, "--overwrite", "--layers", "9")[0] == 2
    assert (out / "masks.jsonl").read_bytes() == kept
    shutil.rmtree(out)


@pytest.mark.parametrize(
    ("text", "numbers"), [("2", (2,)), ("2,4-6", (2, 4, 5, 6)), (" 1, 1,0 ", (1, 0))]
)
def test_lists_of_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert numbers_of(text, "--layers") == numbers


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1.5"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(SettingError, match="--layers"):
        numbers_of(text, "--layers")
