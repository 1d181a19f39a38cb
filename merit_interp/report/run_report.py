"""The report of a run: one HTML file that needs nothing beside it.

    path = write_report(Path("runs/demo"))

plotly.js, style and figures are inside the file, and the page forbids itself every request. This
file must not know what stands in a section.
"""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from merit_interp.plots.files import plotly_script
from merit_interp.record_files import write_whole
from merit_interp.report.findings import Findings, gather
from merit_interp.report.parts import HEADLINES, part_of_a_study
from merit_interp.report.sections import TEMPLATES, render, sections
from merit_interp.tables.run_records import read_run

REPORT = "report.html"


def write_report(run_dir: Path) -> Path:
    """Write `RUN/report.html` from whatever records the run has.

    Returns:
        The file.

    Raises:
        RunError: There is no such run, its records are damaged, or it cannot be written.
        RecipeError: Its recipe is damaged.
    """
    findings = gather(read_run(run_dir))
    path = Path(run_dir) / REPORT
    write_whole(path, report_page(findings).encode())
    return path


def write_reports(run_dir: Path) -> tuple[Path, ...]:
    """The same, and again the report of the study that the run is a part of, where it has one.

    Returns:
        The run's own file, then the study's.
    """
    run_dir = Path(run_dir)
    own = write_report(run_dir)
    study = run_dir.parent
    if part_of_a_study(run_dir) == run_dir.name and (study / REPORT).exists():
        return own, write_report(study)
    return (own,)


def report_page(findings: Findings) -> str:
    """The whole page."""
    run = findings.run
    return str(
        render(
            "page.html.jinja",
            name=run.directory.resolve().name,
            headline=_headline(findings),
            beside_headline=" ".join(findings.verdict.sentences[1:]) if findings.verdict else "",
            started=run.provenance.started_utc[:10] if run.provenance else "",
            is_finished=run.finished is not None,
            is_part=findings.part is not None,
            sections=sections(findings),
            style=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
            script=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
            plotly=Markup(plotly_script()),
        )
    )


def _headline(findings: Findings) -> str:
    if findings.part is not None:
        return HEADLINES[findings.part]
    if findings.verdict is not None:
        return findings.verdict.sentences[0]
    if findings.search_found is None:
        return "Nothing was scored yet."
    found = "a recipe" if findings.search_found else "no recipe"
    return f"The search found {found} better than the unmerged VLM; it is not evaluated yet."
