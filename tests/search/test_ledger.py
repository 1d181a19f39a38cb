from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from merit_interp.errors import RunError
from merit_interp.search.ledger import open_ledger, read_header, refuse_other_header

HEADER = {"settings": {"seed": 0, "levels": [0.0, 1.0]}, "models": {"vlm": "sha256:1"}}
SCORES = {"item 1": (-0.1, -2.3456789012345678), "zwei ü": (-1e-9, -40.0, -0.5)}


def filled(path: Path) -> bytes:
    with open_ledger(path, HEADER) as ledger:
        ledger.record("vlm", "search", 0, SCORES)
        ledger.record("vlm", "search", 1, {"item 3": (0.0, -1.0)})
        ledger.record("abc", "validation", 0, SCORES)
    return path.read_bytes()


def test_what_is_recorded_is_held_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    filled(path)
    with open_ledger(path, HEADER) as ledger:
        assert ledger.holds("vlm", "search", 0)
        assert not ledger.holds("abc", "search", 0)
        assert ledger.log_probs("vlm", "search", 0) == SCORES
        assert ledger.log_probs("abc", "validation", 0) == SCORES
        ledger.record("def", "search", 0, {"item 4": (-0.5, math.inf)})
        assert ledger.log_probs("def", "search", 0) == {"item 4": (-0.5, math.inf)}


def test_cut_at_any_byte_it_goes_on(tmp_path: Path) -> None:
    whole = filled(tmp_path / "whole.jsonl")
    path = tmp_path / "ledger.jsonl"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with open_ledger(path, HEADER) as ledger:
            held = [ledger.holds("vlm", "search", 0), ledger.holds("abc", "validation", 0)]
            if not ledger.holds("vlm", "search", 1):
                ledger.record("vlm", "search", 1, {"item 3": (0.0, -1.0)})
            assert ledger.log_probs("vlm", "search", 1) == {"item 3": (0.0, -1.0)}
        # a whole line is kept, a torn one is gone, nothing in between
        assert held == [whole[:size].count(b"\n") >= 2, whole[:size].count(b"\n") >= 4]
        assert all(json.loads(line) for line in path.read_text().splitlines())
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"seed": 1, "levels": [0.0, 1.0]}}, r"settings\.seed 0, not 1; valid"),
        ({"settings": {"seed": 0, "levels": None}}, r"settings\.levels \[0\.0, 1\.0\], not null"),
        ({"models": {"vlm": "sha256:2"}}, r'models\.vlm "sha256:1", not "sha256:2"'),
    ],
)
def test_another_header_is_refused_and_the_field_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    content = filled(path)
    with pytest.raises(RunError, match=message), open_ledger(path, {**HEADER, **change}):
        pass
    assert path.read_bytes() == content


def test_a_part_of_the_header_may_be_checked_early(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    refuse_other_header(path, read_header(path), {"settings": {"seed": 9}})
    filled(path)
    refuse_other_header(path, read_header(path), {"settings": HEADER["settings"]})
    with pytest.raises(RunError, match=r"settings\.seed"):
        refuse_other_header(path, read_header(path), {"settings": {"seed": 9}})


def test_damage_inside_is_named_and_not_mended(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = filled(path).split(b"\n")
    lines[2] = lines[2][:20]
    path.write_bytes(b"\n".join(lines))
    with (
        pytest.raises(RunError, match=r"ledger\.jsonl, line 3, is not a JSON object"),
        open_ledger(path, HEADER),
    ):
        pass


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"number": 0}\n')
    with (
        pytest.raises(RunError, match="line 1, is no header of a search"),
        open_ledger(path, HEADER),
    ):
        pass


def test_two_processes_cannot_write_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    content = filled(path)
    with open_ledger(path, HEADER):
        with path.open("ab") as file:
            file.write(b'{"being written')
        with (
            pytest.raises(RunError, match="another process is searching in"),
            open_ledger(path, HEADER),
        ):
            pass
        assert path.read_bytes() == content + b'{"being written'
    with open_ledger(path, HEADER) as ledger:
        assert ledger.holds("vlm", "search", 1)
