"""Every notebook runs from a clean kernel on what `make demo` leaves, in under two minutes.

The demo is runs/demo where that is finished and has every part, else it is made once, in about ten
minutes. The fast suite runs the same notebooks on made-up records (`test_notebooks`).
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from merit_interp.explore.demo_run import VARIABLE, demo_run
from merit_interp.record_files import FINISHED_MARKER
from tests.analyses.test_notebooks import ANALYSES, NOTEBOOKS
from tests.chromium import needs_chromium

LIMIT_SECONDS = 120
PARTS = ("mask", "attribute", "lens")
DEMO = ANALYSES.parent / "runs" / "demo"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts = [DEMO, *(DEMO / part for part in PARTS)]
    if all((part / FINISHED_MARKER).exists() for part in parts):
        return DEMO
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(VARIABLE, raising=False)
        return demo_run(tmp_path_factory.mktemp("runs") / "demo", parts=PARTS)


@pytest.mark.slow
@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_on_the_demo(path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(demo))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(ANALYSES)}})
    begun = time.monotonic()
    asyncio.run(asyncio.wait_for(client.async_execute(), LIMIT_SECONDS))
    print(f"\n{path.stem}: {time.monotonic() - begun:.0f} s")
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert all(out.get("name") != "stderr" for out in outputs)


@pytest.mark.slow
def test_the_demo_has_what_every_notebook_opens(demo: Path) -> None:
    commands = [json.loads((demo / part / "run.json").read_text())["command"] for part in PARTS]
    assert [command[1] for command in commands] == list(PARTS)
