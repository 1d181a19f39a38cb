"""A search over other merge methods, and one whose merges break."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from merit_interp.errors import NotANumberError, RecipeError
from merit_interp.recipe import read_recipe
from merit_interp.record_files import read_jsonl
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.search.command import find_recipe
from merit_interp.search.settings import SearchSettings
from merit_interp.search.subject import SearchInputs
from tests.search.conftest import World
from tests.search.test_command import inputs_of, trials_in
from tests.tiny_models import tiny_backbone

QUICK = {"sampler": "random", "budget": 4, "top": 1, "parsimony": 0.0}


def test_plain_settings_are_written_as_they_always_were() -> None:
    assert SearchSettings().to_json().keys().isdisjoint({"method", "method_settings"})
    other = SearchSettings(method="ties", method_settings={"density": 0.5}).to_json()
    assert (other["method"], other["method_settings"]) == ("ties", {"density": 0.5})


def test_a_search_over_slerp(world: World, tmp_path: Path) -> None:
    settings = SearchSettings(**QUICK, method="slerp")
    recipe = find_recipe(settings, inputs_of(world), tmp_path / "run").recipe
    assert recipe.method == "slerp"
    plain = find_recipe(SearchSettings(**QUICK), inputs_of(world), tmp_path / "plain")
    ours, theirs = (trials_in(tmp_path / run / "trials.jsonl") for run in ("run", "plain"))
    assert [trial.layers for trial in ours] == [trial.layers for trial in theirs]
    assert [trial.recipe for trial in ours] != [trial.recipe for trial in theirs]
    assert plain.recipe.method == "linear"


def test_a_search_over_ties_names_its_base_and_resumes(world: World, tmp_path: Path) -> None:
    base = tiny_backbone(tmp_path / "base", seed=5)
    settings = SearchSettings(**QUICK, method="ties", method_settings={"density": 0.5})
    inputs = inputs_of(world, base=str(base))
    find_recipe(settings, inputs, tmp_path / "run")
    recipe = read_recipe(tmp_path / "run" / "recipe.json")
    assert recipe.base is not None
    assert recipe.base.source == str(base)
    assert dict(recipe.settings) == {"density": 0.5}
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["fingerprints"]["base"] == recipe.base.fingerprint
    again = find_recipe(settings, inputs, tmp_path / "run", resume=True)
    assert again.finished_before


def test_a_layer_swap_searches_ends_only(world: World, tmp_path: Path) -> None:
    settings = SearchSettings(**QUICK, method="layer_swap")
    assert settings.levels == (0.0, 1.0)
    find_recipe(settings, inputs_of(world), tmp_path / "run")
    shares = {s for t in trials_in(tmp_path / "run" / "trials.jsonl") for s in t.layers.values()}
    assert shares == {1.0}
    with pytest.raises(RecipeError, match=r"layer_swap cannot take a share of 0.5"):
        SearchSettings(method="layer_swap", levels=(0.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("changes", "base", "message"),
    [
        ({"method": "mean"}, None, "no merge method 'mean'"),
        ({"method": "ties"}, None, "method ties needs a base"),
        ({"method": "linear"}, "base", "method linear takes no base"),
        ({"method": "ties", "method_settings": {"density": 2.0}}, "base", "setting density of"),
    ],
)
def test_mistakes_cost_no_run(
    world: World, tmp_path: Path, changes: dict[str, object], base: str | None, message: str
) -> None:
    inputs = SearchInputs(world.vlm, world.backbone, world.items, base=base)
    with pytest.raises(RecipeError, match=message):
        find_recipe(SearchSettings(**QUICK, **changes), inputs, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def exploding(world: World, tmp_path: Path) -> SearchInputs:
    """A backbone whose layer 1 is so large that a merge of much of it gives NaN."""
    import shutil

    backbone = tmp_path / "exploding"
    shutil.copytree(world.backbone, backbone)
    weights = load_file(backbone / "model.safetensors")
    for name in ("q", "k"):
        key = f"model.layers.1.self_attn.{name}_proj.weight"
        weights[key] = torch.full_like(weights[key], 3e38)
    save_file(weights, backbone / "model.safetensors", metadata={"format": "pt"})
    return inputs_of(world, backbone=str(backbone))


def test_a_merge_that_gives_nan_is_the_worst_trial_and_the_search_goes_on(
    exploding: SearchInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SearchSettings(sampler="cmaes", budget=8, top=2, seed=0)
    run = tmp_path / "run"
    result = find_recipe(settings, exploding, run)
    trials = trials_in(run / "trials.jsonl")
    rows = [row for row in read_jsonl(run / "ledger.jsonl")[1:] if "fault" in row]
    assert all(math.isnan(v) for row in rows for vs in row["log_probs"].values() for v in vs)
    assert {row["fault"][:29] for row in rows} == {"the model gives NaN for item "}
    broken = {row["recipe"] for row in rows}
    # the uniform merges are tried first, and they merge layer 1
    assert broken
    assert {t.recipe for t in trials} - broken, "one trial at least leaves layer 1 alone"
    worst = min(trial.objective for trial in trials)
    for trial in trials:
        assert math.isfinite(trial.objective)
        assert (trial.recipe in broken) == (trial.objective == worst), trial
    n_failed = sum(trial.recipe in broken for trial in trials)
    assert result.recipe.search["n_failed"] == n_failed
    said = f"; {n_failed} of {len(trials)} recipes gave NaN and count as the worst"
    assert result.reason.endswith(said)
    check_resumed(settings, exploding, run, tmp_path, monkeypatch)


def check_resumed(
    settings: SearchSettings,
    inputs: SearchInputs,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut after any batch, the run ends in the same bytes."""
    files = ("ledger.jsonl", "trials.jsonl", "validation.jsonl", "recipe.json")
    whole = {name: (run / name).read_bytes() for name in files}
    score_batch = Evaluation.score_batch
    for after in (1, 2, 4):
        calls = 0

        def cut(self: Evaluation, number: int) -> object:
            nonlocal calls
            calls += 1
            if calls > after:  # noqa: B023
                raise KeyboardInterrupt
            return score_batch(self, number)

        part = tmp_path / f"cut{after}"
        monkeypatch.setattr(Evaluation, "score_batch", cut)
        with pytest.raises(KeyboardInterrupt):
            find_recipe(settings, inputs, part)
        monkeypatch.setattr(Evaluation, "score_batch", score_batch)
        find_recipe(settings, inputs, part, resume=True)
        assert {name: (part / name).read_bytes() for name in files} == whole


def test_nan_of_the_vlm_itself_stops_the_search(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Evaluation, number: int) -> list[tuple[int, tuple[float, ...]]]:
        raise NotANumberError("the model gives NaN for item 0 as float16")

    monkeypatch.setattr(Evaluation, "score_batch", broken)
    with pytest.raises(NotANumberError):
        find_recipe(SearchSettings(**QUICK), inputs_of(world), tmp_path / "run")
