"""Every notebook runs from a clean kernel on a run's records, and was committed as it ran."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.chromium import needs_chromium
from tests.synthetic_attribution import write_attribution

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"
NOTEBOOKS = sorted(ANALYSES.glob("*.ipynb"))
MOST_CELL_LINES = 20


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_and_are_those_of_one_clean_run(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
    assert all(out.output_type != "error" for cell in cells for out in cell.outputs)
    assert all(cell.source.count("\n") < MOST_CELL_LINES for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_says_what_a_reader_learns_and_what_it_does_not_show(path: Path) -> None:
    texts = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    assert "?" in texts[0].splitlines()[0]
    assert texts[-1].startswith("## What this does not show")


@pytest.mark.browser
@needs_chromium
def test_which_frames_decide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_attribution(tmp_path / "attribute")
    monkeypatch.setenv("MERIT_INTERP_RUN", str(tmp_path))
    notebook = nbformat.read(ANALYSES / "03_which_frames_decide.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    printed = "".join(
        out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", [])
    )
    # the made-up run moves mass to the evidence, which the committed outputs do not show
    assert "50.1% in the merged model (chance 12.5%); it moved" in printed
