"""`items import` and then `items check`, as a user types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from merit_interp.benchmarks.importers import NAMES
from tests.cli.conftest import Command
from tests.videos_on_disk import tiny_video

HEADER = "video_id,question,answer,qid,type,a0,a1,a2,a3,a4\n"
ROWS = (
    "91,why did it turn grey,to hide,0,CW,to hide,to rest,to eat,to run,to sing\n"
    "91,what happens while it turns,a fall,1,TC,a jump,a fall,a cut,a fade,a nap\n"
    "92,what happens before the end,a nap,0,TP,a jump,a fall,a cut,a fade,a nap\n"
    "93,how did it end,well,0,CH,well,badly,soon,late,never\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two real clips of two seconds, of three that the annotations name."""
    (tmp_path / "val.csv").write_text(HEADER + ROWS)
    spans = {
        "91": {"duration": 2, "location": {"0": [[0.25, 0.75]], "1": [[1.0, 2.5]]}},
        "92": {"duration": 2, "location": {"0": [[0.0, 1.0]]}},
        "93": {"duration": 2, "location": {"0": [[0.0, 1.0]]}},
    }
    (tmp_path / "gsub_val.json").write_text(json.dumps(spans))
    for seed, name in enumerate(("91", "92")):
        tiny_video(tmp_path / f"videos/{name}.mp4", n_frames=8, fps=4, seed=seed)
    return tmp_path


def words(folder: Path, **changes: Any) -> list[object]:
    options = {
        "annotations": folder / "val.csv",
        "videos": folder / "videos",
        "out": folder / "items.jsonl",
    } | changes
    return ["items", "import", "next_gqa"] + [
        part for name, value in options.items() for part in (f"--{name}", value)
    ]


def test_what_is_imported_passes_the_check(folder: Path, command: Command) -> None:
    ended = command(*words(folder))
    assert ended.code == 0
    assert "items.jsonl: 3 items on 2 videos" in ended.out
    assert "skill reasoning: 2 items on 2 videos" in ended.out
    assert "chance level: 20.0%" in ended.out
    assert "evidence: 3 items; it covers 50.0% of the video (median of 3)" in ended.out
    assert "evidence past the end was clipped: 1 items" in ended.out
    assert "left out, no video: 1 rows" in ended.out
    assert "beside it: items.import.json, items.left_out.jsonl" in ended.out
    checked = command("items", "check", folder / "items.jsonl")
    assert (checked.code, "no faults" in checked.out) == (0, True)


def test_the_summary_as_json_is_the_record(folder: Path, command: Command) -> None:
    ended = command(*words(folder), "--json")
    assert json.loads(ended.out) == json.loads((folder / "items.import.json").read_text())


def test_roles_can_be_replaced(folder: Path, command: Command) -> None:
    roles = folder / "roles.json"
    roles.write_text('{"next_gqa": {"TC": "reasoning", "DC": "perception"}}')
    ended = command(*words(folder, roles=roles))
    assert "skill reasoning: 3 items" in ended.out
    assert "the role of 'DC' met no item" in ended.out


def test_help_names_every_benchmark(command: Command) -> None:
    out = command("items", "import", "--help").out
    assert all(name in out for name in NAMES)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"annotations": "gone.csv"}, "no annotations at gone.csv; valid: val.csv or test.csv"),
        ({"videos": "gone"}, "there is no video folder gone"),
        ({"roles": "gone.json"}, "cannot read roles gone.json"),
        ({"subset": "train"}, "has no subset 'train'; valid: val, test"),
        ({"bounds": "cut"}, "valid: keep or drop"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, command: Command, changes: dict[str, str], problem: str
) -> None:
    before = sorted(folder.iterdir())
    ended = command(*words(folder, **changes))
    assert ended.code == 2
    assert problem in ended.error_line
    assert sorted(folder.iterdir()) == before


def test_an_unknown_benchmark_names_the_known_ones(folder: Path, command: Command) -> None:
    arguments = words(folder)
    arguments[2] = "nextgqa"
    ended = command(*arguments)
    assert ended.code == 2
    assert "no importer for 'nextgqa'; valid: " in ended.error_line
    assert "next_gqa" in ended.error_line


def test_an_earlier_import_stays_unless_overwritten(folder: Path, command: Command) -> None:
    (folder / "items.jsonl").write_text("mine\n")
    ended = command(*words(folder))
    assert (ended.code, (folder / "items.jsonl").read_text()) == (2, "mine\n")
    assert "is there already; valid: --overwrite or another --out" in ended.error_line
    assert command(*words(folder), "--overwrite").code == 0


def test_an_interrupt_leaves_nothing_half_written(folder: Path) -> None:
    rows = "".join(
        ROWS.replace(",0,C", f",{i},C").replace(",1,T", f",{i},T") for i in range(20_000)
    )
    (folder / "val.csv").write_text(HEADER + rows)
    before = {path.name for path in folder.iterdir()}
    # a suite that a shell runs in the background inherits that Ctrl-C is ignored
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from merit_interp.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, *map(str, words(folder))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not list(folder.glob(".items.jsonl.*.part")):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert errors == "merit-interp: interrupted; nothing was written\n"
    assert {path.name for path in folder.iterdir()} == before
