"""The demo's run is made as far as it is missing, by the commands that a user would give."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from merit_interp.errors import RunError, SettingError
from merit_interp.explore import demo_run as module
from merit_interp.explore.demo_run import VARIABLE, demo_run


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is run, with nothing run; a command with `attribute` ends badly."""
    given: list[list[str]] = []

    def record(command: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        given.append(list(command[3:]))
        return subprocess.CompletedProcess(command, int("attribute" in command))

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module.subprocess, "run", record)
    return given


def test_what_is_missing_is_made(tmp_path: Path, commands: list[list[str]]) -> None:
    recipe = str(tmp_path / "recipe.json")
    assert demo_run(tmp_path, parts=["mask"]) == tmp_path
    assert commands == [
        ["demo", "--out", str(tmp_path), "--resume"],
        ["mask", "--recipe", recipe],
    ]


def test_controls_are_an_evaluation_of_their_own(tmp_path: Path, commands: list[list[str]]) -> None:
    demo_run(tmp_path, parts=["controls"])
    assert commands[1][0] == "evaluate"
    assert commands[1][commands[1].index("--out") + 1] == str(tmp_path / "controls")


def test_what_is_there_is_not_made_again(tmp_path: Path, commands: list[list[str]]) -> None:
    (tmp_path / "mask").mkdir()
    (tmp_path / "finished.json").touch()
    assert demo_run(tmp_path) == tmp_path
    assert commands == []
    demo_run(tmp_path, parts=["mask"])
    assert commands == [["mask", "--recipe", str(tmp_path / "recipe.json"), "--resume"]]
    (tmp_path / "mask" / "finished.json").touch()
    demo_run(tmp_path, parts=["mask"])
    assert len(commands) == 1


def test_another_run_is_left_as_it_is(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert demo_run(tmp_path, parts=["mask"]) == tmp_path / "mine"
    assert commands == []


def test_what_cannot_be_made_is_one_line(tmp_path: Path, commands: list[list[str]]) -> None:
    with pytest.raises(
        SettingError, match="no part 'masks'; valid: mask, attribute, lens, controls"
    ):
        demo_run(tmp_path, parts=["masks"])
    (tmp_path / "finished.json").touch()
    with pytest.raises(RunError, match=r"`merit-interp attribute --recipe .*` did not end well"):
        demo_run(tmp_path, parts=["attribute"])
