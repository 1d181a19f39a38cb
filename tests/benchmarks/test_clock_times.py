from __future__ import annotations

import pytest

from merit_interp.benchmarks.clock_times import clock_seconds, clock_spans


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:15", 15.0),
        ("2:07", 127.0),
        ("75:10", 4510.0),
        ("1:02:07", 3727.0),
        (" 00:15.5 ", 15.5),
        ("00:75", None),
        ("15", None),
        ("None", None),
        ("", None),
    ],
)
def test_seconds(text: str, seconds: float | None) -> None:
    assert clock_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("00:15-00:19", ((15.0, 19.0),)),
        ("00:15 – 00:19", ((15.0, 19.0),)),
        ("from 00:59 to 01:02 and at 2:00,", ((59.0, 62.0), (120.0, 121.0))),
        ("1:02:07-1:02:09", ((3727.0, 3729.0),)),
        ("(00:12) he runs. At 00:12 he stops.", ((12.0, 13.0),)),
        ("00:05-00:05", ((5.0, 6.0),)),
        ("00:19-00:15", ((19.0, 20.0), (15.0, 16.0))),
        ("the clock on the wall shows 12:30 pm", ()),
        ("a ratio of 16:9, and 1234:56", ()),
        ("no time", ()),
    ],
)
def test_spans(text: str, spans: tuple[tuple[float, float], ...]) -> None:
    assert clock_spans(text) == spans
