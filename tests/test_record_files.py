from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.record_files import open_run_directory

OPENS = """
import sys
from pathlib import Path
from merit_interp.record_files import open_run_directory
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
