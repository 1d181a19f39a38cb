"""What a masking sweep's findings look like: pictures, a page, and lines on a terminal.

    print_findings(findings, as_json=False)

This file must not compute a number; it shows those of `tables`.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from merit_interp.errors import SettingError
from merit_interp.report.masking import write_masking_figures
from merit_interp.report.run_report import write_reports
from merit_interp.tables.masking_comparison import comparison_frame
from merit_interp.tables.masking_depth import depth_frame
from merit_interp.tables.masking_tables import MaskingFindings


def print_findings(findings: MaskingFindings, *, as_json: bool) -> None:
    """Draw the figures, and print the verdict in three lines and where the results are."""
    run = findings.run
    pages = write_reports(run.directory)
    try:
        write_masking_figures(findings)
    except SettingError as error:
        print(f"no PNG: {error}", file=sys.stderr)
    if as_json:
        value = {
            "run": str(run.directory),
            "verdict": findings.verdict.to_json(),
            "comparison": comparison_frame(findings.comparisons).to_dict(orient="records"),
            "depth": depth_frame(findings.depth).to_dict(orient="records"),
            "left_out": {effects.model: effects.n_left_out for effects in run.models},
        }
        print(json.dumps(_without_nan(value), indent=2, ensure_ascii=False))
        return
    print(findings.verdict.text)
    for effects in run.models:
        if effects.n_left_out:
            print(f"left out of {effects.model}: {effects.n_left_out} items that have no score")
    print(f"results {run.directory}")
    for page in pages:
        print(f"report  {page}")


def _without_nan(value: Any) -> Any:
    """NaN has no place in JSON."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
