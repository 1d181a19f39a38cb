"""A finished run with masking, attribution and lens, all made up: what notebooks open."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from merit_interp.record_files import JsonlAppender
from tests.synthetic_attribution import write_attribution
from tests.synthetic_controls import made_up_control_scores
from tests.synthetic_lens import write_lens
from tests.synthetic_masking import write_sweep
from tests.synthetic_run import Plan, made_up_scores, write_run

PLAN = Plan(("validation", "longer_clips"), videos=8, draws=2, trials=12)
REASONING = (0.0, 0.5, 3.0, 2.0, 0.1, 1.0, 0.0, 0.0)
"""Cost of each layer, most where the recipe is; perception's is the same from the other end."""


def write_study(directory: Path) -> Path:
    """Write everything below `directory`."""
    scores = [dataclasses.replace(s, pair=f"{s.group}-{s.skill}") for s in made_up_scores(PLAN)]
    run = write_run(directory, PLAN, scores=scores)
    with JsonlAppender(run / "control_scores.jsonl") as file:
        for score in made_up_control_scores(scores):
            file.append(score.to_row())
    write_sweep(
        run / "mask", reasoning=REASONING, perception=REASONING[::-1], chosen=(2, 3, 5), noise=0.1
    )
    write_attribution(run / "attribute")
    write_lens(run / "lens")
    return run
