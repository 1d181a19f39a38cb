from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merit_interp.benchmarks import annotation_files
from merit_interp.benchmarks.annotation_files import (
    Row,
    RowError,
    files_in,
    json_entries,
    read_map,
    read_rows,
)
from merit_interp.errors import ItemError

ROWS = [{"q": "wer, wo?", "n": 1, "o": ["a", "b"]}, {"q": "straße", "n": 2, "o": ["c", "d"]}]


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n\n" for row in ROWS))
    else:
        path.write_text(json.dumps(ROWS))
    return path


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet"])
def test_every_form_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    rows = list(read_rows(written(tmp_path, suffix), needs=("q", "n")))
    assert [dict(row.fields) for row in rows] == ROWS
    assert rows[1].place == f"rows.{suffix}, row 2"


def test_csv_gives_texts_and_survives_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('\ufeffq,n\n"wer, ""wo""?",1\n"two\nlines",2\n', encoding="utf-8")
    rows = list(read_rows(path, needs=("q", "n")))
    assert [row.text("q") for row in rows] == ['wer, "wo"?', "two\nlines"]
    assert rows[1].whole("n") == 2


def test_an_object_of_rows_gives_their_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"v1": ROWS[0], "v2": ROWS[1]}))
    assert [row.key for row in read_rows(path)] == ["v1", "v2"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    value=st.lists(values) | st.dictionaries(st.text(), values),
    indent=st.sampled_from([None, 2]),
    chunk=st.integers(1, 40),
)
def test_a_stream_of_json_is_what_json_reads(
    tmp_path_factory: pytest.TempPathFactory, value: Any, indent: int | None, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("stream") / "value.json"
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotation_files, "_CHUNK", chunk)
        entries = list(json_entries(path))
    whole = [("", part) for part in value] if isinstance(value, list) else list(value.items())
    assert entries == whole


@pytest.mark.parametrize("length", range(1, len(json.dumps(ROWS)) - 1))
def test_every_torn_json_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "torn.json"
    path.write_text(json.dumps(ROWS)[:length])
    with pytest.raises(ItemError, match=r"torn\.json is not JSON"):
        list(read_rows(path))


@pytest.mark.parametrize("text", ["", "  ", "7", '"text"', "[1, 2", "[] x", "[{},]", '{"a" 1}'])
def test_what_is_no_list_or_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ItemError, match=r"odd\.json"):
        list(read_rows(path))


def test_torn_files_name_where(tmp_path: Path) -> None:
    jsonl = tmp_path / "a.jsonl"
    jsonl.write_text('{"q": 1}\n{"q"')
    with pytest.raises(ItemError, match=r"a\.jsonl is not JSON in line 2: torn"):
        list(read_rows(jsonl))
    jsonl.write_text('{"q": 1}\n' + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(ItemError, match=r"a\.jsonl is not JSON in line 2: torn"):
        list(read_rows(jsonl))
    parquet = written(tmp_path, "parquet")
    parquet.write_bytes(parquet.read_bytes()[:-20])
    with pytest.raises(ItemError, match=r"rows\.parquet is no whole parquet file"):
        list(read_rows(parquet))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("q,n\nstraße,1\n".encode("latin-1"))
    with pytest.raises(ItemError, match=r"latin\.csv is no text; valid: UTF-8"):
        list(read_rows(latin))


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="has no field 'video' in its first row; valid: the fields"):
        list(read_rows(written(tmp_path, "json"), needs=("q", "video")))
    (tmp_path / "empty.csv").write_text("q,n\n")
    with pytest.raises(ItemError, match=r"empty\.csv holds no rows"):
        list(read_rows(tmp_path / "empty.csv"))
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ItemError, match=r"list\.json, row 1, is not an object"):
        list(read_rows(tmp_path / "list.json"))
    with pytest.raises(ItemError, match=r"a\.txt is no annotation file; valid: \.json, \.jsonl"):
        list(read_rows(tmp_path / "a.txt"))
    with pytest.raises(ItemError, match=r"gone\.json: No such file"):
        list(read_rows(tmp_path / "gone.json"))


def test_a_map_is_an_object(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text('{"7": "01/7"}')
    assert read_map(path) == {"7": "01/7"}
    path.write_text("[1]")
    with pytest.raises(ItemError, match="is no JSON object"):
        read_map(path)


@pytest.mark.parametrize(
    ("read", "value", "problem"),
    [
        ("text", None, "is missing"),
        ("text", "  ", "is no text"),
        ("text", True, "is no text"),
        ("text", ["a"], "is no text"),
        ("texts", "ab", "is no list of texts"),
        ("texts", ["a", None], "is no list of texts"),
        ("whole", 1.5, "is no whole number"),
        ("whole", "B", "is no number"),
        ("number", True, "is no number"),
        ("number", "nan", "is no number"),
        ("number", 10**400, "is no number"),
        ("spans", [[1.0]], "is no list of pairs of numbers"),
        ("spans", [[0, 10**400]], "is no list of pairs of numbers"),
        ("spans", [[0, float("nan")]], "has a time that is no number"),
        ("spans", 3, "is no list of pairs of numbers"),
    ],
)
def test_fields_of_the_wrong_kind_are_named(read: str, value: object, problem: str) -> None:
    with pytest.raises(RowError, match=f"field 'x' {problem}"):
        getattr(Row("row", {"x": value}), read)("x")


def test_fields_are_read_as_what_they_are() -> None:
    row = Row("row", {"a": " 7 ", "b": 7, "c": [1, "two"], "d": "", "e": [[0, 1.5]]})
    assert (row.text("a"), row.whole("a"), row.text("b")) == ("7", 7, "7")
    assert row.texts("c") == ("1", "two")
    assert (row.optional_number("d"), row.optional_number("z")) == (None, None)
    assert row.spans("e") == ((0.0, 1.5),)


def test_files_of_a_directory(tmp_path: Path) -> None:
    for name in ("b.json", "a.csv", "readme.md"):
        (tmp_path / name).touch()
    assert [file.name for file in files_in(tmp_path)] == ["a.csv", "b.json"]
    assert files_in(tmp_path / "b.json", "other.json") == (tmp_path / "b.json",)
    with pytest.raises(ItemError, match=r"holds no c\.csv; valid: a\.csv, c\.csv"):
        files_in(tmp_path, "a.csv", "c.csv")
    with pytest.raises(ItemError, match="there are no annotations at"):
        files_in(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ItemError, match="holds no annotation files"):
        files_in(tmp_path / "empty")


def test_a_number_that_is_none_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"q": NaN, "o": ["a", Infinity], "n": 3, "f": 3.0, "s": 3.5}')
    (row,) = read_rows(path)
    assert [row.text(name) for name in "nfs"] == ["3", "3", "3.5"]
    with pytest.raises(RowError, match="field 'q' is no text"):
        row.text("q")
    with pytest.raises(RowError, match="field 'o' is no list of texts"):
        row.texts("o")
