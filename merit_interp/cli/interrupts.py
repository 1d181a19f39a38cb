"""A command that ends early: what is there stays there, and one line says how to go on.

    with keeps_results(out):
        find_recipe(...)

Early is by Ctrl-C, or as too many items failed. This file must not know what was begun.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from merit_interp.errors import FailedItemsError
from merit_interp.record_files import write_whole


@contextlib.contextmanager
def keeps_results(out: Path) -> Iterator[None]:
    """Say where an interrupted command's results are, and the command that goes on with them.

    Raises:
        FailedItemsError: As it came, and where it is said what became of every item.
    """
    try:
        yield
    except FailedItemsError as error:
        # that of a run which was begun says what its records were made of
        begun = (out / "run.json").exists()
        path = out / ("decoding.refused.jsonl" if begun else "decoding.jsonl")
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in error.rows]
        write_whole(path, "".join(lines).encode())
        problem = f"{error.problem}; {path} has all of them"
        raise FailedItemsError(problem, rows=error.rows, valid=error.valid) from None
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
