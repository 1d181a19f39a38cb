"""A run's directory is read whole or refused in one line, and its tables read back equal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from merit_interp.errors import RunError
from merit_interp.tables.model_names import in_listing_order, model_label
from merit_interp.tables.run_records import read_run
from merit_interp.tables.run_tables import run_tables, write_tables
from tests.synthetic_run import Plan, write_run

SMALL = Plan(("validation",), videos=6, draws=2, trials=8)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", SMALL)


def test_tables_are_written_as_parquet_and_csv(run: Path) -> None:
    written = write_tables(run)
    assert {path.name for path in written} == {
        f"{name}.{kind}"
        for name in ("item_scores", "skill_table", "baseline_summary", "letter_prior", "trials")
        for kind in ("parquet", "csv")
    }
    for name, table in run_tables(read_run(run)).items():
        parquet = pd.read_parquet(run / "tables" / f"{name}.parquet")
        pd.testing.assert_frame_equal(parquet, table)
        csv = pd.read_csv(io.StringIO((run / "tables" / f"{name}.csv").read_text()))
        assert list(csv.columns) == list(table.columns)
        assert len(csv) == len(table)


def test_trials_of_both_splits_are_in_one_table(run: Path) -> None:
    trials = run_tables(read_run(run))["trials"]
    assert trials["split"].value_counts().to_dict() == {"search": 8, "validation": 4}
    assert trials.query("split == 'search'")["is_chosen"].sum() == 1


def test_a_run_that_is_not_done_reads_too(run: Path) -> None:
    (run / "finished.json").unlink()
    (run / "scores.jsonl").unlink()
    records = read_run(run)
    assert records.finished is None
    assert records.scores == ()
    assert set(run_tables(records)) == {"trials"}


def test_a_torn_last_line_is_left_out(run: Path) -> None:
    path = run / "scores.jsonl"
    whole = len(read_run(run).scores)
    path.write_bytes(path.read_bytes()[:-20])
    assert len(read_run(run).scores) == whole - 1


def test_damage_is_one_clear_line(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run at .*nowhere; valid: a directory that"):
        read_run(tmp_path / "nowhere")
    trials = run / "trials.jsonl"
    row = json.loads(trials.read_text().splitlines()[0])
    trials.write_text(json.dumps({**row, "speed": 1}) + "\n")
    with pytest.raises(RunError, match=r"trials.jsonl holds no Trial records: .*'speed'"):
        read_run(run)
    trials.unlink()
    (run / "run.json").write_text('{"command": [')
    with pytest.raises(RunError, match=r"run.json is not JSON"):
        read_run(run)
    (run / "run.json").write_text("[]")
    with pytest.raises(RunError, match="not a JSON object"):
        read_run(run)


def test_models_are_named_and_ordered_for_a_reader() -> None:
    names = ["backbone_transcripts", "random_layers", "last_k", "vlm", "my_merge", "merged"]
    names += ["random_layers_03", "uniform_text_0.5", "uniform_attention_1.0", "first_k"]
    assert [model_label(name) for name in in_listing_order(names)] == [
        "VLM", "Merged", "Uniform attention 1.0", "Uniform text 0.5", "First layers",
        "Last layers", "Random layers", "Random layers, draw 03", "my merge", "Backbone on text",
    ]  # fmt: skip
