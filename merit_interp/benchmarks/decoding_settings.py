"""How videos are decoded: time limit and cache. None of it changes a frame.

    DecodingSettings(time_limit_s=30.0, cache=frame_cache_directory(None))

This file loads no torch and must not know how it is carried out.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from merit_interp.errors import SettingError

OFF = "off"
CACHE_GIB = "MERIT_INTERP_CACHE_GIB"
"""Environment variable with the limit of the frame cache, beside that with its directory."""
LONGEST_S = 86400.0
"""The most that a video may take: a day. Clocks of the system overflow at some weeks."""


@dataclass(frozen=True)
class DecodingSettings:
    """How videos are decoded; none of it changes a frame."""

    time_limit_s: float = 60.0
    """Seconds that one video may take."""
    cache: Path | None = None
    """Directory of decoded frames; None keeps none."""
    cache_gib: float = 4.0
    """Limit of the cache, in GiB."""

    def __post_init__(self) -> None:
        if not 0 < self.cache_gib < math.inf:
            raise SettingError(f"a frame cache of {self.cache_gib:g} GiB", valid="more than 0")
        if not 0 < self.time_limit_s <= LONGEST_S:
            raise SettingError(
                f"a time limit of {self.time_limit_s:g} s for a video",
                valid=f"more than 0, at most {LONGEST_S:g}",
            )


def frame_cache_gib() -> float:
    """Limit of the cache in GiB: `MERIT_INTERP_CACHE_GIB`, or the default where that is not set.

    Raises:
        SettingError: The variable holds no number.
    """
    given = os.environ.get(CACHE_GIB)
    try:
        return float(given) if given else DecodingSettings.cache_gib
    except ValueError:
        raise SettingError(f"{CACHE_GIB} is {given!r}", valid="a number of GiB") from None


def frame_cache_directory(named: str | None) -> Path | None:
    """Where frames are kept, as an option says it: a directory, `off`, or None for the default.

    The default lies in `MERIT_INTERP_CACHE`, or in the user's cache directory; where that variable
    is empty, nothing is kept.

    Raises:
        SettingError: It names no directory.
    """
    if named == OFF:
        return None
    if named is not None:
        directory = Path(named).expanduser()
        if not named or (directory.exists() and not directory.is_dir()):
            raise SettingError(
                f"frame cache {named!r} is no directory", valid="a directory, or off"
            )
        return directory
    root = os.environ.get("MERIT_INTERP_CACHE")
    if root == "":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root or f"{base}/merit-interp").expanduser() / "frames"
