"""Whole searches on a tiny real pair: what is written, what is refused, going on after a cut."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import read_items, write_items
from merit_interp.benchmarks.splits import parts_of, split_hash
from merit_interp.errors import ItemError, MeritError, RunError
from merit_interp.recipe import Scoring, read_recipe
from merit_interp.record_files import read_jsonl
from merit_interp.records import Trial
from merit_interp.search import loop
from merit_interp.search.command import find_recipe
from merit_interp.search.loop import Step
from merit_interp.search.objective import pareto_front
from merit_interp.search.samplers import SAMPLERS
from merit_interp.search.settings import SearchSettings
from merit_interp.search.subject import SearchInputs, load_subject
from merit_interp.search.trials import ranked
from merit_interp.tables.run_records import read_run
from tests.lost_records import lose_records
from tests.search.conftest import World

SETTINGS = SearchSettings(budget=12, top=2, seed=1, parsimony=0.0)
FILES = {
    "run.json", "ledger.jsonl", "trials.jsonl", "validation.jsonl", "pareto.json",
    "recipe.json", "finished.json", "decoding.jsonl",
}  # fmt: skip


def inputs_of(world: World, **changes: object) -> SearchInputs:
    inputs = SearchInputs(world.vlm, world.backbone, world.items, batch_size=8)
    return dataclasses.replace(inputs, **changes)  # type: ignore[arg-type]


def trials_in(path: Path) -> list[Trial]:
    return [Trial.from_row(row) for row in read_jsonl(path)]


@pytest.fixture(scope="module")
def undisturbed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search; read it, do not change it."""
    run = tmp_path_factory.mktemp("search") / "run"
    find_recipe(SETTINGS, inputs_of(world), run)
    return run


def test_a_run_holds_its_files_and_nothing_half_written(undisturbed: Path) -> None:
    assert {path.name for path in undisturbed.iterdir()} == FILES


def test_every_trial_has_every_items_score_in_the_ledger(world: World, undisturbed: Path) -> None:
    rows = read_jsonl(undisturbed / "ledger.jsonl")[1:]
    items = {item.id for item in read_items(world.items).items}
    scored: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        scored.setdefault((row["recipe"], row["split"]), set()).update(row["log_probs"])
    searched, validated = scored["vlm", "search"], scored["vlm", "validation"]
    assert searched | validated == items
    assert not {name.split()[1] for name in searched} & {name.split()[1] for name in validated}
    trials = trials_in(undisturbed / "trials.jsonl")
    assert [trial.number for trial in trials] == list(range(SETTINGS.budget))
    assert len({trial.recipe for trial in trials}) == SETTINGS.budget
    assert all(scored[trial.recipe, "search"] == searched for trial in trials)
    best = trials_in(undisturbed / "validation.jsonl")
    assert [trial.recipe for trial in best] == [t.recipe for t in ranked(trials)[: SETTINGS.top]]
    assert all(scored[trial.recipe, "validation"] == validated for trial in best)
    # and no batch was scored twice
    keys = [(row["recipe"], row["split"], row["batch"]) for row in rows]
    assert len(keys) == len(set(keys))


def test_pareto_front_is_kept(undisturbed: Path) -> None:
    front = json.loads((undisturbed / "pareto.json").read_text())
    trials = trials_in(undisturbed / "trials.jsonl")
    assert front == [trial.to_row() for trial in pareto_front(trials)]


def test_the_recipe_tells_how_it_was_found(world: World, undisturbed: Path) -> None:
    recipe = read_recipe(undisturbed / "recipe.json")
    about = recipe.search
    assert recipe.items is not None
    assert (recipe.items.split, recipe.items.scoring) == ("search", Scoring())
    assert about["split"] == {"validation_share": 0.5, "seed": 1}
    assert recipe.items.split_hash == split_hash(
        parts_of(read_items(world.items).items, SETTINGS.made_split())
    )
    assert {"sampler", "seed", "budget", "penalty", "levels", "objective", "versions"} <= set(about)
    assert about["n_trials"] == SETTINGS.budget
    winner = ranked(trials_in(undisturbed / "validation.jsonl"))[0]
    assert about["best"]["recipe"] == winner.recipe
    on_validation = about["scores"]["validation"]
    assert on_validation["objective"] == winner.objective
    gain = on_validation["reasoning"]["margin_nats"]
    assert gain["delta"] == pytest.approx(winner.delta_tr)
    assert gain["merged"] - gain["vlm"] == pytest.approx(gain["delta"])
    assert gain["low"] < gain["delta"] < gain["high"]
    assert about["found"] == (gain["low"] > 0 and winner.objective > 0)


