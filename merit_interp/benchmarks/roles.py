"""Which category of a benchmark counts as reasoning and which as perception.

    roles = read_roles(None)
    roles.skill_of("video_mme", ("Temporal Reasoning",))  # "reasoning"

The table is `roles.json`; a user's file of the same form replaces the entries that it names. What
is in neither is "other". This file must not know how a benchmark is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from merit_interp.errors import ItemError
from merit_interp.records import Skill

SHIPPED = Path(__file__).with_name("roles.json")
_SKILLS: tuple[Skill, ...] = get_args(Skill)


@dataclass(frozen=True)
class Roles:
    """The skill of each category of each benchmark."""

    table: Mapping[str, Mapping[str, Skill]]
    replaced: Mapping[str, Mapping[str, Skill]]
    """The entries that a user's file set."""

    def skill_of(self, benchmark: str, categories: Sequence[str]) -> Skill:
        """The skill of an item: reasoning before perception before other.

        "all" speaks for an item only where none of its other categories has an entry.
        """
        roles = self.table.get(benchmark, {})
        categories = [name for name in categories if name != "all" and name in roles] or categories
        skills = {roles.get(category, "other") for category in categories}
        return next((skill for skill in ("reasoning", "perception") if skill in skills), "other")


def read_roles(path: Path | None) -> Roles:
    """The shipped roles, with the entries of a user's file in the place of theirs.

    Args:
        path: The user's file: {benchmark: {category: skill}}.

    Raises:
        ItemError: The file cannot be read, or names an unknown benchmark or skill.
    """
    shipped: dict[str, dict[str, Skill]] = json.loads(SHIPPED.read_text(encoding="utf-8"))
    if path is None:
        return Roles(shipped, {})
    replaced = _read(Path(path), shipped)
    table = {name: {**roles, **replaced.get(name, {})} for name, roles in shipped.items()}
    return Roles(table, replaced)


def _read(path: Path, shipped: Mapping[str, object]) -> dict[str, dict[str, Skill]]:
    form = '{"benchmark": {"category": "reasoning" | "perception" | "other"}}'
    try:
        # with a byte order mark or without, as annotations
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ItemError(f"cannot read roles {path}: {error.strerror}", valid=form) from None
    except (ValueError, RecursionError):
        raise ItemError(f"roles {path} is not JSON", valid=form) from None
    if not isinstance(table, dict) or not all(isinstance(part, dict) for part in table.values()):
        raise ItemError(f"roles {path} has another form", valid=form)
    for benchmark, roles in table.items():
        if benchmark not in shipped:
            raise ItemError(
                f"roles {path} names the unknown benchmark {benchmark!r}", valid=", ".join(shipped)
            )
        for category, skill in roles.items():
            if skill not in _SKILLS:
                raise ItemError(
                    f"roles {path}: {category!r} of {benchmark} is {skill!r}",
                    valid=", ".join(_SKILLS),
                )
    return table
