from __future__ import annotations

import json
from pathlib import Path

import pytest

from merit_interp.benchmarks.roles import read_roles
from merit_interp.errors import ItemError


def written(folder: Path, table: object) -> Path:
    path = folder / "roles.json"
    path.write_text(json.dumps(table))
    return path


def test_reasoning_wins_over_perception_over_other() -> None:
    roles = read_roles(None)
    assert roles.skill_of("next_qa", ("DC",)) == "perception"
    assert roles.skill_of("next_qa", ("DC", "CW")) == "reasoning"
    assert roles.skill_of("next_qa", ("unheard of", "DC")) == "perception"
    assert roles.skill_of("next_qa", ("unheard of",)) == "other"
    assert roles.skill_of("unheard of", ("CW",)) == "other"


def test_a_users_entries_replace_ours_one_by_one(tmp_path: Path) -> None:
    roles = read_roles(written(tmp_path, {"next_qa": {"TC": "reasoning", "CW": "other"}}))
    assert roles.skill_of("next_qa", ("TC",)) == "reasoning"
    assert roles.skill_of("next_qa", ("CW",)) == "other"
    assert roles.skill_of("next_qa", ("CH",)) == "reasoning"
    assert roles.skill_of("next_gqa", ("TC",)) == "perception"


def test_all_speaks_only_where_no_category_does(tmp_path: Path) -> None:
    table = {"rextime": {"ordering": "perception", "cause-effect": "other"}}
    roles = read_roles(written(tmp_path, table))
    assert roles.skill_of("rextime", ("ordering", "all")) == "perception"
    assert roles.skill_of("rextime", ("cause-effect", "all")) == "other"
    assert roles.skill_of("rextime", ("sequential", "all")) == "reasoning"
    assert roles.skill_of("rextime", ("", "all")) == "reasoning"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"nextqa": {"TC": "reasoning"}}, "unknown benchmark 'nextqa'; valid: .*next_qa"),
        ({"next_qa": {"TC": "TR"}}, "'TC' of next_qa is 'TR'; valid: reasoning, perception"),
        ({"next_qa": "reasoning"}, "has another form"),
        ([], "has another form"),
    ],
)
def test_what_is_no_table_of_roles_is_refused(tmp_path: Path, table: object, problem: str) -> None:
    with pytest.raises(ItemError, match=problem):
        read_roles(written(tmp_path, table))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="cannot read roles"):
        read_roles(tmp_path / "gone.json")
    (tmp_path / "torn.json").write_text('{"next_qa": ')
    with pytest.raises(ItemError, match="is not JSON"):
        read_roles(tmp_path / "torn.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(ItemError, match="is not JSON"):
        read_roles(tmp_path / "bytes.json")
    (tmp_path / "deep.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ItemError, match="is not JSON"):
        read_roles(tmp_path / "deep.json")


def test_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "roles.json"
    path.write_text('{"next_qa": {"TC": "reasoning"}}', encoding="utf-8-sig")
    assert read_roles(path).skill_of("next_qa", ("TC",)) == "reasoning"
