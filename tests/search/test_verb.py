"""`merit-interp search` as a user runs it: killed, interrupted, resumed, mistaken.

Processes are forked from a server that has imported torch once; each is a process of its own, with
signals and an exit code as from a shell.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import resource
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Protocol

import pytest

from merit_interp.cli.search import _share
from merit_interp.record_files import read_jsonl
from tests.search.conftest import World

SETTINGS = ("--sampler", "tpe", "--budget", "60", "--top", "3", "--seed", "2", "--batch-size", "8")


def arguments(world: World, out: Path, *more: str) -> list[str]:
    return [
        "search", "--vlm", world.vlm, "--backbone", world.backbone, "--items", str(world.items),
        "--out", str(out), *SETTINGS, *more,
    ]  # fmt: skip


def _run(words: list[str], output: Path, largest_file: int | None) -> None:
    """In the new process: the command line, its streams to files."""
    import torch

    from merit_interp.cli.main import main

    # a suite that a shell runs in the background inherits that Ctrl-C is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = ["merit-interp", *words]
    with (
        output.with_suffix(".out").open("w") as out,
        output.with_suffix(".err").open("w") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        main()


@dataclass(frozen=True)
class Running:
    """A command at work in a process of its own."""

    process: ForkServerProcess
    output: Path

    def ended(self) -> tuple[int | None, str, str]:
        """Exit code, standard output and standard error."""
        self.process.join(timeout=300)
        out, err = (self.output.with_suffix(suffix) for suffix in (".out", ".err"))
        return self.process.exitcode, *(f.read_text() if f.exists() else "" for f in (out, err))

    def wait_for_bytes(self, path: Path, size: int) -> None:
        while self.process.is_alive() and (not path.exists() or path.stat().st_size < size):
            time.sleep(0.002)

    def signalled(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


class Starter(Protocol):
    def __call__(self, words: list[str], *, largest_file: int | None = None) -> Running: ...


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Starter:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["merit_interp.search.command", "merit_interp.cli.main"])
    outputs = tmp_path_factory.mktemp("outputs")
    count = itertools.count()

    def started(words: list[str], *, largest_file: int | None = None) -> Running:
        output = outputs / str(next(count))
        process = context.Process(target=_run, args=(words, output, largest_file))
        process.start()
        return Running(process, output)

    return started


@pytest.fixture(scope="module")
def undisturbed(world: World, start: Starter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("verb") / "run"
    code, out, err = start(arguments(world, run)).ended()
    assert code == 0, err
    assert f"recipe {run / 'recipe.json'}" in out
    assert not err
    return run


def test_killed_at_random_moments_it_ends_in_the_same_recipe(
    world: World, start: Starter, undisturbed: Path, tmp_path: Path
) -> None:
    """Three kills, each after a random share of what is still to be scored."""
    run, chance = tmp_path / "run", random.Random(0)
    ledger = run / "ledger.jsonl"
    whole = (undisturbed / "ledger.jsonl").stat().st_size
    for _ in range(3):
        there = ledger.stat().st_size if ledger.exists() else 0
        running = start(arguments(world, run, "--resume"))
        running.wait_for_bytes(ledger, chance.randint(there + 1, (there + 2 * whole) // 3))
        running.signalled(signal.SIGKILL)
        assert running.ended()[0] == -signal.SIGKILL
        assert not (run / "finished.json").exists()
    code, _, err = start(arguments(world, run, "--resume")).ended()
    assert code == 0, err
    for name in ("recipe.json", "trials.jsonl", "validation.jsonl", "pareto.json"):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes(), name


@pytest.mark.slow
def test_killed_ten_times_at_any_time_it_ends_in_the_same_recipe(
    world: World, start: Starter, undisturbed: Path, tmp_path: Path
) -> None:
    """Also while models load, between files, and after the end."""
    run, chance = tmp_path / "run", random.Random(1)
    begun = time.monotonic()
    assert start(arguments(world, tmp_path / "timed")).ended()[0] == 0
    whole_s = time.monotonic() - begun
    for _ in range(10):
        running = start(arguments(world, run, "--resume"))
        time.sleep(chance.uniform(0.05, 0.9) * whole_s)
        running.signalled(signal.SIGKILL)
        running.ended()
    code, _, err = start(arguments(world, run, "--resume")).ended()
    assert code == 0, err
    assert (run / "recipe.json").read_bytes() == (undisturbed / "recipe.json").read_bytes()


def test_ctrl_c_keeps_what_is_there_and_says_how_to_go_on(
    world: World, start: Starter, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run with a space"
    running = start(arguments(world, run))
    running.wait_for_bytes(run / "trials.jsonl", 1)
    running.signalled(signal.SIGINT)
    code, _, err = running.ended()
    assert code == 130
    assert len(read_jsonl(run / "trials.jsonl")) > 0
    assert not (run / "finished.json").exists()
    assert "Traceback" not in err
    assert f"{run} keeps what was done" in err
    advice = next(line for line in err.splitlines() if "Go on with: " in line)
    words = shlex.split(advice.partition("Go on with: ")[2])
    assert words == ["merit-interp", *arguments(world, run), "--resume"]
    code, out, err = start([*words[1:], "--json"]).ended()
    assert code == 0, err
    assert json.loads(out)["run"] == str(run)
    assert (run / "recipe.json").read_bytes() == (undisturbed / "recipe.json").read_bytes()


def test_a_full_disk_ends_in_one_line_and_is_resumed(
    world: World, start: Starter, undisturbed: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, _, err = start(arguments(world, run), largest_file=20_000).ended()
    assert code == 2
    assert err.count("\n") == 1
    assert f"cannot write {run / 'ledger.jsonl'}: File too large; valid: a disk with room" in err
    assert not (run / "recipe.json").exists()
    code, _, err = start(arguments(world, run, "--resume")).ended()
    assert code == 0, err
    assert (run / "recipe.json").read_bytes() == (undisturbed / "recipe.json").read_bytes()


def test_from_a_shell_a_finished_search_says_so(world: World, undisturbed: Path) -> None:
    words = [sys.executable, "-m", "merit_interp.cli.main"]
    done = subprocess.run(
        [*words, *arguments(world, undisturbed, "--resume")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert f"{undisturbed} was finished already; nothing to do" in done.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "holds an earlier run; valid: --resume, --overwrite or another --out"),
        (("--resume", "--seed", "3"), "settings.seed 2, not 3; valid: --resume with the same"),
        (("--resume", "--overwrite"), "--resume and --overwrite exclude each other"),
        (("--overwrite", "--sampler", "anneal"), "valid: cmaes, tpe, discrete, greedy, random"),
        (("--overwrite", "--levels", "0,x"), "numbers with commas, such as 0,0.5,1"),
        (("--overwrite", "--projections", "q,x"), "valid: one or more of q,k,v,o"),
        (("--overwrite", "--answers", "essay"), "valid: letter or option_text"),
        (("--overwrite", "--objective", "loss"), "valid: margin or accuracy"),
    ],
)
def test_mistakes_end_in_one_line_and_cost_nothing(
    world: World,
    undisturbed: Path,
    more: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from merit_interp.cli.main import main

    before = (undisturbed / "recipe.json").read_bytes()
    with pytest.raises(SystemExit) as end:
        main(arguments(world, undisturbed, *more))
    assert end.value.code == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert (undisturbed / "recipe.json").read_bytes() == before


def test_coefficients_are_shown_readably() -> None:
    assert [_share(0.25), _share({"q": 0.5, "v": 1.0})] == ["0.25", "q=0.5,v=1"]