@pytest.mark.parametrize("name", ["ledger.jsonl", "trials.jsonl", "validation.jsonl"])
def test_cut_at_any_byte_it_ends_in_the_same_bytes(
    world: World, undisturbed: Path, tmp_path: Path, name: str
) -> None:
    chance = random.Random(name)
    run = tmp_path / "run"
    for _ in range(2):
        shutil.copytree(undisturbed, run)
        for late in ("finished.json", "recipe.json", "pareto.json"):
            (run / late).unlink()
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: chance.randrange(len(content))])
        find_recipe(SETTINGS, inputs_of(world), run, resume=True)
        # how long a video took to decode is never the same
        for file in FILES - {"ledger.jsonl", "decoding.jsonl"}:
            assert (run / file).read_bytes() == (undisturbed / file).read_bytes(), file
        assert sorted((run / name).read_bytes().splitlines()) == sorted(content.splitlines())
        shutil.rmtree(run)


@pytest.mark.parametrize("name", ["trials.jsonl", "validation.jsonl"])
def test_trials_lost_after_the_end_are_said_and_made_again(
    world: World, undisturbed: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    said = lose_records(run / name)
    with pytest.raises(RunError, match=said):
        read_run(run)
    assert not find_recipe(SETTINGS, inputs_of(world), run, resume=True).finished_before
    for file in FILES - {"decoding.jsonl"}:
        assert (run / file).read_bytes() == (undisturbed / file).read_bytes(), file


def test_a_resumed_search_asks_the_model_only_for_what_is_missing(
    world: World, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    (run / "finished.json").unlink()
    steps: list[Step] = []
    find_recipe(SETTINGS, inputs_of(world), run, resume=True, watch=steps.append)
    known = [step for step in steps if step.phase in ("search", "validation")]
    assert len(known) == SETTINGS.budget + SETTINGS.top
    assert not any(step.by_model for step in known)


def test_steps_tell_how_far_it_is(world: World, tmp_path: Path) -> None:
    steps: list[Step] = []
    find_recipe(SETTINGS, inputs_of(world), tmp_path / "run", watch=steps.append)
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == ["reading search videos", "reading validation videos", "search", "validation"]
    for phase in phases:
        mine = [step for step in steps if step.phase == phase]
        assert mine[-1].done == mine[-1].total
    searched = [step for step in steps if step.phase == "search"]
    best = [step.best.objective for step in searched if step.best is not None]
    assert len(best) == SETTINGS.budget
    assert best == sorted(best)


def test_an_interrupt_leaves_the_model_unmerged(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = []

    def remembered(*args: object, **kwargs: object) -> object:
        subjects.append(load_subject(*args, **kwargs))  # type: ignore[arg-type]
        return subjects[-1]

    def interrupt(step: Step) -> None:
        if step.phase == "search" and step.done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("merit_interp.search.command.load_subject", remembered)
    with pytest.raises(KeyboardInterrupt):
        find_recipe(SETTINGS, inputs_of(world), tmp_path / "run", watch=interrupt)
    assert not subjects[0].merge.in_force
    assert len(read_jsonl(tmp_path / "run" / "trials.jsonl")) == 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_resumes(world: World, tmp_path: Path, sampler: str) -> None:
    settings = SearchSettings(sampler=sampler, budget=14, top=2, levels=(0.0, 0.5, 1.0))
    run, other = tmp_path / "run", tmp_path / "other"
    find_recipe(settings, inputs_of(world), run)
    shutil.copytree(run, other)
    for name in FILES - {"ledger.jsonl", "trials.jsonl"}:
        (other / name).unlink()
    content = (other / "ledger.jsonl").read_bytes()
    (other / "ledger.jsonl").write_bytes(content[: len(content) // 2])
    find_recipe(settings, inputs_of(world), other, resume=True)
    assert (other / "recipe.json").read_bytes() == (run / "recipe.json").read_bytes()
    assert (other / "trials.jsonl").read_bytes() == (run / "trials.jsonl").read_bytes()


def test_the_best_recipe_is_pruned_and_validated(world: World, tmp_path: Path) -> None:
    settings = SearchSettings(sampler="random", budget=8, top=1, parsimony=0.3)
    find_recipe(settings, inputs_of(world), tmp_path / "run")
    trials = trials_in(tmp_path / "run" / "trials.jsonl")
    searched, tried_for_pruning = trials[:8], trials[8:]
    best = ranked(searched)[0]
    assert best.objective > 0
    assert 0 < len(tried_for_pruning) <= 2 * len(best.layers)
    assert all(set(trial.layers) < set(best.layers) for trial in tried_for_pruning)
    near = [t for t in (best, *tried_for_pruning) if t.objective >= 0.7 * best.objective]
    fewest = min(len(trial.layers) for trial in near)
    validated = trials_in(tmp_path / "run" / "validation.jsonl")
    # each step of the path from the best recipe, which one of them may beat, to the fewest layers
    assert {len(t.layers) for t in validated} >= set(range(fewest, len(best.layers)))


def test_a_small_space_is_tried_whole_and_no_more(world: World, tmp_path: Path) -> None:
    settings = SearchSettings(sampler="random", budget=100, top=1, levels=(0.0, 1.0), parsimony=0.0)
    find_recipe(settings, inputs_of(world), tmp_path / "run")
    trials = trials_in(tmp_path / "run" / "trials.jsonl")
    assert len(trials) == 2**4
    assert [trial.objective for trial in trials if not trial.layers] == [0.0]


def test_a_sampler_that_only_repeats_itself_ends(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stuck:
        def ask(self) -> tuple[float, ...]:
            return (0.25,) * 4

        def tell(self, vector: tuple[float, ...], value: float) -> None:
            pass

    monkeypatch.setattr(loop, "make_sampler", lambda name, space, seed: Stuck())
    find_recipe(SETTINGS, inputs_of(world), tmp_path / "run")
    assert len(read_jsonl(tmp_path / "run" / "trials.jsonl")) == 3


# found or not


@pytest.fixture(scope="module")
def repairable(world: World) -> World:
    """Items whose right answer is the one that merging everything makes more likely."""
    subject = load_subject(inputs_of(world), SETTINGS)
    whole = subject.identity.with_layers(dict.fromkeys(range(subject.n_layers), 1.0))
    answers = {}
    for part in subject.parts.values():
        before = part.scores("vlm", "vlm")
        with subject.merge.applied(whole):
            after = part.scores("merged", whole.merge_hash)
        for vlm, merged in zip(before, after, strict=True):
            gains = [
                dataclasses.replace(merged, answer=option).margin_nats
                - dataclasses.replace(vlm, answer=option).margin_nats
                for option in range(3)
            ]
            answers[vlm.item] = gains.index(max(gains))
    path = world.items.parent / "repairable.jsonl"
    items = read_items(world.items).items
    write_items(path, [dataclasses.replace(item, answer=answers[item.id]) for item in items])
    return World(world.vlm, world.backbone, path)


def test_what_can_be_repaired_is_found(repairable: World, tmp_path: Path) -> None:
    result = find_recipe(SETTINGS, inputs_of(repairable), tmp_path / "run")
    assert result.found
    assert not result.recipe.is_identity
    assert result.reason.startswith("better than the unmerged VLM beyond its interval: trial ")
    assert result.recipe.merge_hash == result.recipe.search["best"]["recipe"]
    assert result.recipe.search["scores"]["validation"]["reasoning"]["margin_nats"]["low"] > 0


def test_what_cannot_is_said_and_the_identity_written(world: World, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, objective="accuracy", penalty=1000.0)
    result = find_recipe(settings, inputs_of(world), tmp_path / "run")
    assert not result.found
    assert result.recipe.is_identity
    assert read_recipe(tmp_path / "run" / "recipe.json") == result.recipe
    assert result.recipe.search["reason"] == result.reason
    assert result.reason.startswith("no recipe is better than the unmerged VLM beyond its interval")
    assert "−" in result.reason
    assert "-" not in result.reason, "one minus in all text"


# directories


def test_a_used_directory_is_refused_and_kept(
    world: World, undisturbed: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="holds an earlier run; valid: --resume, --overwrite"):
        find_recipe(SETTINGS, inputs_of(world), undisturbed)
    assert {path.name for path in undisturbed.iterdir()} == FILES


def test_a_finished_run_is_returned_without_a_model(
    world: World, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merit_interp.search.command.load_subject", None)
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    result = find_recipe(SETTINGS, inputs_of(world), undisturbed, resume=True)
    assert result.finished_before
    assert result.recipe == read_recipe(undisturbed / "recipe.json")
    assert {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()} == before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("settings", "inputs", "field"),
    [
        ({"seed": 2}, {}, r"settings\.seed 1, not 2"),
        ({"budget": 15}, {}, r"settings\.budget 12, not 15"),
        ({"levels": (0.0, 1.0)}, {}, r"settings\.levels null, not \[0\.0, 1\.0\]"),
        ({}, {"batch_size": 6}, r"inputs\.batch_size 8, not 6"),
        ({}, {"scoring": Scoring(max_frames=2)}, r"inputs\.scoring\.max_frames 16, not 2"),
    ],
)
def test_resuming_with_other_settings_is_refused(
    world: World,
    undisturbed: Path,
    tmp_path: Path,
    finished: bool,
    settings: dict[str, object],
    inputs: dict[str, object],
    field: str,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    if not finished:
        (run / "finished.json").unlink()
    changed = dataclasses.replace(SETTINGS, **settings)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=f"{field}; valid: --resume with the same"):
        find_recipe(changed, inputs_of(world, **inputs), run, resume=True)


def test_resuming_on_other_items_is_refused(
    world: World, repairable: World, undisturbed: Path
) -> None:
    with pytest.raises(RunError, match=r"inputs\.items"):
        find_recipe(SETTINGS, inputs_of(repairable), undisturbed, resume=True)


def test_trials_of_another_search_are_not_mixed_in(
    world: World, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    (run / "finished.json").unlink()
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[:3] + lines[4:]))
    with pytest.raises(RunError, match=r"trials\.jsonl, line 4, is of recipe"):
        find_recipe(SETTINGS, inputs_of(world), run, resume=True)


def test_a_run_that_is_no_search_is_not_gone_on_with(
    world: World, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "evaluation"
    run.mkdir()
    for name in ("run.json", "recipe.json", "finished.json"):
        shutil.copy(undisturbed / name, run)
    with pytest.raises(RunError, match="holds a run that is no search"):
        find_recipe(SETTINGS, inputs_of(world), run, resume=True)


def test_overwriting_begins_anew(world: World, undisturbed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    (run / "old.txt").write_text("")
    find_recipe(SETTINGS, inputs_of(world), run, overwrite=True)
    assert {path.name for path in run.iterdir()} == FILES


@pytest.mark.parametrize("wrong", ["vlm", "backbone", "items"])
def test_a_typo_costs_neither_the_earlier_run_nor_makes_a_new_one(
    world: World, undisturbed: Path, tmp_path: Path, wrong: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    value = tmp_path / "missing"
    inputs = inputs_of(world, **{wrong: value if wrong == "items" else str(value)})
    for overwrite, out in ((True, run), (False, tmp_path / "new")):
        with pytest.raises(MeritError):
            find_recipe(SETTINGS, inputs, out, overwrite=overwrite)
    assert {path.name for path in run.iterdir()} == FILES
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("missing", "penalty", "message"),
    [
        ("reasoning", 1.0, "no reasoning item in its search part"),
        ("perception", 1.0, "no perception item .* or --penalty 0"),
    ],
)
def test_items_that_the_objective_needs_are_asked_for(
    world: World, missing: str, penalty: float, message: str
) -> None:
    items = [item for item in read_items(world.items).items if item.skill != missing]
    path = world.items.parent / f"no_{missing}.jsonl"
    write_items(path, items)
    settings = SearchSettings(penalty=penalty)
    with pytest.raises(ItemError, match=message):
        load_subject(inputs_of(world, items=path), settings)
    if missing == "perception":
        load_subject(inputs_of(world, items=path), SearchSettings(penalty=0.0))
