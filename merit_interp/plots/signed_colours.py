"""A colour scale for signed numbers that also reads in grey print.

    figure.add_heatmap(z=rows, **signed_scale(limit))

Blue and vermilion end in different darkness, white is zero, and the two ends lie equally far from
it; where a cell has no room for its number, `minus_signs` marks those below zero. This file must
not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from merit_interp.plots.cells import scale_colour
from merit_interp.plots.style import REASONING
from merit_interp.tables.number_text import MINUS, number_text

SIGNED = (
    (0.0, "#c2410c"),
    (0.25, "#fdba74"),
    (0.5, "#ffffff"),
    (0.75, "#7fb2d1"),
    (1.0, REASONING.colour),
)
"""From least to greatest; zero is white."""
CROSS = "×"
"""Of a number that is not shown to differ from zero."""


def signed_scale(limit: float) -> dict[str, Any]:
    """Plotly's arguments of a heatmap whose colours are symmetric about zero.

    Args:
        limit: Greatest absolute value; the same for all that is to be compared.
    """
    reach = limit if limit > 0 else 1.0
    return {"zmin": -reach, "zmax": reach, "zmid": 0.0, "colorscale": [list(s) for s in SIGNED]}


def signed_colour(value: float, limit: float) -> str:
    """The colour of one value on that scale, as `#rrggbb`.

    Args:
        value: The value.
        limit: As in `signed_scale`.
    """
    return scale_colour(SIGNED, (value / limit if limit > 0 else 0.0) / 2 + 0.5)


def marked_number(value: float, limit: float, *, is_shown: bool, numbered: bool) -> str:
    """What stands in a cell: its number, and a cross where zero is not ruled out.

    Args:
        value: The number.
        limit: As in `signed_scale`.
        is_shown: Whether the number's interval leaves zero out.
        numbered: Whether the cell has room for the number; else a minus stands for it.
    """
    if numbered:
        return f"{number_text(value)}{'' if is_shown else ' ' + CROSS}"
    return minus_signs([[value]], limit)[0][0] if is_shown else CROSS


def minus_signs(rows: Sequence[Sequence[float | None]], limit: float) -> list[list[str]]:
    """A minus in each cell that is clearly below zero, for grey print."""
    faint = 0.08 * limit
    return [[MINUS if v is not None and v < -faint else "" for v in row] for row in rows]
