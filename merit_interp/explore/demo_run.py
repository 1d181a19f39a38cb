"""The demo's run for a notebook or a gallery: where it is, made as far as it is missing.

    run = open_run(demo_run("../runs/demo", parts=["mask"]))

Each part is made by its own command in its own process, as a user would. This file must not know
what a command computes, and loads no torch.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from merit_interp.errors import RunError, SettingError
from merit_interp.record_files import FINISHED_MARKER

VARIABLE = "MERIT_INTERP_RUN"
"""Environment variable that names another run; nothing is made there."""
PARTS = ("mask", "attribute", "lens", "controls")
"""What may lie below a run, each in the directory of its name; the first three are commands."""
CONTROLS = "black,shuffled,evidence_only,evidence_removed"
"""What `controls` shows in place of each video."""


def demo_run(directory: str | Path = "runs/demo", *, parts: Sequence[str] = ()) -> Path:
    """The run to look at: the one that MERIT_INTERP_RUN names, else the demo's, made if missing.

    Args:
        directory: Where the demo's run is, or shall be. It takes minutes to make on a CPU.
        parts: What it shall hold beside search and evaluation, of `PARTS`.

    Raises:
        SettingError: There is no such part.
        RunError: A command did not end well; what it said stands above.
    """
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise SettingError(f"no part {min(unknown)!r}", valid=", ".join(PARTS))
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    directory = Path(directory)
    if not (directory / FINISHED_MARKER).exists():
        _run("demo", "--out", str(directory), "--resume")
    for part in parts:
        if not (directory / part / FINISHED_MARKER).exists():
            again = ["--resume"] if (directory / part).is_dir() else []
            _run(*_command(part, directory), *again)
    return directory


def _command(part: str, directory: Path) -> list[str]:
    recipe = ["--recipe", str(directory / "recipe.json")]
    if part == "controls":
        out = str(directory / part)
        return ["evaluate", *recipe, "--out", out, "--video-control", CONTROLS]
    return [part, *recipe]


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", "merit_interp.cli.main", *arguments]
    if subprocess.run(command, check=False).returncode:
        raise RunError(f"`merit-interp {' '.join(arguments)}` did not end well")
