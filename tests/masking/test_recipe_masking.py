from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from merit_interp.errors import RunError, SettingError
from merit_interp.masking.recipe_masking import mask_recipe
from merit_interp.masking.settings import MaskSettings
from merit_interp.merging.item_sets import ItemSet
from merit_interp.recipe import Recipe, Scoring, read_recipe
from merit_interp.record_files import read_finished, read_jsonl
from merit_interp.records import ItemScore, MaskedScores, MaskPlan
from merit_interp.scoring.batches import Batch
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tables.masking_effects import read_masking
from tests.lost_records import lose_records
from tests.tiny_models import TinyPair

SETTINGS = MaskSettings(scoring=Scoring(max_frames=4), batch_size=4, draws=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, item_set: ItemSet) -> Path:
    directory = tmp_path_factory.mktemp("run")
    mask_recipe(recipe, item_set, SETTINGS, directory)
    return directory


def records_of(run: Path) -> list[MaskedScores]:
    return [MaskedScores.from_row(row) for row in read_jsonl(run / "masks.jsonl")]


def test_every_model_set_and_item_is_recorded_once(run: Path, item_set: ItemSet) -> None:
    plan = MaskPlan.from_row(json.loads((run / "sweep.json").read_text()))
    assert plan.chosen == (1, 2)
    records = records_of(run)
    ids = {item.id for item in item_set.read()[1]}
    for model, wanted in (("vlm", ids), ("merged", ids), ("backbone_transcripts", ids - {"b2"})):
        for masked in plan.sets:
            found = [
                item
                for record in records
                if (record.model, record.layers) == (model, masked.layers)
                for item in record.log_probs
            ]
            assert sorted(found) == sorted(wanted)
    assert read_recipe(run / "recipe.json").layers
    scores = len(read_jsonl(run / "scores.jsonl"))
    assert read_finished(run) == {"scores": scores, "masks": len(records)}


def test_unmasked_scores_are_the_evaluations(run: Path, recipe: Recipe) -> None:
    scores = [ItemScore.from_row(row) for row in read_jsonl(run / "scores.jsonl")]
    by_model = {
        model: [s for s in scores if s.model == model] for model in {s.model for s in scores}
    }
    assert {model: len(s) for model, s in by_model.items()} == {
        "vlm": 9, "merged": 9, "backbone_transcripts": 8,
    }  # fmt: skip
    assert {s.recipe for s in by_model["merged"]} == {recipe.merge_hash}
    assert all(len(s.log_probs) == 3 for s in scores)
    records = {(r.model, r.layers): r for r in records_of(run) if not r.layers and not r.batch}
    for (model, _), record in records.items():
        for score in by_model[model]:
            assert record.log_probs.get(score.item, score.log_probs) == score.log_probs


def test_a_batch_that_does_not_fit_is_said(
    tmp_path: Path, recipe: Recipe, item_set: ItemSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Evaluation, batch: Batch) -> dict[str, object]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 TiB.")

    monkeypatch.setattr(Evaluation, "batch_inputs", full)
    with pytest.raises(SettingError, match="4 rows do not fit on cpu; valid: a smaller --batch-si"):
        mask_recipe(recipe, item_set, SETTINGS, tmp_path / "run")


def test_a_cut_run_goes_on_to_the_same_bytes(
    run: Path, tmp_path: Path, recipe: Recipe, item_set: ItemSet
) -> None:
    class CutError(Exception):
        pass

    def cut_at(count: int) -> None:
        def progress(model: str, done: int, total: int) -> None:
            if model == "merged" and done == count:
                raise CutError

        with pytest.raises(CutError):
            mask_recipe(recipe, item_set, SETTINGS, tmp_path, resume=True, progress=progress)

    cut_at(7)
    with (tmp_path / "masks.jsonl").open("ab") as file:
        file.write(b'{"model":"merged","lay')
    cut_at(9)
    assert not (tmp_path / "finished.json").exists()
    mask_recipe(recipe, item_set, SETTINGS, tmp_path, resume=True)
    for name in ("masks.jsonl", "scores.jsonl", "sweep.json", "finished.json"):
        assert (tmp_path / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("name", ["masks.jsonl", "scores.jsonl"])
def test_records_lost_after_the_end_are_said_and_made_again(
    run: Path, tmp_path: Path, recipe: Recipe, item_set: ItemSet, name: str
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    said = lose_records(cut / name)
    with pytest.raises(RunError, match=said):
        read_masking(cut)
    mask_recipe(recipe, item_set, SETTINGS, cut, resume=True)
    for file in ("masks.jsonl", "scores.jsonl", "finished.json"):
        assert (cut / file).read_bytes() == (run / file).read_bytes()
    assert read_masking(cut).models


def test_other_settings_are_refused(run: Path, recipe: Recipe, item_set: ItemSet) -> None:
    other = MaskSettings(scoring=Scoring(max_frames=4), batch_size=4, draws=2, mode="mean")
    with pytest.raises(RunError, match="other settings"):
        mask_recipe(recipe, item_set, other, run, resume=True)
    with pytest.raises(RunError, match="earlier run"):
        mask_recipe(recipe, item_set, SETTINGS, run)


def test_memory_for_states_changes_no_number(
    run: Path, tmp_path: Path, recipe: Recipe, item_set: ItemSet
) -> None:
    settings = dataclasses.replace(SETTINGS, prefix_gib=0.0)
    mask_recipe(recipe, item_set, settings, tmp_path)
    assert (tmp_path / "masks.jsonl").read_bytes() == (run / "masks.jsonl").read_bytes()
    # nor does it stop a run from going on
    mask_recipe(recipe, item_set, settings, run, resume=True)


@pytest.mark.parametrize(
    ("mode", "tokens", "models"),
    [
        ("revert", "all", {"merged"}),
        ("swap", "all", {"vlm", "merged"}),
        ("zero", "visual", {"vlm", "merged"}),
        ("mean", "all", {"vlm", "merged", "backbone_transcripts"}),
    ],
)
def test_models_of_which_a_mode_says_nothing_are_left_out(
    mode: str, tokens: str, models: set[str], tmp_path: Path, recipe: Recipe, item_set: ItemSet
) -> None:
    settings = MaskSettings(mode=mode, tokens=tokens, scoring=Scoring(max_frames=4), draws=0)
    search = ItemSet(item_set.path, "search")
    mask_recipe(recipe, item_set, settings, tmp_path, reference=search)
    assert {record.model for record in records_of(tmp_path)} == models


def test_the_identity_has_no_merged_model(
    tmp_path: Path, recipe: Recipe, item_set: ItemSet
) -> None:
    identity = recipe.with_layers({})
    settings = MaskSettings(scoring=Scoring(max_frames=4), limit=2)
    mask_recipe(identity, item_set, settings, tmp_path)
    assert {record.model for record in records_of(tmp_path)} == {"vlm", "backbone_transcripts"}
    for mode in ("swap", "revert"):
        with pytest.raises(SettingError, match="merges nothing"):
            mask_recipe(identity, item_set, MaskSettings(mode=mode), tmp_path)


@pytest.mark.parametrize(("name", "value"), [("heads", (4,)), ("layers", (4,))])
def test_what_the_model_lacks_is_refused(
    name: str, value: tuple[int, ...], tmp_path: Path, recipe: Recipe, item_set: ItemSet,
    pair: TinyPair,
) -> None:  # fmt: skip
    settings = MaskSettings(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="valid"):
        mask_recipe(recipe, item_set, settings, tmp_path)
    assert not any(tmp_path.iterdir())
