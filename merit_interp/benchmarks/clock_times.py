"""Times as people write them in annotations, like "1:02:07" or "00:15-00:19".

    clock_spans("he falls at 00:15-00:19")  # ((15.0, 19.0),)

This file must not know any benchmark, nor how long a video is.
"""

from __future__ import annotations

import re

from merit_interp.benchmarks.items import Span

_TIME = r"(?:\d{1,2}:[0-5]\d:[0-5]\d|\d{1,3}:[0-5]\d)(?:\.\d+)?"
# not within a longer run of digits, and no time of the day
_RANGE = re.compile(
    rf"(?<![\d:.])({_TIME})(?:\s*(?:-|–|—|~|to|until)\s*({_TIME}))?(?![\d:])(?!\s*[ap]\.?m\b)",
    re.IGNORECASE,
)


def clock_seconds(text: str) -> float | None:
    """Seconds of "mm:ss" or "h:mm:ss", where minutes may pass 59 if no hours are given.

    None where the text is something else.
    """
    if not re.fullmatch(_TIME, text.strip()):
        return None
    seconds = 0.0
    for part in text.strip().split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def clock_spans(text: str) -> tuple[Span, ...]:
    """Every time and every range of times in a text, in its order, none twice.

    A time that stands alone, and a range that begins and ends in the same second, means the whole
    second that it names. A range that ends before it begins is no range: both times stand alone.
    """
    spans: list[Span] = []
    for match in _RANGE.finditer(text):
        times = [clock_seconds(part) for part in match.groups() if part]
        named = [time for time in times if time is not None]
        if len(named) == 2 and named[0] < named[1]:
            found = [(named[0], named[1])]
        else:
            found = [(time, time + 1.0) for time in named]
        spans += found
    return tuple(dict.fromkeys(spans))
