"""`merit-interp items`: make an items file of a benchmark, and look at one before a run does.

    merit-interp items import next_gqa --annotations DIR --videos DIR --out items.jsonl
    merit-interp items check items.jsonl

This file parses, calls and prints; it must not know what makes an item faulty, or any benchmark.
"""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from merit_interp.benchmarks.importers import NAMES
from merit_interp.cli.options import (
    FrameCacheOption,
    JsonOption,
    SeedOption,
    VideoTimeLimitOption,
)

if TYPE_CHECKING:
    from merit_interp.benchmarks.import_summary import ImportSummary
    from merit_interp.benchmarks.item_checks import ItemCheck

FAULTY = 2

app = typer.Typer(help="Import and check benchmark items.", no_args_is_help=True)


@app.callback()
def items() -> None:
    """Import and check benchmark items."""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="ITEMS", help="items.jsonl to check.")],
    video_time_limit: VideoTimeLimitOption = 60.0,
    frame_cache: FrameCacheOption = None,
    power: Annotated[
        bool, typer.Option("--power", help="Say too what change in TR and TP the items can show.")
    ] = False,
    power_from: Annotated[
        Path | None,
        typer.Option(help="With --power: a finished run to take discordance and correlation from."),
    ] = None,
    discordance: Annotated[
        float | None, typer.Option(help="Share of items on which the models differ: 0.2.")
    ] = None,
    correlation: Annotated[
        float | None, typer.Option(help="Correlation of such differences within a video: 0.1.")
    ] = None,
    validation_share: Annotated[float, typer.Option(help="As of search.")] = 0.5,
    held_out_share: Annotated[float, typer.Option(help="As of search.")] = 0.0,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """Every video opens, every answer fits, every span lies inside; lists every fault."""
    from merit_interp.benchmarks.item_checks import check_items
    from merit_interp.benchmarks.splits import SplitSettings
    from merit_interp.cli.decoding import decoding_settings
    from merit_interp.cli.power import power_of, print_power

    shares = SplitSettings(validation_share, held_out_share, seed)
    # an assumption without the question would be passed over without a word
    asked = power or any(given is not None for given in (power_from, discordance, correlation))
    rows = power_of(path, shares, power_from, discordance, correlation) if asked else []
    decoding = decoding_settings(video_time_limit, frame_cache)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("opening videos", total=None)
        found = check_items(
            path,
            decoding=decoding,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json:
        shown = {"power": [row.to_row() for row in rows]} if asked else {}
        print(dumps({**found.to_row(), **shown}, indent=2, ensure_ascii=False))
    else:
        print_check(path, found)
        if asked:
            print_power(rows)
    if found.faults:
        raise typer.Exit(FAULTY)


def print_check(path: Path, found: ItemCheck) -> None:
    """Each fault on its line, then what the file holds."""
    for fault in found.faults:
        print(f"{path}, {fault}")
    skills = ", ".join(f"{n} {skill}" for skill, n in sorted(found.skills.items()))
    print(f"{path}: {found.n_items} items ({skills}) on {found.n_videos} videos")
    print(f"{len(found.faults)} fault(s)" if found.faults else "no faults")


@app.command(name="import", epilog=f"Benchmarks: {', '.join(NAMES)}. See docs/benchmarks.md.")
def import_(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="One of those below.")],
    annotations: Annotated[
        Path, typer.Option(help="The published file, or the directory of several.")
    ],
    videos: Annotated[Path, typer.Option(help="Folder of the benchmark's videos.")],
    out: Annotated[Path, typer.Option(help="Items file to write, like items.jsonl.")],
    roles: Annotated[
        Path | None, typer.Option(help='{"benchmark": {"category": skill}}: replaces ours.')
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Only this part of the benchmark.")] = None,
    bounds: Annotated[
        str,
        typer.Option(help="keep what part of a video is asked about, or drop (pre-cut videos)."),
    ] = "keep",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Accept links out of the video folder.")
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the file at --out.")] = False,
    json: JsonOption = False,
) -> None:
    """A benchmark's published annotations become items; what was left out is listed with why."""
    from merit_interp.benchmarks.importers import benchmark_named
    from merit_interp.benchmarks.importing import ImportOptions, import_items
    from merit_interp.benchmarks.roles import read_roles

    options = ImportOptions(subset=subset, bounds=bounds, follow_links=follow_links)
    try:
        summary = import_items(
            benchmark_named(benchmark),
            annotations,
            videos,
            out,
            options,
            read_roles(roles),
            overwrite=overwrite,
        )
    except KeyboardInterrupt:
        print("merit-interp: interrupted; nothing was written", file=sys.stderr)
        raise
    if json:
        print(dumps(summary.to_row(), indent=2, ensure_ascii=False))
    else:
        print_import(out, summary)


def print_import(out: Path, summary: ImportSummary) -> None:
    """What came out, what was left out, and where both are."""
    print(f"{out}: {summary.items} items on {summary.videos} videos")
    for title, counts in (("skill", summary.skills), ("category", summary.categories)):
        for name, count in counts.items():
            print(f"  {title} {name or '(none)'}: {count.items} items on {count.videos} videos")
    print(f"  chance level: {summary.chance:.1%}")
    if summary.with_evidence:
        share = summary.evidence_share
        known = (
            f"; it covers {share:.1%} of the video (median of {summary.evidence_share_of})"
            if share is not None
            else "; the videos' durations are not in the annotations"
        )
        print(f"  evidence: {summary.with_evidence} items{known}")
    for flag, n in summary.flags.items():
        print(f"  {flag}: {n} items")
    for reason, n in summary.left_out.items():
        print(f"  left out, {reason}: {n} rows")
    if summary.broken_pairs:
        print(f"  pairs that lack an item, left out of pair metrics: {summary.broken_pairs}")
    for category in summary.unused_roles:
        print(f"  the role of {category!r} met no item")
    written = [f"{out.stem}.import.json"]
    written += [f"{out.stem}.left_out.jsonl"] if summary.left_out else []
    print(f"  beside it: {', '.join(written)}")
