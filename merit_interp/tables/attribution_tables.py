"""An attribution run's tables, as files beside its records.

    findings = attribution_findings(Path("runs/demo/attribute"))
    write_attribution_tables(findings)

`attributions` (every item) and `attribution_shift` (every comparison), each as parquet and csv.
This file must not know what stands in a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from merit_interp.tables.attribution_frames import (
    AttributionRun,
    attribution_frame,
    read_attribution,
)
from merit_interp.tables.attribution_shift import shift_table
from merit_interp.tables.attribution_verdict import shift_lines
from merit_interp.tables.run_tables import TABLES, write_table


@dataclass(frozen=True, eq=False)
class AttributionFindings:
    """Everything that is made of a run's records."""

    run: AttributionRun
    frame: pd.DataFrame
    """As `attribution_frame` returns it."""
    shift: pd.DataFrame
    """As `shift_table` returns it."""

    @property
    def item_sets(self) -> list[str]:
        """Names of the item sets, in the order of the records."""
        return [str(name) for name in dict.fromkeys(self.frame["item_set"])]

    def lines(self, item_set: str) -> tuple[str, str, str]:
        """What moved and by how much."""
        return shift_lines(self.shift, self.frame, item_set)


def attribution_findings(directory: Path, *, seed: int = 0) -> AttributionFindings:
    """Tabulate and test an attribution run.

    Args:
        directory: Of the run.
        seed: Seed of bootstrap and permutation.

    Raises:
        RunError: There is no such run, or a file of it is damaged.
    """
    run = read_attribution(directory)
    frame = attribution_frame(run.records)
    return AttributionFindings(run, frame, shift_table(frame, method=run.method, seed=seed))


def write_attribution_tables(findings: AttributionFindings) -> None:
    """Write the tables below the run's `tables/`.

    Raises:
        RunError: They cannot be written.
    """
    directory = findings.run.directory / TABLES
    write_table(findings.frame, directory, "attributions")
    write_table(findings.shift, directory, "attribution_shift")
