"""A whole run on the tiny pair: records, controls, resuming."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from merit_interp.attribution.estimate import RunEstimate
from merit_interp.attribution.frame_scores import FrameScores, attribute_items
from merit_interp.attribution.recipe_attribution import (
    ATTRIBUTIONS,
    ITEMS,
    RunWatch,
    attribute_recipe,
)
from merit_interp.attribution.settings import AttributionSettings
from merit_interp.attribution.video_items import VIDEO, VideoItems
from merit_interp.benchmarks.items import ItemFile, write_items
from merit_interp.errors import RunError, SettingError, VideoError
from merit_interp.merging.item_sets import ItemSet
from merit_interp.models.loading import LoadedModel, Placement
from merit_interp.recipe import Recipe, read_recipe
from merit_interp.record_files import FINISHED_MARKER, read_jsonl
from merit_interp.records import AttributedItem, FrameAttribution
from merit_interp.tables.attribution_frames import read_attribution
from tests.attribution.conftest import SCORING
from tests.lost_records import lose_records

SETTINGS = AttributionSettings(
    scoring=SCORING, method="ig", steps=8, error_limit=0.5, batch_size=32, draws=1, randomised=1
)


@pytest.fixture(scope="module")
def sets(item_file: ItemFile) -> dict[str, ItemSet]:
    return {"all": ItemSet(item_file.path)}


@pytest.fixture(scope="module")
def estimates() -> list[tuple[RunEstimate, int]]:
    return []


@pytest.fixture(scope="module")
def run(
    recipe: Recipe,
    sets: dict[str, ItemSet],
    estimates: list[tuple[RunEstimate, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    directory = tmp_path_factory.mktemp("run") / "attribute"
    watch = RunWatch(estimated=lambda estimate, n: estimates.append((estimate, n)))
    attribute_recipe(recipe, sets, SETTINGS, directory, watch=watch)
    return directory


def records(run: Path) -> list[FrameAttribution]:
    return [FrameAttribution.from_row(row) for row in read_jsonl(run / ATTRIBUTIONS)]


def test_every_model_condition_and_method_has_every_item(run: Path) -> None:
    blocks: dict[tuple[str, str, str], list[str]] = {}
    for record in records(run):
        blocks.setdefault((record.model, record.condition, record.method), []).append(record.item)
    assert set(blocks) == {
        *((model, "video", "ig") for model in (
            "vlm", "merged", "random_layers_00", "masked", "masked_others_00", "randomised_00",
        )),
        *(
            (model, "video", method)
            for model in ("vlm", "merged")
            for method in ("ig_pixels", "gradient", "occlusion", "shapley")
        ),
        *(
            (model, control, "ig")
            for model in ("vlm", "merged")
            for control in ("shuffled", "reversed", "black", "single_frame")
        ),
    }  # fmt: skip
    assert all(items == ["a0", "a1", "b0", "c0", "d0", "e0"] for items in blocks.values())
    assert (run / FINISHED_MARKER).exists()


def test_a_shuffle_is_the_same_whatever_the_seed(
    run: Path, recipe: Recipe, sets: dict[str, ItemSet], tmp_path: Path
) -> None:
    """As in `evaluate`, so that both can be held against each other."""
    settings = dataclasses.replace(
        SETTINGS, controls=False, video_controls=("shuffled",), draws=0, seed=3
    )
    attribute_recipe(recipe, sets, settings, tmp_path / "run")
    one, other = (
        {(r.model, r.item): r.scores for r in records(path) if r.condition == "shuffled"}
        for path in (run, tmp_path / "run")
    )
    assert other
    assert {key: one[key] for key in other} == other


def test_the_finished_run_says_which_layers_each_control_masks(run: Path, recipe: Recipe) -> None:
    masked = read_attribution(run).masked_layers
    assert set(masked) == {"masked", "masked_others_00"}
    assert masked["masked"] == tuple(recipe.layers)
    assert masked["masked_others_00"]
    assert not set(masked["masked_others_00"]) & set(recipe.layers)


def test_every_record_keeps_what_made_it(run: Path, recipe: Recipe) -> None:
    for record in records(run):
        assert record.baseline == "black"
        assert record.target == "log_prob"
        assert record.unit == "frame"
        assert record.steps in (1, 8, 32, 128)
        assert record.recipe in ("vlm", recipe.merge_hash) or "random" in record.model
        assert len(record.scores) == (3 if record.item == "e0" else 4)
        assert record.completeness_error is not None
        if record.method in ("ig_pixels", "ig", "shapley"):
            assert record.flagged == (record.completeness_error > 0.5)
    assert read_recipe(run / "recipe.json").merge_hash == recipe.merge_hash
    settings = json.loads((run / "run.json").read_text())["settings"]
    assert settings["attribution"]["method"] == "ig"


def test_evidence_is_put_to_the_test_where_there_is_some(run: Path) -> None:
    for record in records(run):
        measured = record.deletion_evidence_nats is not None
        asked = (
            record.condition == "video"
            and record.method == "ig"
            and record.model in ("vlm", "merged", "random_layers_00")
        )
        # d0's span has no sampled frame, e0 names none
        assert measured == (asked and record.item not in ("d0", "e0"))


def test_the_estimate_comes_first(run: Path, estimates: list[tuple[RunEstimate, int]]) -> None:
    ((estimate, n_items),) = estimates
    assert n_items == 6
    assert 0 < estimate.seconds < 600
    assert estimate.activation_bytes > 1000
    assert estimate.rows == 32
    assert "MiB" in estimate.text


def test_figures_find_what_they_need_in_the_run(run: Path) -> None:
    pictures = [AttributedItem.from_row(row) for row in read_jsonl(run / ITEMS)]
    assert [picture.item for picture in pictures] == ["a0", "a1", "b0", "c0", "d0", "e0"]
    assert pictures[0].options == ("the circle", "the square", "star")


@pytest.mark.parametrize(
    ("name", "first"), [(ATTRIBUTIONS, False), (ATTRIBUTIONS, True), (ITEMS, False), (ITEMS, True)]
)
def test_records_lost_after_the_end_are_said_and_made_again(
    recipe: Recipe, sets: dict[str, ItemSet], run: Path, tmp_path: Path, name: str, first: bool
) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    said = lose_records(cut / name, first=first)
    with pytest.raises(RunError, match=said):
        read_attribution(cut)
    attribute_recipe(recipe, sets, SETTINGS, cut, resume=True)
    for file in (ITEMS, FINISHED_MARKER):
        assert (cut / file).read_bytes() == (run / file).read_bytes()
    # in the old order, as the first records say what the run's main method is
    keys = [(r.model, r.condition, r.method, r.item) for r in records(cut)]
    assert keys == [(r.model, r.condition, r.method, r.item) for r in records(run)]


def test_an_item_without_its_frames_is_said_in_older_runs_too(run: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    (cut / FINISHED_MARKER).write_text(json.dumps({"attributions": len(records(run))}))
    lose_records(cut / ITEMS)
    with pytest.raises(RunError, match=r"attributed_items.jsonl lacks item d0; run it again with"):
        read_attribution(cut)


def test_a_cut_run_goes_on_to_the_same_records(
    recipe: Recipe, sets: dict[str, ItemSet], run: Path, tmp_path: Path
) -> None:
    lines = (run / ATTRIBUTIONS).read_bytes().splitlines(keepends=True)
    for name in ("run.json", "recipe.json", ITEMS):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    # one whole block, a torn one, a torn line
    (tmp_path / ATTRIBUTIONS).write_bytes(b"".join(lines[:-3]) + lines[-3][:40])
    told: list[int] = []
    watch = RunWatch(attributed=lambda done, total, block: told.append(total))
    attribute_recipe(recipe, sets, SETTINGS, tmp_path, resume=True, watch=watch)
    assert set(told) == {6}
    assert (tmp_path / ATTRIBUTIONS).read_bytes() == b"".join(lines)


def test_other_settings_are_refused(recipe: Recipe, sets: dict[str, ItemSet], run: Path) -> None:
    other = dataclasses.replace(SETTINGS, baseline="mean")
    assert AttributionSettings(placement=Placement(dtype="bfloat16")).most_error == 0.05
    assert AttributionSettings().most_error == 0.01
    with pytest.raises(RunError, match="other settings"):
        attribute_recipe(recipe, sets, other, run, resume=True)
    with pytest.raises(RunError, match="earlier run"):
        attribute_recipe(recipe, sets, SETTINGS, run)
    # what was refused is as finished as it was
    assert (run / FINISHED_MARKER).exists()


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({"method": "grad"}, "ig, ig_pixels, gradient, occlusion, shapley"),
        ({"baseline": "zero"}, "black, mean, blurred, previous"),
        ({"target": "logit"}, "log_prob, margin"),
        ({"steps": 0}, "1 or more"),
    ],
)
def test_a_wrong_setting_names_what_is_valid(change: dict[str, object], valid: str) -> None:
    settings = dataclasses.replace(SETTINGS)
    for name, value in change.items():
        object.__setattr__(settings, name, value)
    with pytest.raises(SettingError, match=valid):
        settings.checked()


def test_items_that_fail_keep_their_reason(
    recipe: Recipe, item_file: ItemFile, tmp_path: Path
) -> None:
    items = list(item_file.items[:2])
    items.append(dataclasses.replace(items[0], id="gone", video="gone.mp4"))
    path = tmp_path / "items.jsonl"
    absolute = [
        dataclasses.replace(item, video=str(item_file.path.parent / item.video)) for item in items
    ]
    write_items(path, absolute)
    few = dataclasses.replace(SETTINGS, method="gradient", controls=False, draws=1)
    sets, run = {"all": ItemSet(path)}, tmp_path / "run"
    with pytest.raises(VideoError, match=r"1 of 3 items .*gone"):
        attribute_recipe(recipe, sets, few, run)
    assert not run.exists()
    attribute_recipe(recipe, sets, dataclasses.replace(few, max_failed=0.5), run)
    failed = [record for record in records(run) if record.status == "failed"]
    assert {record.item for record in failed} == {"gone"}
    assert all(record.reason and not record.scores for record in failed)
    assert len(records(run)) == 3 * len({record.model for record in records(run)})


def test_controls_that_are_asked_for_run_alone_and_say_which_items_they_are_not_for(
    recipe: Recipe, sets: dict[str, ItemSet], tmp_path: Path
) -> None:
    few = dataclasses.replace(SETTINGS, method="gradient", controls=False, draws=0, randomised=0)
    asked = dataclasses.replace(few, video_controls=("black", "evidence_removed"))
    attribute_recipe(recipe, sets, asked, tmp_path / "run")
    found = records(tmp_path / "run")
    assert {record.condition for record in found} == {VIDEO, "black", "evidence_removed"}
    removed = [r for r in found if (r.condition, r.model) == ("evidence_removed", "merged")]
    assert len(removed) == 6
    reasons = {record.item: record.reason for record in removed if record.status != "ok"}
    assert reasons == {
        "d0": "no sampled frame shows the evidence",
        "e0": "the item names no evidence",
    }
    assert all(not r.scores for r in removed if r.status == "not_applicable")
    described = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["attribution"]
    assert described["video_controls"] == ["black", "evidence_removed"]
    attribute_recipe(recipe, sets, asked, tmp_path / "run", resume=True)
    assert records(tmp_path / "run") == found
    with pytest.raises(RunError, match="other settings"):
        attribute_recipe(recipe, sets, few, tmp_path / "run", resume=True)
    with pytest.raises(SettingError, match="no video control 'blue'"):
        dataclasses.replace(few, video_controls=("blue",)).checked()


def test_controls_that_would_say_nothing_are_refused_before_a_run_is_touched(
    recipe: Recipe,
    item_file: ItemFile,
    sets: dict[str, ItemSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = [
        dataclasses.replace(item, evidence=(), video=str(item_file.path.parent / item.video))
        for item in item_file.items
    ]
    write_items(tmp_path / "items.jsonl", bare)
    asked = dataclasses.replace(SETTINGS, video_controls=("evidence_only",))
    without = {"all": ItemSet(tmp_path / "items.jsonl")}
    with pytest.raises(SettingError, match="no item names its evidence"):
        attribute_recipe(recipe, without, asked, tmp_path / "run")
    monkeypatch.setattr("merit_interp.merging.control_scores.drops_black_frames", lambda vlm: True)
    with pytest.raises(SettingError, match="drops as padding, so black would show fewer frames"):
        attribute_recipe(recipe, sets, SETTINGS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_items_above_the_limit_are_tried_again_and_then_flagged(
    vlm: LoadedModel, videos: VideoItems
) -> None:
    items = [videos.framed(place, VIDEO) for place in range(3)]
    strict = dataclasses.replace(SETTINGS, steps=1, error_limit=1e-12)
    sizes = [item.size for item in items]

    def attributed(settings: AttributionSettings, method: str) -> dict[int, FrameScores]:
        return dict(attribute_items(vlm, sizes, items.__getitem__, settings, method=method))

    found = attributed(strict, "ig_pixels")
    assert sorted(found) == [0, 1, 2]
    assert all(scores.flagged and scores.steps == 16 for scores in found.values())
    loose = dataclasses.replace(SETTINGS, steps=1, error_limit=1e9)
    found = attributed(loose, "ig_pixels")
    assert all(not scores.flagged and scores.steps == 1 for scores in found.values())
    # a method that promises nothing is not held to it
    found = attributed(strict, "gradient")
    assert all(not scores.flagged and scores.steps == 1 for scores in found.values())
