"""Copies of checkpoints with something changed, for tests of what must be noticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

Tensors = dict[str, Tensor]


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def with_tensors(source: Path, target: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A copy of a one-file checkpoint whose tensors went through `change`."""
    copied(source, target)
    tensors = load_file(target / "model.safetensors")
    save_file(change(tensors), target / "model.safetensors", metadata={"format": "pt"})
    return target


def with_config(source: Path, target: Path, **changes: Any) -> Path:
    copied(source, target)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, **changes}))
    return target


def with_key_prefix(source: Path, target: Path, old: str, new: str) -> Path:
    def renamed(tensors: Tensors) -> Tensors:
        return {
            new + key.removeprefix(old) if key.startswith(old) else key: tensor
            for key, tensor in tensors.items()
        }

    return with_tensors(source, target, renamed)
