"""Each family, as a user meets it: pair, search, merge, reload, evaluate, mask, attribute.

Everything runs through the command line on a tiny pair on disk and real clips. What was verified,
on which versions, goes into README (`make families`), and a test holds that README says just that.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.kept_logits import give_kept_logits
from merit_interp.models.loading import load_vlm
from merit_interp.recipe import Recipe, Scoring, read_recipe, write_recipe
from merit_interp.scoring.evaluation import Evaluation
from tests.cli.conftest import Command, command
from tests.families.verified import STAGES, Verified
from tests.tiny_families import FAMILIES, tiny_family_pair
from tests.tiny_models import TinyPair
from tests.videos_on_disk import frames_of_levels, write_video

WRITE_TO = "MERIT_INTERP_VERIFIED"
"""Environment variable with the file that verified families are written to."""

__all__ = ["command"]


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Six clips of six frames and of two sizes, one item of each skill on each, with evidence."""
    folder = tmp_path_factory.mktemp("whole_path")
    found = []
    for clip in range(6):
        frames = frames_of_levels(6, size=64, seed=clip)[:, : 32 if clip % 2 else 64]
        write_video(folder / f"{clip}.mp4", frames, fps=4)
        shared = {"video": f"{clip}.mp4", "group": str(clip), "evidence": ((0.25, 0.5),)}
        options = ("the circle", "the square", "the star")
        found += [
            Item(f"{clip}-r", question="What comes right after the circle?", options=options,
                 answer=clip % 3, skill="reasoning", evidence_kind="span", **shared),
            Item(f"{clip}-p", question="Is it red?", options=("yes", "no"),
                 answer=clip % 2, skill="perception", evidence_kind="span", **shared),
        ]  # fmt: skip
    write_items(folder / "items.jsonl", found)
    return read_items(folder / "items.jsonl")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_whole_path(
    name: str,
    items: ItemFile,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # pictures take seconds and are tested elsewhere
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    pair = tiny_family_pair(name, tmp_path / "pair")
    both = ("--vlm", pair.vlm, "--backbone", pair.backbone)
    done = command("pair", *both, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["pairs"]

    run = tmp_path / "run"
    quick = ("--sampler", "random", "--budget", 4, "--top", 2, "--levels", "0,0.5,1")
    done = command("search", *both, "--items", items.path, "--out", run, *quick, "--max-frames", 4)
    assert done.code == 0, done.err
    found = read_recipe(run / "recipe.json")
    assert found.vlm.fingerprint == load_vlm(pair.vlm).fingerprint

    # the best of four may be the VLM itself, which there is nothing to explain of
    recipe = found.with_layers({1: 0.5, 2: 1.0})
    chosen = tmp_path / "chosen" / "recipe.json"
    write_recipe(recipe, chosen)
    merged = tmp_path / "merged"
    done = command("merge", "--recipe", chosen, "--out", merged)
    assert done.code == 0, done.err
    check_merged(pair, recipe, merged, items)

    for verb, options in {
        "evaluate": ("--draws", 1),
        "mask": ("--draws", 1),
        "attribute": ("--limit", 4, "--draws", 1, "--steps", 4, "--no-controls"),
    }.items():
        out = tmp_path / verb
        done = command(verb, "--recipe", chosen, "--out", out, *options)
        assert done.code == 0, done.err
        assert (out / "finished.json").exists()
        assert (out / "report.html").exists() or verb == "evaluate"
    check_attributions(tmp_path / "attribute")
    write_down(name, pair)


def check_merged(pair: TinyPair, recipe: Recipe, merged: Path, items: ItemFile) -> None:
    """The checkpoint on disk is the merge in memory, bit for bit, and not the VLM."""
    scoring = Scoring(answers="letter", max_frames=4)
    vlm = load_vlm(pair.vlm)
    evaluation = Evaluation(vlm, items, items.items[:3], scoring)
    (batch,) = evaluation.batches
    inputs = evaluation.pixel_inputs(evaluation.batch_of([0]))
    with torch.no_grad():
        plain = vlm.model(**inputs).logits
        with InMemoryMerge(vlm, Checkpoint.open(pair.backbone)).applied(recipe):
            in_memory = vlm.model(**inputs).logits
            scores = evaluation.score_batch(0)
        assert torch.equal(vlm.model(**inputs).logits, plain)
        # as anybody loads it
        reloaded = AutoModelForImageTextToText.from_pretrained(merged)
        give_kept_logits(reloaded, vlm.family.lm_head)
        on_disk = reloaded.eval()(**inputs).logits
    assert torch.equal(on_disk, in_memory)
    assert not torch.equal(on_disk, plain)
    again = Evaluation(load_vlm(merged), items, items.items[:3], scoring)
    assert again.score_batch(0) == scores
    assert len(batch.items) == 3


def check_attributions(run: Path) -> None:
    """Every frame that was sampled has its score, and integrated gradients nearly add up."""
    rows = [json.loads(line) for line in (run / "attributions.jsonl").read_text().splitlines()]
    shown = [row for row in rows if row["condition"] == "video" and row["method"] == "ig"]
    assert shown
    for row in shown:
        assert row["status"] == "ok", row
        assert len(row["scores"]) * (2 if row["unit"] == "temporal_patch" else 1) == 4
        assert any(row["scores"])


def write_down(name: str, pair: TinyPair) -> None:
    """Tell `make families` what was seen to work."""
    if target := os.environ.get(WRITE_TO):
        vlm, backbone = (Checkpoint.open(path).config for path in (pair.vlm, pair.backbone))
        seen = Verified.now(
            name, vlm["architectures"][0], backbone["architectures"][0], stages=STAGES
        )
        with Path(target).open("a") as file:
            file.write(json.dumps(seen.to_row()) + "\n")
