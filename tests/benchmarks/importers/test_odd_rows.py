"""No row, however odd, ends an import in anything but a reason or a line for the user."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from merit_interp.benchmarks.importers import benchmark_named
from merit_interp.benchmarks.importing import Imported, ImportOptions
from merit_interp.benchmarks.items import Item
from merit_interp.errors import MeritError
from tests.benchmarks.importers import (
    test_cg_bench,
    test_et_bench,
    test_long_video_bench,
    test_minerva,
    test_mlvu,
    test_mvbench,
    test_perception_test,
    test_rextime,
    test_star,
    test_temp_compass,
    test_tomato,
    test_tvbench,
    test_video_haystack,
    test_video_holmes,
    test_video_mme,
)

ODD = (None, "", "../x", 7.5, [], [None], [[1]], {"a": None}, 10**400)
ROWS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "cg_bench": ("a.json", test_cg_bench.ROW),
    "et_bench": ("etbench_txt_v1.0.json", test_et_bench.ROW),
    "long_video_bench": ("lvb_val.json", test_long_video_bench.ROW),
    "minerva": ("minerva.json", test_minerva.ROW),
    "mlvu": ("5_order.json", test_mlvu.ROW),
    "mvbench": ("action_sequence.json", {**test_mvbench.ROW, "start": 1.0, "end": 2.0}),
    "perception_test": (
        "mc_question_valid.json",
        {"metadata": test_perception_test.METADATA, "mc_question": [test_perception_test.QUESTION]},
    ),
    "rextime": ("rextime_val.json", test_rextime.HUB),
    "star": ("STAR_val.json", test_star.ROW),
    "temp_compass": (
        "multi-choice.json",
        {"video_id": "7", "dim": "direction", **test_temp_compass.CHOICE},
    ),
    "tomato": ("count.json", {"id": "1", **test_tomato.ROW}),
    "tvbench": ("action_count.json", test_tvbench.ROW),
    "video_haystack": ("val.json", test_video_haystack.ROW),
    "video_holmes": ("t.json", test_video_holmes.ROW),
    "video_mme": ("t.json", test_video_mme.ROW),
}
_ITEM = TypeAdapter(Item)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands within a row, the row's fields first."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        yield (*path, name)
        if isinstance(part, dict | list):
            yield from places(part, (*path, name))


def changed(row: Any, place: tuple[Any, ...], value: object) -> Any:
    row = copy.deepcopy(row)
    within = row
    for name in place[:-1]:
        within = within[name]
    within[place[-1]] = value
    return row


def read(name: str, path: Path) -> None:
    with contextlib.suppress(MeritError):
        for outcome in benchmark_named(name).read(path, ImportOptions()):
            if isinstance(outcome, Imported):
                # fields of the right types: what they say is checked where items are written
                _ITEM.validate_json(json.dumps(dataclasses.asdict(outcome.item)), strict=True)
            else:
                assert outcome.reason
                assert isinstance(outcome.row, str)


@pytest.mark.parametrize("name", ROWS)
def test_an_odd_value_anywhere_in_a_row(tmp_path: Path, name: str) -> None:
    file, row = ROWS[name]
    # an object of rows where the benchmark has one a video
    nested = name == "perception_test"
    for place in places(dict(row)):
        for value in ODD:
            rows = [dict(row), changed(dict(row), place, value)]
            content = {"v1": rows[0], "v2": rows[1]} if nested else rows
            (tmp_path / file).write_text(json.dumps(content))
            read(name, tmp_path / file)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[{}]", "[1]", '{"a": 1}', '{"a": {"b": [1]}}', "[[]]", "null", "\0"]
)
def test_a_file_of_something_else(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / ROWS[name][0]
    path.write_text(text)
    read(name, path)
