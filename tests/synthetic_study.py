"""A finished run with masking, attribution and lens, all made up: what notebooks open."""

from __future__ import annotations

from pathlib import Path

from tests.synthetic_attribution import write_attribution
from tests.synthetic_lens import write_lens
from tests.synthetic_masking import write_sweep
from tests.synthetic_run import Plan, write_run

PLAN = Plan(("validation", "longer_clips"), videos=8, draws=2, trials=12)
REASONING = (0.0, 0.5, 3.0, 2.0, 0.1, 1.0, 0.0, 0.0)
"""Cost of each layer, most where the recipe is; perception's is the same from the other end."""


def write_study(directory: Path) -> Path:
    """Write everything below `directory`."""
    run = write_run(directory, PLAN)
    write_sweep(
        run / "mask", reasoning=REASONING, perception=REASONING[::-1], chosen=(2, 3, 5), noise=0.1
    )
    write_attribution(run / "attribute")
    write_lens(run / "lens")
    return run
