"""What `pair --out` writes: the report as JSON, its table, its figure.

    write_pair(report.to_row(), Path("runs/pair"))

This file must not know how distances are computed or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from merit_interp.plots.pair_distances import draw_distances, layer_distances
from merit_interp.record_files import write_json
from merit_interp.report.figures import FIGURES, NamedFigure, write_named
from merit_interp.tables.pair_distances import pair_distances
from merit_interp.tables.run_tables import TABLES, write_table

PAIR = "pair.json"
TABLE = "pair_distances"


def write_pair(report: Mapping[str, Any], directory: Path) -> None:
    """Write `pair.json`, `tables/pair_distances` as parquet and csv, and the figure.

    Args:
        report: As `PairReport.to_row` gives it.
        directory: Of the run.

    Raises:
        SettingError: There is no Chrome or Chromium to draw PNG with; all else is written.
        RunError: A file cannot be written.
    """
    write_json(directory / PAIR, report)
    frame = pair_distances(report)
    write_table(frame, directory / TABLES, TABLE)
    write_named([pair_figure(frame)], directory / FIGURES)


def pair_figure(frame: pd.DataFrame) -> NamedFigure:
    """The table of distances as a picture."""
    data = layer_distances(frame)
    caption = "Higher in the first panel: adapting the model to video moved the weight further."
    return NamedFigure("pair-distances", draw_distances(data), data.describe(), caption)
