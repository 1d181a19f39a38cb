"""One import of annotations that a test wrote, with empty files in the place of videos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from merit_interp.benchmarks.import_summary import ImportSummary
from merit_interp.benchmarks.importers import benchmark_named
from merit_interp.benchmarks.importing import ImportOptions, import_items
from merit_interp.benchmarks.items import Item, parse_items
from merit_interp.benchmarks.roles import read_roles


@dataclass(frozen=True)
class AnImport:
    """What an import wrote."""

    items: dict[str, Item]
    left_out: dict[str, str]
    """Reason by row."""
    summary: ImportSummary

    @property
    def item(self) -> Item:
        (item,) = self.items.values()
        return item


def write_annotations(path: Path, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Path:
    """Rows in the form of the path's suffix: json, jsonl or parquet (csv: write the text)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


def run_import(
    name: str,
    annotations: Path,
    videos: Iterable[str],
    *,
    roles: Path | None = None,
    **options: Any,
) -> AnImport:
    """Import, and check that `items check` has nothing to say about the text of what was written.

    Args:
        name: Of the benchmark.
        annotations: File or directory; the video folder `videos` is made beside it.
        videos: Names below the video folder; one that ends in "/" becomes a directory.
        roles: A user's roles.
        options: Fields of `ImportOptions`.
    """
    folder = annotations.parent / "videos"
    folder.mkdir(exist_ok=True)
    for video in videos:
        path = folder / video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if video.endswith("/") else path.touch()
    out = annotations.parent / "items.jsonl"
    summary = import_items(
        benchmark_named(name),
        annotations,
        folder,
        out,
        ImportOptions(**options),
        read_roles(roles),
        overwrite=True,
    )
    parsed = parse_items(out)
    assert parsed.faults == ()
    lines = (out.parent / "items.left_out.jsonl").read_text().splitlines()
    left_out = {row["row"]: row["reason"] for row in map(json.loads, lines)}
    return AnImport({item.id: item for _, item in parsed.lines}, left_out, summary)
