"""`merit-interp lens` as a user calls it, on a tiny pair."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, command
from tests.cli.test_mask import recipe

__all__ = ["command", "recipe"]


@pytest.fixture(autouse=True)
def _without_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pictures take seconds and are tested elsewhere."""
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))


def test_with_nothing_but_a_recipe(recipe: Path, command: Command) -> None:
    done = command("lens", "--recipe", recipe)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[:5]] == [
        "Logit lens",
        "Attention of the answer's position to the video, mean over layers and heads",
        "Heads of layers 1, 2",
        "Direct parts of what merging changes on reasoning, "
        + lines[3].split(", ")[1].split(":")[0],
        "Checks",
    ]
    run = recipe.parent / "lens"
    assert lines[5:] == [f"results {run}", f"report  {run / 'report.html'}"]
    assert "no PNG" in done.err
    for name in ("verdict.json", "tables/lens_heads.parquet", "figures/lens-layers.html"):
        assert (run / name).exists()
    described = json.loads((run / "run.json").read_text())
    assert described["settings"]["items"]["split"] == "validation"
    assert described["versions"]["transformer-lens"]
    # again: only with a word on what shall become of the first run
    assert (
        "--resume, --overwrite or another --out" in command("lens", "--recipe", recipe).error_line
    )
    assert command("lens", "--recipe", recipe, "--resume").out == done.out
    done = command("lens", "--recipe", recipe, "--resume", "--limit", 2)
    assert "other settings" in done.error_line


def test_every_option(recipe: Path, tmp_path: Path, command: Command) -> None:
    done = command(
        "lens", "--recipe", recipe, "--items", recipe.parent / "items.jsonl", "--limit", 6,
        "--layers", "0,2-3", "--engine", "modules", "--no-mask-heads", "--no-png", "--seed", 1,
        "--batch-size", 2, "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {check["engine"] for check in found["checks"]} == {"modules"}
    assert found["left_out"] == {"backbone_transcripts": "no item has a transcript"}
    assert "no PNG" not in done.err
    assert not (tmp_path / "run" / "head_masks.jsonl").exists()
    plan = json.loads((tmp_path / "run" / "lens.json").read_text())
    assert plan["layers"] == [0, 2, 3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "tl"), "no engine 'tl'; valid: auto, transformer_lens, modules"),
        (("--layers", "9"), "the model has no layer 9; valid: layers 0 to 3"),
        (("--layers", "a"), "--layers 'a' is no list of numbers"),
    ],
)
def test_mistakes(
    recipe: Path, tmp_path: Path, command: Command, words: tuple[str, str], said: str
) -> None:
    done = command("lens", "--recipe", recipe, "--out", tmp_path / "run", *words)
    assert done.code == 2
    assert said in done.error_line
    assert not (tmp_path / "run").exists()
