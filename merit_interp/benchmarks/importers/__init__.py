"""The benchmarks that can be imported, one small file each.

    benchmark_named("video_mme").title

A file is loaded when its benchmark is asked for, so that the command line can name them all. This
file must not know how any of them is read.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, cast

from merit_interp.errors import SettingError

if TYPE_CHECKING:
    from merit_interp.benchmarks.importing import Benchmark

NAMES = tuple(sorted(module.name for module in iter_modules(__path__)))
"""Modules of this package, each with its `BENCHMARK`."""


def benchmark_named(name: str) -> Benchmark:
    """The importer of a benchmark; "video-mme" is "video_mme".

    Raises:
        SettingError: There is no such benchmark.
    """
    module = name.lower().replace("-", "_")
    if module not in NAMES:
        raise SettingError(f"there is no importer for {name!r}", valid=", ".join(NAMES))
    return cast("Benchmark", import_module(f"{__name__}.{module}").BENCHMARK)
