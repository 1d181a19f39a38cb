"""The command line run in this process, and a tiny world to run it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from merit_interp.cli.main import main
from tests.search.conftest import World, world


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line that a user's mistake ends in."""
        lines = [line for line in self.err.splitlines() if line.startswith("merit-interp: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


Command = Callable[..., Ended]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("pair", "--vlm", ...)` as typed in a shell."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


__all__ = ["World", "world"]
