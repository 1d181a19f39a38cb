"""Many tests at once: p-values that keep the family's chance of a false positive.

    holm([0.01, 0.04, 0.03])    # (0.03, 0.06, 0.06)

This file must not know what was tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given.

    Args:
        p_values: One for each test, in [0, 1].

    Raises:
        ValueError: A p-value lies outside [0, 1] or is NaN (leave undefined tests out).
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie in [0, 1]: leave undefined tests out")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
