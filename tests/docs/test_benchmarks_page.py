"""docs/benchmarks.md: its table is made from the importers.

python -m tests.docs.test_benchmarks_page     # writes the table
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from merit_interp.benchmarks.importers import NAMES, benchmark_named
from merit_interp.benchmarks.roles import SHIPPED

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- made from the importers: begin -->", "<!-- end -->"
COLUMNS = ("name", "benchmark", "`--annotations`", "`--subset`", "TR", "TP", "evidence", "checked")


def importers_table() -> str:
    """A row a benchmark, as its importer describes it."""
    roles: dict[str, dict[str, str]] = json.loads(SHIPPED.read_text())
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    for name in NAMES:
        benchmark = benchmark_named(name)
        skills = {
            skill: ", ".join(role for role, of in roles[name].items() if of == skill)
            for skill in ("reasoning", "perception")
        }
        cells = (
            f"`{name}`",
            f"{benchmark.title} ({benchmark.source})",
            benchmark.annotations,
            ", ".join(benchmark.subsets),
            skills["reasoning"],
            skills["perception"],
            benchmark.evidence,
            benchmark.checked,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(page: str) -> str:
    """The page with today's table."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{importers_table()}\n\n{END}{after}"


def test_the_table_is_what_the_importers_say() -> None:
    page = PAGE.read_text()
    assert page == with_table(page), "run python -m tests.docs.test_benchmarks_page"


def test_what_the_page_says_of_a_benchmark_is_of_one() -> None:
    notes = re.findall(r"^\* `(\w+)`", PAGE.read_text(), re.MULTILINE)
    assert set(notes) == set(NAMES)
    assert len(notes) == len(NAMES)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
