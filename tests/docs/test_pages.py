"""The documentation: its tables page is made from the code, and every link leads somewhere.

python -m tests.docs.test_pages     # writes docs/tables.md
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from merit_interp.explore.columns import TABLES, column_notes

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])

HEAD = """# Tables

Each is a property of an opened run (`mi.open_run(path).summary`); those of a run that a command
wrote lie in its `tables/` as parquet and csv. `_low` and `_high` end a 95% interval over
videos; `_p` is a two-sided p-value; what the data do not define is missing, not zero. The page is
made from the code (`python -m tests.docs.test_pages`).
"""


def tables_page() -> str:
    """docs/tables.md, from the columns that the package documents."""
    parts = [HEAD]
    for name, table in TABLES.items():
        where = f" Made by `merit-interp {table.part}`." if table.part else ""
        rows = "\n".join(f"| {column} | {note} |" for column, note in column_notes(name).items())
        parts.append(
            f"## {name}\n\nA row is {table.rows}.{where}\n\n| column | |\n| --- | --- |\n{rows}\n"
        )
    return "\n".join(parts)


def test_the_tables_page_has_every_column() -> None:
    assert (DOCS / "tables.md").read_text() == tables_page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    for link in links:
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page} links to {link}"


def test_every_command_of_the_docs_is_a_verb() -> None:
    verbs = {path.stem for path in (ROOT / "merit_interp" / "cli").glob("*.py")}
    for page in PAGES:
        for verb in re.findall(r"^ +merit-interp (\w+)", page.read_text(), re.MULTILINE):
            assert verb in verbs, f"{page} names merit-interp {verb}"


if __name__ == "__main__":
    (DOCS / "tables.md").write_text(tables_page())
