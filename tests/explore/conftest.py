from __future__ import annotations

from pathlib import Path

import pytest

from tests.synthetic_attribution import write_attribution
from tests.synthetic_masking import write_sweep
from tests.synthetic_run import Plan, write_run

PLAN = Plan(("validation", "longer_clips"), videos=8, draws=2, trials=12)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a masking sweep and an attribution, all made up."""
    run = write_run(tmp_path_factory.mktemp("runs") / "study", PLAN)
    costs = (0.0, 0.5, 3.0, 2.0, 0.1, 1.0, 0.0, 0.0)
    write_sweep(run / "mask", reasoning=costs, perception=costs[::-1], chosen=(2, 3, 5), noise=0.1)
    write_attribution(run / "attribute")
    return run
