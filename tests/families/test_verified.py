"""README's table of families is what the whole path wrote down, of every family in the table."""

from __future__ import annotations

from merit_interp.models.families import VLM_FAMILIES
from tests.families.verified import README, readme_table, verified_families
from tests.tiny_families import FAMILIES


def test_every_family_of_the_table_has_a_tiny_pair() -> None:
    assert set(FAMILIES) == set(VLM_FAMILIES)


def test_readme_says_what_was_verified_and_no_more() -> None:
    verified = verified_families()
    assert [family.name for family in verified] == sorted(VLM_FAMILIES)
    assert readme_table(verified) in README.read_text()
