"""What made a run, gathered in one place.

    record = provenance(seed=0, device="cpu", dtype="float32", fingerprints={}, settings={})

Versions come from the installed packages' metadata, so nothing is imported to be asked. This file
must not know which run it describes.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from merit_interp.errors import RunError
from merit_interp.records import Provenance

PACKAGES = (
    "merit-interp",
    "torch",
    "transformers",
    "safetensors",
    "nnsight",
    "captum",
    "transformer-lens",
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


def _threads() -> int:
    """Threads that torch computes with; this file is also used where torch is not loaded."""
    torch = sys.modules.get("torch")
    return len(os.sched_getaffinity(0)) if torch is None else int(torch.get_num_threads())


def provenance(
    *,
    seed: int,
    device: str,
    dtype: str,
    fingerprints: Mapping[str, str],
    settings: Mapping[str, Any],
    processor: str = "",
    device_map: str | None = None,
) -> Provenance:
    """The record of this process's run, with its command line and the time now."""
    return Provenance(
        command=("merit-interp", *sys.argv[1:]),
        versions=versions(),
        seed=seed,
        device=device,
        dtype=dtype,
        threads=_threads(),
        fingerprints=dict(fingerprints),
        settings=dict(settings),
        started_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        processor=processor,
        device_map=device_map,
    )


def refuse_other(old: Mapping[str, Any], new: Provenance, run: Path) -> None:
    """Refuse to go on with a run that was made on another device, of other inputs or settings.

    Args:
        old: The record that the run holds, as JSON values.
        new: The record of this process's run.
        run: The run's directory.

    Raises:
        RunError: A field that the numbers depend on differs.
    """
    fresh = json.loads(json.dumps(new.to_row()))
    for field in ("device", "dtype", "fingerprints", "settings"):
        if old[field] != fresh[field]:
            raise RunError(
                f"{run} was made with other {field}",
                valid="the same settings, --overwrite, or another --out",
            )
