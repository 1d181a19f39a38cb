"""Every notebook runs from a clean kernel on a run's records, and was committed as it ran."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.chromium import needs_chromium
from tests.synthetic_study import write_study

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"
NOTEBOOKS = sorted(ANALYSES.glob("*.ipynb"))
MOST_CELL_LINES = 20
MOST_FUNCTION_LINES = 10


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_kept_and_are_those_of_one_clean_run(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
    assert all(out.output_type != "error" for cell in cells for out in cell.outputs)
    assert all(out.get("name") != "stderr" for cell in cells for out in cell.outputs)
    assert all(cell.source.count("\n") < MOST_CELL_LINES for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_says_what_a_reader_learns_and_what_it_does_not_show(path: Path) -> None:
    texts = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown"]
    assert texts[0].startswith("# ")
    assert "?" in texts[0].splitlines()[0]
    assert texts[-1].startswith("## What this does not show")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_function_of_a_cell_is_longer_than_ten_lines(path: Path) -> None:
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("runs") / "study")


# what each notebook prints of the made-up run, and does not of the run that it was committed with
PRINTED = {
    "01_what_did_merging_restore": "On longer_clips: ",
    "02_which_layers_carry_reasoning": "rank 1 of all 56 sets of 3 layers",
    "03_which_frames_decide": "50.1% in the merged model (chance 12.5%); it moved",
    "05_inside_the_chosen_layers": "merging changes that by +1.04",
    "04_perception_and_reasoning_over_depth": "merged: perception at layer 4.",
}


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_a_clean_kernel(
    path: Path, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERIT_INTERP_RUN", str(study))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": study}}).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    printed = "".join(out.get("text", "") for out in outputs)
    assert PRINTED[path.stem] in printed
    committed = [out for cell in code_cells(path) for out in cell.outputs]
    assert PRINTED[path.stem] not in "".join(out.get("text", "") for out in committed)
