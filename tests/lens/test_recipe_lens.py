from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from merit_interp.errors import RunError, SettingError
from merit_interp.lens.recipe_lens import lens_recipe
from merit_interp.lens.settings import LensSettings
from merit_interp.lens_records import LensReading
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.merging.item_sets import ItemSet
from merit_interp.recipe import Recipe
from merit_interp.record_files import FINISHED_MARKER, read_jsonl
from merit_interp.records import MaskedScores
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tables.lens_frames import read_lens
from merit_interp.tables.lens_tables import lens_findings, write_lens_tables
from tests.lens.conftest import LETTER
from tests.lost_records import lose_records

SETTINGS = LensSettings(scoring=LETTER, batch_size=4)
RECORDS = (
    "readings.jsonl", "checks.jsonl", "head_changes.jsonl", "head_masks.jsonl", "scores.jsonl",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, item_set: ItemSet) -> Path:
    directory = tmp_path_factory.mktemp("lens")
    lens_recipe(recipe, item_set, SETTINGS, directory)
    return directory


def test_every_model_and_item_is_read_once(run: Path, item_set: ItemSet) -> None:
    ids = {item.id for item in item_set.read()[1]}
    readings = [LensReading.from_row(row) for row in read_jsonl(run / "readings.jsonl")]
    for model, wanted in (("vlm", ids), ("merged", ids), ("backbone_transcripts", ids - {"b2"})):
        assert sorted(r.item for r in readings if r.model == model) == sorted(wanted)
    for reading in readings:
        assert np.array(reading.layer_log_probs).shape == (5, 3)
        assert np.array(reading.attention_from_answer).shape == (4, 4, 5)
        assert np.array(reading.direct_heads).shape == (4, 4)
        assert np.array(reading.output_change).shape == (
            (2, 4) if reading.model == "merged" else (0,)
        )
    checks = {row["model"]: row for row in read_jsonl(run / "checks.jsonl")}
    assert set(checks) == {"vlm", "merged", "backbone_transcripts"}
    for check in checks.values():
        assert check["engine"] == "transformer_lens"
        assert check["logit_difference"] < 1e-5
        assert check["direct_difference"] < 1e-4
    finished = json.loads((run / "finished.json").read_text())
    assert (finished["readings"], finished["checks"]) == (len(readings), 3)
    assert {f"{stem}.jsonl" for stem in finished} == set(RECORDS)


def test_readings_are_those_of_each_model(
    run: Path, recipe: Recipe, merge: InMemoryMerge, lettered: Evaluation
) -> None:
    readings = read_lens(run).models
    with merge.applied(recipe):
        merged = lettered.scores("merged", "")
    vlm = lettered.scores("vlm", "")
    for name, scores in (("vlm", vlm), ("merged", merged)):
        own = {score.item: score for score in scores}
        for item, margin in zip(
            readings[name].items["item"], readings[name].margins[:, -1], strict=True
        ):
            assert margin == pytest.approx(own[str(item)].margin_nats, abs=2e-5)


def test_heads_that_did_not_change_are_known_as_such(run: Path) -> None:
    found = read_lens(run)
    # layer 2 merges half of q and all of v
    for change in found.changes:
        merged = {"q", "k", "v", "o"} if change.layer == 1 else {"q", "v"}
        assert {name for name, norm in change.change.items() if norm > 0} == merged
        assert change.key_head == change.head // 2
    assert {(c.layer, c.head) for c in found.changes} == {(a, b) for a in (1, 2) for b in range(4)}
    assert (found.models["merged"].output_change > 0).all()


def test_masked_heads_are_scored_as_masked(run: Path, lettered: Evaluation) -> None:
    from merit_interp.lens.heads import masked_head

    records = [MaskedScores.from_row(row) for row in read_jsonl(run / "head_masks.jsonl")]
    assert len({(r.model, r.layers, r.heads) for r in records}) == 2 * (1 + 2 * 4)
    with masked_head(lettered.model, layer=1, head=2):
        scores = {score.item: score.log_probs for score in lettered.scores("vlm", "")}
    found = {
        item: values
        for r in records
        if (r.model, r.layers, r.heads) == ("vlm", (1,), (2,))
        for item, values in r.log_probs.items()
    }
    assert set(found) == set(scores)
    assert all(found[item] == pytest.approx(values, abs=1e-5) for item, values in scores.items())


