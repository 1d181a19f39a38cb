"""What a notebook shows of an opened run: what it holds, and what would add the rest.

    run_page(Path("runs/demo"), recipe=recipe, tables={"scores": "an item that ..."}, missing={})

Every name is escaped. This file must not know what stands in a table.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from pathlib import Path

from merit_interp.recipe import Recipe

LEFT = "style='text-align:left'"
"""For cells of words; a notebook sets tables to the right."""


def run_page(
    directory: Path, *, recipe: Recipe | None, tables: Mapping[str, str], missing: Iterable[str]
) -> str:
    """A piece of HTML.

    Args:
        directory: The run's.
        recipe: Its recipe.
        tables: What one row of each table is, by the table's name.
        missing: Parts that the run lacks, each the verb that makes it.
    """
    rows = "".join(
        f"<tr><td {LEFT}><code>run.{_text(name)}</code></td><td {LEFT}>{_text(row)}</td></tr>"
        for name, row in tables.items()
    )
    lacking = "".join(
        f"<p>Nothing of <code>merit-interp {part}</code> yet: "
        f"<code>merit-interp {part} --recipe {_text(str(directory / 'recipe.json'))}</code></p>"
        for part in missing
    )
    shown = "" if recipe is None else recipe._repr_html_()
    return (
        f"<p><b>Run</b> <code>{_text(str(directory))}</code>; what columns mean: "
        f"<code>run.columns(name)</code>; words: <code>run.lines</code>; "
        f"pictures: <code>run.figure(name)</code></p>"
        f"<table><thead><tr><th {LEFT}>table</th><th {LEFT}>one row is</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{lacking}{shown}"
    )


def _text(words: str) -> str:
    return html.escape(words)
