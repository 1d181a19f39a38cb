from __future__ import annotations

import pytest

from merit_interp.search.verdict import signed


@pytest.mark.parametrize(
    ("change", "form", "text"),
    [
        (-0.1184, ".3g", "−0.118"),
        (1.1561, ".3g", "+1.16"),
        (-0.00001, ".3g", "−1e-05"),
        (-0.0001, ".3f", "+0.000"),
        (-2.5, ".3f", "−2.500"),
    ],
)
def test_a_change_has_the_minus_of_all_other_text(change: float, form: str, text: str) -> None:
    assert signed(change, form) == text
