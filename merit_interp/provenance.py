"""What made a run, gathered in one place.

    record = provenance(seed=0, device="cpu", dtype="float32", fingerprints={}, settings={})

Versions come from the installed packages' metadata, so nothing is imported to be asked. This file
must not know which run it describes.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from merit_interp.records import Provenance

PACKAGES = (
    "merit-interp",
    "torch",
    "transformers",
    "safetensors",
    "nnsight",
    "captum",
    "decord",
    "av",
    "optuna",
    "cmaes",
    "numpy",
    "scipy",
)


def versions() -> dict[str, str]:
    """Version of Python and of each package that a number depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def provenance(
    *,
    seed: int,
    device: str,
    dtype: str,
    fingerprints: Mapping[str, str],
    settings: Mapping[str, Any],
    processor: str = "",
) -> Provenance:
    """The record of this process's run, with its command line and the time now."""
    return Provenance(
        command=("merit-interp", *sys.argv[1:]),
        versions=versions(),
        seed=seed,
        device=device,
        dtype=dtype,
        threads=int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))),
        fingerprints=dict(fingerprints),
        settings=dict(settings),
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        processor=processor,
    )
