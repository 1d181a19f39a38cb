"""Which families were seen to work, on which versions: written by the tests, shown in README.

    make families     # runs the whole path of every family, then writes its table into README

The whole path writes one line a family into a file; this module keeps it as `verified.jsonl` and
puts the table between two marks in README.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from merit_interp.provenance import versions

HERE = Path(__file__).parent
VERIFIED = HERE / "verified.jsonl"
README = HERE.parents[1] / "README.md"
STAGES = ("pair", "search", "merge", "reload", "evaluate", "mask", "attribute")
"""`reload`: logits of the merged checkpoint on disk equal those of the merge in memory."""
SHOWN_VERSIONS = ("torch", "transformers", "nnsight", "captum")
BEGIN, END = "<!-- families -->\n", "<!-- /families -->"


@dataclass(frozen=True)
class Verified:
    """One family that went the whole path."""

    name: str
    vlm: str
    """transformers' class of the VLM."""
    backbone: str
    """That of the backbone that it was paired with."""
    stages: tuple[str, ...]
    versions: Mapping[str, str]

    @classmethod
    def now(cls, name: str, vlm: str, backbone: str, *, stages: Sequence[str]) -> Verified:
        """With the versions at hand."""
        found = versions()
        return cls(name, vlm, backbone, tuple(stages), {n: found[n] for n in SHOWN_VERSIONS})

    def to_row(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def verified_families(path: Path = VERIFIED) -> list[Verified]:
    """The families of a file, by name."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    found = [Verified(**{**row, "stages": tuple(row["stages"])}) for row in rows]
    return sorted(found, key=lambda family: family.name)


def readme_table(families: Sequence[Verified]) -> str:
    """The table as README has it."""
    (shown,) = {tuple(family.versions.items()) for family in families}
    lines = [
        "| `model_type` | VLM | tested with backbone |",
        "| --- | --- | --- |",
        *(f"| {family.name} | {family.vlm} | {family.backbone} |" for family in families),
        "",
        f"Each went through {', '.join(STAGES)} on "
        f"{', '.join(f'{name} {version}' for name, version in shown)}.",
    ]
    return "\n".join(lines) + "\n"


def write_readme(families: Sequence[Verified]) -> None:
    """Put the table between README's marks."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}{readme_table(families)}{END}{after}")


if __name__ == "__main__":
    seen = verified_families(Path(sys.argv[1]))
    VERIFIED.write_text("".join(json.dumps(family.to_row()) + "\n" for family in seen))
    write_readme(seen)
