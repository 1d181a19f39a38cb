"""The parts of a study beside search and evaluation: where each lies, and what made it.

    part_of_a_study(Path("runs/demo/mask"))       # "mask"
    made_by(Path("runs/demo"))                    # who made what the page shows

A part is a run of its own, in the directory of its name below the study's. This file must not know
what a part's records say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from merit_interp.record_files import finished_part
from merit_interp.records import Provenance
from merit_interp.tables.lens_frames import PLAN
from merit_interp.tables.masking_effects import SWEEP
from merit_interp.tables.run_records import read_provenance

MASK, ATTRIBUTE, LENS = "mask", "attribute", "lens"
"""Each is the name of a directory below a run's, and of the command that makes it."""
RECORD_FILES = {MASK: SWEEP, ATTRIBUTE: "attributions.jsonl", LENS: PLAN}
"""The file that such a part has and no other run."""
TITLES = {"": "The run", MASK: "Masking", ATTRIBUTE: "Attribution", LENS: "Lens"}
"""What a reader is told of a part, and of the run itself."""
HEADLINES = {
    MASK: "What masking the recipe's layers costs",
    ATTRIBUTE: "What attribution to frames finds",
    LENS: "What the lens reads in layers and heads",
}


@dataclass(frozen=True)
class MadeBy:
    """What made one part of a page."""

    part: str
    """Of `RECORD_FILES`; empty for the run itself."""
    record: Provenance


def part_directory(run_dir: Path, part: str) -> Path | None:
    """Where a finished part lies: the run itself, or the directory of its name below it."""
    return finished_part(run_dir, part, RECORD_FILES[part])


def part_of_a_study(run_dir: Path) -> str | None:
    """Which part a run itself is; None for a search, an evaluation, a whole study."""
    found = (part for part, name in RECORD_FILES.items() if (run_dir / name).exists())
    return next(found, None)


def made_by(run_dir: Path) -> tuple[MadeBy, ...]:
    """The provenance of a run, and of each finished part below it, in the order of the page.

    Raises:
        RunError: A `run.json` is damaged.
    """
    directories = {"": run_dir}
    for part in RECORD_FILES:
        where = part_directory(run_dir, part)
        if where is not None and where != run_dir:
            directories[part] = where
    read = {part: read_provenance(where) for part, where in directories.items()}
    return tuple(MadeBy(part, record) for part, record in read.items() if record is not None)