def test_it_goes_on_where_it_was_cut(
    run: Path, tmp_path: Path, recipe: Recipe, item_set: ItemSet
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    (cut / FINISHED_MARKER).unlink()
    # the merged model half read, a head half masked, and a torn line
    lines = (cut / "readings.jsonl").read_text().splitlines(keepends=True)
    (cut / "readings.jsonl").write_text("".join(lines[:14]) + lines[14][:40])
    checks = (cut / "checks.jsonl").read_text().splitlines(keepends=True)
    (cut / "checks.jsonl").write_text(checks[0])
    masks = (cut / "head_masks.jsonl").read_text().splitlines(keepends=True)
    (cut / "head_masks.jsonl").write_text("".join(masks[:20]) + masks[20][:30])
    told: list[tuple[str, int, int]] = []
    lens_recipe(
        recipe, item_set, SETTINGS, cut, resume=True, progress=lambda *args: told.append(args)
    )
    for name in ("readings.jsonl", "checks.jsonl", "head_masks.jsonl", "scores.jsonl"):
        assert (cut / name).read_text() == (run / name).read_text()
    masked = [args for args in told if args[0].startswith("masking")]
    assert len(masked) == len(masks) - 20
    before = (cut / "readings.jsonl").stat().st_mtime_ns
    lens_recipe(recipe, item_set, SETTINGS, cut, resume=True)
    assert (cut / "readings.jsonl").stat().st_mtime_ns == before
    other = dataclasses.replace(SETTINGS, engine="modules")
    with pytest.raises(RunError, match="other settings"):
        lens_recipe(recipe, item_set, other, cut, resume=True)
    with pytest.raises(RunError, match="--resume, --overwrite"):
        lens_recipe(recipe, item_set, SETTINGS, cut)


@pytest.mark.parametrize("name", RECORDS)
def test_records_lost_after_the_end_are_said_and_made_again(
    run: Path, tmp_path: Path, recipe: Recipe, item_set: ItemSet, name: str
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    said = lose_records(cut / name)
    with pytest.raises(RunError, match=said):
        read_lens(cut)
    lens_recipe(recipe, item_set, SETTINGS, cut, resume=True)
    for file in (*RECORDS, "finished.json"):
        assert (cut / file).read_bytes() == (run / file).read_bytes()


def test_a_model_without_readings_is_damage_and_no_traceback(run: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    # as a marker of a version that counted nothing
    (cut / FINISHED_MARKER).write_text("{}")
    lose_records(cut / "readings.jsonl")
    with pytest.raises(RunError, match=r"damaged: readings.jsonl has nothing of backbone_tra"):
        read_lens(cut)


def test_nothing_merged_and_no_masks(tmp_path: Path, recipe: Recipe, item_set: ItemSet) -> None:
    run = tmp_path / "run"
    settings = LensSettings(
        scoring=LETTER, engine="modules", layers=(3,), mask_heads=False, limit=6
    )
    lens_recipe(recipe.with_layers({}), item_set, settings, run)
    findings = lens_findings(run)
    assert list(findings.run.models) == ["vlm", "backbone_transcripts"]
    assert findings.run.plan.left_out == {"merged": "the recipe merges nothing"}
    assert not findings.run.masked
    assert "Merged was not read: the recipe merges nothing." in findings.verdict.checks
    assert "transformers' own modules" in findings.verdict.checks
    write_lens_tables(findings)
    with pytest.raises(SettingError, match="no layer 4"):
        lens_recipe(recipe, item_set, LensSettings(scoring=LETTER, layers=(4,)), tmp_path / "no")
    assert not (tmp_path / "no").exists()
    with pytest.raises(SettingError, match="no engine 'tl'"):
        LensSettings(engine="tl")


def test_tables_say_what_was_read(run: Path) -> None:
    findings = lens_findings(run)
    write_lens_tables(findings)
    for name in ("layers", "attention", "heads", "direct", "direct_groups"):
        assert (run / "tables" / f"lens_{name}.parquet").exists()
    merged = findings.run.models["merged"]
    vlm = findings.run.models["vlm"]
    chosen = merged.of_skill("reasoning")
    rows = findings.layers[
        (findings.layers["model"] == "merged minus vlm")
        & (findings.layers["skill"] == "reasoning")
        & (findings.layers["measure"] == "margin_nats")
    ].set_index("after_layer")
    for layer in range(-1, 4):
        wanted = (merged.margins - vlm.margins)[chosen, layer + 1].mean()
        assert rows.loc[layer, "value"] == pytest.approx(wanted)
    groups = findings.direct_groups
    for (_, _), own in groups.groupby(["model", "skill"]):
        nats = own.set_index("part")["nats"]
        assert nats.drop("margin").sum() == pytest.approx(nats["margin"], abs=1e-3)
    shares = findings.attention[
        (findings.attention["model"] == "vlm") & (findings.attention["position"] == "answer")
    ]
    sums = shares.groupby(["skill", "layer", "head"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(1.0, abs=1e-4)
    assert len(findings.verdict.lines) == 5
