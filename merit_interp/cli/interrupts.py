"""Ctrl-C: what is there stays there, and one line says how to go on.

    with keeps_results(out):
        find_recipe(...)

This file must not know what was interrupted.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def keeps_results(out: Path) -> Iterator[None]:
    """Say where an interrupted command's results are, and the command that goes on with them."""
    try:
        yield
    except KeyboardInterrupt:
        # said here, since typer ends the process with 130 and without a word
        print(
            f"merit-interp: interrupted; {out} keeps what was done. Go on with: {_go_on()}",
            file=sys.stderr,
        )
        raise


def _go_on() -> str:
    arguments = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    return shlex.join(["merit-interp", *arguments, "--resume"])
