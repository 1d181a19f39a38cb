"""A lens run's tables and verdict, as files beside its records.

    findings = lens_findings(Path("runs/demo/lens"))
    write_lens_tables(findings)

`lens_layers`, `lens_attention`, `lens_heads`, `lens_direct` and `lens_direct_groups`, each as
parquet and csv, and `verdict.json`. This file must not know what stands in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from merit_interp.record_files import write_json
from merit_interp.tables.lens_attention import attention_frame
from merit_interp.tables.lens_direct import direct_frame, direct_groups
from merit_interp.tables.lens_frames import LensRun, read_lens
from merit_interp.tables.lens_heads import head_frame
from merit_interp.tables.lens_layers import layer_lens_frame
from merit_interp.tables.lens_verdict import LensVerdict, judge_lens
from merit_interp.tables.run_tables import TABLES, write_table

VERDICT = "verdict.json"


@dataclass(frozen=True, eq=False)
class LensFindings:
    """Everything that is made of a run's records."""

    run: LensRun
    layers: pd.DataFrame
    """As `layer_lens_frame` returns it."""
    attention: pd.DataFrame
    """As `attention_frame` returns it."""
    heads: pd.DataFrame
    """As `head_frame` returns it."""
    direct: pd.DataFrame
    """As `direct_frame` returns it."""
    direct_groups: pd.DataFrame
    """As `direct_groups` returns it."""
    verdict: LensVerdict


def lens_findings(directory: Path, *, seed: int = 0) -> LensFindings:
    """Tabulate and judge a finished run.

    Args:
        directory: Of the run.
        seed: Seed of the sign flips.

    Raises:
        RunError: There is no finished run, or a file of it is damaged.
    """
    run = read_lens(directory)
    layers, attention, groups = layer_lens_frame(run), attention_frame(run), direct_groups(run)
    heads = head_frame(run, seed=seed)
    return LensFindings(
        run=run,
        layers=layers,
        attention=attention,
        heads=heads,
        direct=direct_frame(run),
        direct_groups=groups,
        verdict=judge_lens(run, layers, attention, heads, groups),
    )


def write_lens_tables(findings: LensFindings) -> None:
    """Write the tables below the run's `tables/`, and its verdict.

    Raises:
        RunError: They cannot be written.
    """
    directory = findings.run.directory
    tables = {
        "lens_layers": findings.layers,
        "lens_attention": findings.attention,
        "lens_heads": findings.heads,
        "lens_direct": findings.direct,
        "lens_direct_groups": findings.direct_groups,
    }
    for name, table in tables.items():
        write_table(table, directory / TABLES, name)
    write_json(directory / VERDICT, findings.verdict.to_json())
