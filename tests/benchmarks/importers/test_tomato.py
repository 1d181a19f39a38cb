from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import ItemError
from tests.benchmarks.importers.an_import import run_import, write_annotations

ROW = {
    "question": "Which way does the top turn?",
    "options": ["Clockwise.", "Counter-clockwise.", "Both."],
    "answer": 1,
    "video_source_url": "",
    "motion_type": "rotation",
    "variation": {"counterfactual": 0, "composite": 0, "zoom": 0, "first_person": 1},
    "demonstration_type": "object",
    "note": "",
    "key": "0999-03",
}
SEVEN = {**ROW, "options": [f"{n} turns" for n in range(7)], "answer": 6, "key": "0998-00"}


def test_options_vary_in_number_and_the_answer_is_one_of_them(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "data/rotation.json", {"0": ROW, "5": SEVEN})
    done = run_import("tomato", path, ["object/0999-03.mp4", "object/0998-00.mp4"])
    assert [item.answer for item in done.items.values()] == [1, 6]
    assert [len(item.options) for item in done.items.values()] == [3, 7]
    assert list(done.items) == ["tomato/rotation/0", "tomato/rotation/5"]
    # not a quarter, and not one over the mean number of options
    assert done.summary.chance == pytest.approx((1 / 3 + 1 / 7) / 2)


def test_an_answer_past_the_options_is_left_out(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "count.json", {"0": ROW, "1": {**ROW, "answer": 3}})
    done = run_import("tomato", path, ["object/0999-03.mp4"])
    assert done.left_out == {"tomato/count/1": "not a valid item: answer is 3; valid: 0 to 2"}


def test_kinds_stay_apart_and_all_reason(tmp_path: Path) -> None:
    for kind in ("shape&trend", "visual_cues"):
        write_annotations(tmp_path / f"data/{kind}.json", {"0": ROW})
    done = run_import("tomato", tmp_path / "data", ["object/0999-03.mp4"])
    assert set(done.summary.categories) == {"shape&trend", "visual_cues"}
    assert set(done.summary.skills) == {"reasoning"}
    one = run_import("tomato", tmp_path / "data", [], subset="visual_cues")
    assert list(one.items) == ["tomato/visual_cues/0"]


def test_the_ports_columns_are_read_too(tmp_path: Path) -> None:
    row = {name: ROW[name] for name in ("question", "options", "answer", "demonstration_type")}
    row |= {"id": "7", "video_path": "0999-03.mp4", "reason_type": "visual cues"}
    path = write_annotations(tmp_path / "test.parquet", [row])
    item = run_import("tomato", path, ["object/0999-03.mp4"]).item
    assert (item.id, item.category) == ("tomato/visual_cues/7", "visual_cues")


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "answers.json", {"0": ROW})
    with pytest.raises(ItemError, match="of no known kind: answers; valid: count, direction"):
        run_import("tomato", path, [])
