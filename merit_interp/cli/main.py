"""`merit-interp`: registers the verbs and turns a user's mistake into one line and code 2.

    merit-interp search --help

Verbs import what they need inside their own function, so that `--help` loads no torch. This file
must not know what a verb does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

import typer

from merit_interp.cli import (
    attribute,
    demo,
    evaluate,
    items,
    lens,
    mask,
    merge,
    pair,
    report,
    search,
)
from merit_interp.errors import ItemError, MeritError

USER_ERROR = 2
INTERRUPTED = 130

app = typer.Typer(
    name="merit-interp",
    help="Find, apply and explain layer-selective merges in video-language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo.demo)
app.command()(pair.pair)
app.command()(search.search)
app.command()(merge.merge)
app.command()(evaluate.evaluate)
app.command()(mask.mask)
app.command()(attribute.attribute)
app.command()(lens.lens)
app.command()(report.report)
app.add_typer(items.app, name="items")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code: 0, 2 or 130."""
    with one_line_errors():
        app(args=None if arguments is None else list(arguments))


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a user's mistake into one line on stderr; let a bug keep its traceback."""
    try:
        yield
    except MeritError as error:
        faults = error.faults if isinstance(error, ItemError) else ()
        for fault in faults:
            print(f"  {fault}", file=sys.stderr)
        print(f"merit-interp: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt as interrupt:
        print(f"merit-interp: {interrupt or 'interrupted'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # `merit-interp ... | head` closed our output; that is no fault of the run
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
