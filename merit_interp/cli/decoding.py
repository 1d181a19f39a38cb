"""How videos are decoded, as options say it, and what became of them, as a user is told it.

    settings = decoding_settings(video_time_limit, frame_cache)
    print_decoding(run)

This file must not decode.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from merit_interp.errors import SettingError
from merit_interp.record_files import read_jsonl
from merit_interp.records import DecodeReport

if TYPE_CHECKING:
    from merit_interp.benchmarks.decoding_settings import DecodingSettings

MOST_LINES = 20
"""Videos that are named; the file has them all."""
WORDS = {
    "failed": "could not be decoded",
    "damaged": "decoded with problems",
    "short": "had fewer frames than were asked for",
}


def decoding_settings(time_limit_s: float, frame_cache: str | None) -> DecodingSettings:
    """Settings of --video-time-limit and --frame-cache.

    Where frames cannot be kept in the default directory, a line on stderr says so.

    Raises:
        SettingError: A limit is none, or frames cannot be kept in the directory that was named.
    """
    from merit_interp.benchmarks.decoding_settings import (
        DecodingSettings,
        frame_cache_directory,
        frame_cache_gib,
    )
    from merit_interp.benchmarks.frame_cache import why_unusable

    directory = frame_cache_directory(frame_cache)
    settings = DecodingSettings(time_limit_s, directory, frame_cache_gib())
    fault = None if directory is None else why_unusable(directory)
    if fault is None:
        return settings
    if frame_cache is not None:
        raise SettingError(
            f"frames cannot be kept in {directory}: {fault}",
            valid="--frame-cache with a directory that can be written to, or off",
        )
    print(
        f"decoded frames are not kept, {directory}: {fault}; --frame-cache names another directory",
        file=sys.stderr,
    )
    return dataclasses.replace(settings, cache=None)


def print_decoding(run: Path) -> None:
    """A line for each video that failed or has problems, and one that counts them; else nothing.

    They go to stderr, beside results which may be JSON.
    """
    path = run / "decoding.jsonl"
    reports = [DecodeReport.from_row(row) for row in read_jsonl(path)]
    told = [report for report in reports if report.status in ("failed", "damaged")]
    for report in told[:MOST_LINES]:
        print(f"{report.status} {report.item}: {'; '.join(report.problems)}", file=sys.stderr)
    counts = Counter[str](report.status for report in reports)
    parts = [f"{counts[status]} {words}" for status, words in WORDS.items() if counts[status]]
    # a short clip alone is no fault: it gives the frames that it has
    if told:
        print(f"of {len(reports)} items' videos {', '.join(parts)}: {path}", file=sys.stderr)
