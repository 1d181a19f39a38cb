from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.record_files import (
    finished_part,
    is_finished,
    mark_finished,
    open_run_directory,
    read_finished,
)
from tests.lost_records import lose_records

OPENS = """
import sys
from pathlib import Path
from merit_interp.record_files import (
    finished_part,
    is_finished,
    mark_finished,
    open_run_directory,
    read_finished,
)
from tests.lost_records import lose_records
open_run_directory(Path(sys.argv[1]), resume=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_two_processes_never_write_to_one_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with subprocess.Popen(
        [sys.executable, "-c", OPENS, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        for again in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(RunError, match="another process is writing to"):
                open_run_directory(run, **again)
        assert (run / "run.json").exists()
        other.communicate("")
    # one that has ended, also by a kill, holds nothing
    assert open_run_directory(run, resume=True) == run
    assert open_run_directory(run, overwrite=True) == run


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    for name, n_records in (("masks", 5), ("scores", 3), ("decoding", 2)):
        (run / f"{name}.jsonl").write_text('{"a":1}\n' * n_records)
    mark_finished(run, recipe="abc")
    return run


def test_a_finished_run_knows_how_many_records_it_has(finished: Path) -> None:
    said = {"recipe": "abc", "masks": 5, "scores": 3}
    assert read_finished(finished) == said
    assert is_finished(finished, ("masks", "scores"))
    assert finished_part(finished.parent, "run", "masks.jsonl") == finished
    # another command counts its own files again, and keeps what was said of others
    (finished / "scores.jsonl").write_text('{"a":1}\n')
    mark_finished(finished, ("masks",), recipe="def")
    assert json.loads((finished / "finished.json").read_text()) == said | {"recipe": "def"}


def test_what_was_lost_after_the_end_is_said(finished: Path) -> None:
    said = lose_records(finished / "masks.jsonl")
    with pytest.raises(RunError, match=said):
        read_finished(finished)
    # who writes it again goes on, others do not
    assert not is_finished(finished, ("masks",))
    assert is_finished(finished, ("scores",))
    assert read_finished(finished, but=("masks",)) is not None
    (finished / "masks.jsonl").unlink()
    with pytest.raises(RunError, match=r"masks.jsonl holds 0 of 5 records"):
        finished_part(finished.parent, "run", "masks.jsonl")


def test_what_was_added_after_the_end_is_said(finished: Path) -> None:
    (finished / "masks.jsonl").write_text('{"a":1}\n' * 6)
    said = "holds 6 records in place of 5: the run was changed .* again with --overwrite"
    with pytest.raises(RunError, match=said):
        read_finished(finished)
    with pytest.raises(RunError, match=said):
        is_finished(finished, ("masks",))


@pytest.mark.parametrize("marker", ['{"ended_utc": "2026"}', '{"masks": 5}', '{"tensors": 9}'])
def test_markers_of_older_versions_are_read_as_before(finished: Path, marker: str) -> None:
    (finished / "finished.json").write_text(marker)
    lose_records(finished / "scores.jsonl")
    assert read_finished(finished) == json.loads(marker)


def test_a_run_that_is_not_finished_is_not_compared(finished: Path) -> None:
    (finished / "finished.json").unlink()
    lose_records(finished / "masks.jsonl")
    assert read_finished(finished) is None
    assert not is_finished(finished, ("masks",))


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_marker_is_said(finished: Path, content: str) -> None:
    (finished / "finished.json").write_text(content)
    with pytest.raises(RunError, match=r"finished.json is not (JSON|a JSON object); valid: the fi"):
        read_finished(finished)
