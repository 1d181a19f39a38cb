"""Find, apply and explain layer-selective merges in video-language models.

import merit_interp as mi
run = mi.open_run("runs/demo")

Importing the package loads neither torch nor pandas: each name is read in when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from merit_interp.errors import MeritError
    from merit_interp.explore.demo_run import demo_run
    from merit_interp.explore.pictures import keep_pictures
    from merit_interp.explore.run import Run, open_run
    from merit_interp.recipe import Recipe, read_recipe

__version__ = "0.1.0"
__all__ = ["MeritError", "Recipe", "Run", "demo_run", "keep_pictures", "open_run", "read_recipe"]

_HOMES = {
    "MeritError": "errors",
    "Recipe": "recipe",
    "Run": "explore.run",
    "demo_run": "explore.demo_run",
    "keep_pictures": "explore.pictures",
    "open_run": "explore.run",
    "read_recipe": "recipe",
}
"""The module of each name."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
