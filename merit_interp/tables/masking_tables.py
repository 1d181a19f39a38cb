"""A sweep's tables and verdict, as files beside its records.

    verdict = write_masking_tables(Path("runs/demo/mask"))

`mask_effects` (every item), `mask_layers` (every set, skill and category), `mask_comparison` and
`mask_depth`, each as parquet and csv, and `verdict.json`. This file must not know what stands in a
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from merit_interp.record_files import write_json
from merit_interp.tables.masking_comparison import Comparison, compare, comparison_frame
from merit_interp.tables.masking_depth import DepthMap, depth_frame, depth_map, layer_frame
from merit_interp.tables.masking_effects import MaskingRun, effect_frame, read_masking
from merit_interp.tables.masking_verdict import MaskingVerdict, judge_masking
from merit_interp.tables.run_tables import TABLES, write_table

VERDICT = "verdict.json"


@dataclass(frozen=True, eq=False)
class MaskingFindings:
    """Everything that is made of a sweep's records."""

    run: MaskingRun
    layers: pd.DataFrame
    """As `layer_frame` returns it."""
    comparisons: tuple[Comparison, ...]
    depth: DepthMap
    verdict: MaskingVerdict


def masking_findings(directory: Path, *, seed: int = 0) -> MaskingFindings:
    """Tabulate, test and judge a finished sweep.

    Args:
        directory: Of the sweep.
        seed: Seed of bootstrap and permutation.

    Raises:
        RunError: There is no finished sweep, or a file of it is damaged.
    """
    run = read_masking(directory)
    comparisons = compare(run, seed=seed)
    return MaskingFindings(
        run=run,
        layers=layer_frame(run),
        comparisons=comparisons,
        depth=depth_map(run, seed=seed),
        verdict=judge_masking(run, comparisons),
    )


def write_masking_tables(findings: MaskingFindings) -> None:
    """Write the tables below the sweep's `tables/`, and its verdict.

    Raises:
        RunError: They cannot be written.
    """
    directory = findings.run.directory
    tables = {
        "mask_effects": effect_frame(findings.run),
        "mask_layers": findings.layers,
        "mask_comparison": comparison_frame(findings.comparisons),
        "mask_depth": depth_frame(findings.depth),
    }
    for name, table in tables.items():
        write_table(table, directory / TABLES, name)
    write_json(directory / VERDICT, findings.verdict.to_json())
