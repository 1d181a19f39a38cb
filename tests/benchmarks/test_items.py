from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from merit_interp.benchmarks.items import Item, read_items, write_items
from merit_interp.errors import ItemError

ROW: dict[str, Any] = {
    "id": "q1",
    "video": "clips/a.mp4",
    "question": "What comes next?",
    "options": ["a circle", "a square"],
    "answer": 1,
    "skill": "reasoning",
}


def write_rows(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def faults_of(path: Path) -> tuple[str, ...]:
    with pytest.raises(ItemError) as caught:
        read_items(path)
    return caught.value.faults


def test_items_read_back_as_they_were_written(tmp_path: Path) -> None:
    items = (
        Item("q1", "a.mp4", "What?", ("yes", "no"), 0, "reasoning"),
        Item(
            "q2",
            "frames",
            "Wann?",
            ("früh", "spät", "nie"),
            2,
            "perception",
            benchmark="b",
            category="order",
            group="v1",
            pair="v1/order",
            pair_size=3,
            start_s=1.0,
            end_s=2.5,
            evidence=((1.0, 1.5), (2.0, 2.0)),
            evidence_kind="span",
            transcript="red circle .",
            fps=3.0,
        ),
    )
    write_items(tmp_path / "items.jsonl", items)
    file = read_items(tmp_path / "items.jsonl")
    assert file.items == items
    assert file.sha256.startswith("sha256:")
    assert file.video_path(items[0]) == tmp_path / "a.mp4"


def test_a_missing_group_is_the_video(tmp_path: Path) -> None:
    (item,) = read_items(write_rows(tmp_path / "items.jsonl", ROW)).items
    assert item.group == "clips/a.mp4"


def test_a_missing_group_is_one_however_the_video_is_written() -> None:
    names = ("c.mp4", "./c.mp4", "d/../c.mp4")
    assert {Item("i", name, "?", ("a", "b"), 0, "other").group for name in names} == {"c.mp4"}


def test_whole_numbers_serve_as_times(tmp_path: Path) -> None:
    row = {**ROW, "start_s": 1, "end_s": 2, "evidence": [[1, 2]]}
    (item,) = read_items(write_rows(tmp_path / "items.jsonl", row)).items
    assert item.evidence == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"answer": 2}, "answer is 2; valid: 0 to 1"),
        ({"answer": -1}, "answer is -1; valid: 0 to 1"),
        ({"answer": True}, "field 'answer' is true"),
        ({"answer": "1"}, "field 'answer' is \"1\""),
        ({"options": ["one"]}, "1 option(s); valid: at least 2"),
        ({"options": ["one", " one"]}, "two options are 'one'"),
        ({"options": ["one", " "]}, "option 1 is empty"),
        ({"options": ["one", 2]}, "field 'options.1' is 2"),
        ({"skill": "thinking"}, "'reasoning', 'perception' or 'other'"),
        ({"question": "  "}, "field 'question' is empty"),
        ({"video": ""}, "field 'video' is empty"),
        ({"video": "a\0b.mp4"}, "video 'a\\x00b.mp4' is no path: it has a NUL character"),
        ({"question": "What\x07?"}, "field 'question' has the control character U+0007; valid:"),
        ({"options": ["a\x00", "b"]}, "field 'options.0' has the control character U+0000"),
        ({"transcript": "red\x1b"}, "field 'transcript' has the control character U+001B"),
        ({"colour": "red"}, "unknown field 'colour'; valid: id, video"),
        ({"evidence": [[3.0, 1.0]]}, "evidence ends at 1.0, before it begins at 3.0"),
        ({"evidence": [[1.0]]}, "field 'evidence.0.1' is missing"),
        ({"start_s": 4.0, "end_s": 2.0}, "end_s 2.0 is not after start_s 4.0"),
        ({"start_s": -1.0}, "start_s is -1.0"),
        ({"end_s": float("nan")}, "end_s is nan"),
        ({"fps": 0.0}, "fps is 0"),
        ({"pair_size": 2}, "pair_size is 2 of no pair; valid: at least 2, with a pair"),
        ({"pair": "p", "pair_size": 1}, "pair_size is 1 of pair 'p'; valid: at least 2"),
    ],
)
def test_each_fault_is_named_with_its_line(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = write_rows(tmp_path / "items.jsonl", ROW, {**ROW, "id": "q2", **change})
    (fault,) = faults_of(path)
    assert fault.startswith("line 2 (q2): ")
    assert says in fault


def test_absolute_videos_may_lie_anywhere(tmp_path: Path) -> None:
    file = read_items(write_rows(tmp_path / "items.jsonl", {**ROW, "video": "/data/a.mp4"}))
    assert file.video_path(file.items[0]) == Path("/data/a.mp4")


def test_tabs_and_line_ends_are_text(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "items.jsonl", {**ROW, "question": "First:\r\n\ta, then?\n"})
    assert read_items(path).items[0].question == "First:\r\n\ta, then?\n"


def test_every_fault_is_listed_not_only_the_first(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "items.jsonl",
        ROW,
        '{"id": "q2", "video"',
        "",
        {**ROW, "id": "q3", "answer": 7, "options": ["a", "a"]},
        ROW,
        [1, 2],
        {"id": "q6"},
    )
    faults = faults_of(path)
    assert [fault.split(":")[0] for fault in faults] == [
        "line 2",
        "line 4 (q3)",
        "line 4 (q3)",
        "line 5 (q1)",
        "line 6",
        *["line 7 (q6)"] * 5,
    ]
    assert faults[3] == "line 5 (q1): id 'q1' is used in line 1 already"
    assert "not JSON" in faults[0]


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(content)
    with pytest.raises(ItemError, match="holds no items"):
        read_items(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="No such file"):
        read_items(tmp_path / "items.jsonl")
    with pytest.raises(ItemError, match="Is a directory"):
        read_items(tmp_path)


def test_bytes_that_are_no_text_are_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"id": "\xff"}\n')
    assert "not JSON" in faults_of(path)[0]


def test_parts_of_a_file(tmp_path: Path) -> None:
    file = read_items(
        write_rows(tmp_path / "items.jsonl", *({**ROW, "id": f"q{i}"} for i in range(5)))
    )
    assert [item.id for item in file.subset(["q3", "q1"]).items] == ["q1", "q3"]
    assert file.subset(["q3"]).sha256 == file.sha256
    with pytest.raises(ItemError, match="'q9'"):
        file.subset(["q3", "q9"])


def test_a_line_that_is_nested_too_deep_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
    with pytest.raises(ItemError, match="1 fault"):
        read_items(path)
