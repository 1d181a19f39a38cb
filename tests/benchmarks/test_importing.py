"""What every import does, on a benchmark that is made here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from merit_interp.benchmarks.annotation_files import files_in, read_rows
from merit_interp.benchmarks.gold_answers import answer_index
from merit_interp.benchmarks.import_summary import ImportSummary, covered_s
from merit_interp.benchmarks.importing import (
    Benchmark,
    Imported,
    ImportOptions,
    Outcome,
    import_items,
    outcomes,
    spans_within,
    without_repeats,
)
from merit_interp.benchmarks.items import Item, parse_items, read_items
from merit_interp.benchmarks.roles import Roles
from merit_interp.errors import ItemError, RunError, SettingError
from tests.benchmarks.importers.an_import import write_annotations

ROLES = Roles({"toy": {"when": "reasoning", "what": "perception"}}, {"toy": {}})


def _item(row: Any) -> Imported:
    options = row.texts("options")
    return Imported(
        Item(
            id=f"toy/{row.text('id')}",
            video=row.text("video"),
            question=row.text("question"),
            options=options,
            answer=answer_index(options, row.text("answer")),
            skill="other",
            benchmark="toy",
            category=row.text("kind"),
            evidence=row.spans("evidence") if "evidence" in row.fields else (),
            evidence_kind="span" if "evidence" in row.fields else None,
        ),
        duration_s=row.optional_number("duration"),
        flags=tuple(row.fields.get("flags", ())),
    )


def _read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
    for file in files_in(path):
        yield from outcomes(read_rows(file, needs=("id",)), _item)


TOY = Benchmark(
    name="toy",
    title="Toy",
    annotations="toy.json",
    read=_read,
    files=lambda path, _: files_in(path),
    checked="data",
    source="here",
    subsets=("red", "green"),
)


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "video": "a",
        "question": "What now?",
        "options": ["x", "y", "z"],
        "answer": "y",
        "kind": "when",
    } | changes


@dataclasses.dataclass(frozen=True)
class Place:
    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "items.jsonl"

    def run(self, *rows: dict[str, Any], roles: Roles = ROLES, **options: Any) -> ImportSummary:
        annotations = write_annotations(self.folder / "toy.json", rows)
        out = options.pop("out", self.out)
        overwrite = options.pop("overwrite", False)
        videos = options.pop("videos", self.folder / "videos")
        return import_items(
            TOY, annotations, videos, out, ImportOptions(**options), roles, overwrite=overwrite
        )

    def left_out(self) -> dict[str, str]:
        lines = (self.folder / "items.left_out.jsonl").read_text().splitlines()
        return {line["row"]: line["reason"] for line in map(json.loads, lines)}

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "place"
    (folder / "videos").mkdir(parents=True)
    (folder / "videos/a.mp4").touch()
    (folder / "videos/b.mp4").touch()
    return Place(folder)


def test_items_are_written_with_a_record_and_what_was_left_out(place: Place) -> None:
    summary = place.run(row("1"), row("2", kind="what", video="b"), row("3", answer="w"))
    assert [item.skill for item in read_items(place.out).items] == ["reasoning", "perception"]
    assert place.left_out() == {"toy.json, row 3": "answer is none of the options: 'w'"}
    record = json.loads((place.folder / "items.import.json").read_text())
    assert record == json.loads(json.dumps(summary.to_row()))
    assert record["skills"] == {
        "perception": {"items": 1, "videos": 1},
        "reasoning": {"items": 1, "videos": 1},
    }
    (digest,) = record["source"]["annotations"].values()
    assert digest.startswith("sha256:")
    assert record["source"]["roles"] == {"when": "reasoning", "what": "perception"}
    assert place.names() == {
        "items.import.json", "items.jsonl", "items.left_out.jsonl", "toy.json", "videos",
    }  # fmt: skip


def test_the_summary_counts_by_kind(place: Place) -> None:
    evidence = {"evidence": [[1, 3], [2, 4]], "duration": 10}
    summary = place.run(
        row("1", **evidence, flags=["odd: 3 legs", "odd: 5 legs"]),
        row("2", flags=["odd: 1 leg", "late"]),
        row("3", evidence=[[0, 1]]),
        row("4", video="gone"),
        row("5", video="gone too"),
    )
    assert (summary.items, summary.videos, summary.chance) == (3, 1, pytest.approx(1 / 3))
    assert summary.flags == {"odd": 2, "late": 1}
    assert summary.left_out == {"no video": 2}
    # two spans that overlap cover three seconds; a share needs a duration
    assert (summary.with_evidence, summary.evidence_share_of) == (2, 1)
    assert summary.evidence_share == pytest.approx(0.3)


def test_ids_are_unique_and_the_first_keeps_its(place: Place) -> None:
    place.run(row("1"), row("1", video="b"))
    assert [item.video for item in read_items(place.out).items] == ["videos/a.mp4"]
    assert place.left_out() == {"toy/1": "id is used already"}


def test_an_item_left_out_does_not_take_its_id(place: Place) -> None:
    place.run(row("1", video="gone"), row("1"))
    assert len(read_items(place.out).items) == 1


def test_paths_are_relative_below_the_items_and_absolute_elsewhere(place: Place) -> None:
    place.run(row("1"))
    assert read_items(place.out).items[0].video == "videos/a.mp4"
    other = place.folder / "deep/er/items.jsonl"
    place.run(row("1"), out=other)
    (item,) = read_items(other).items
    assert item.video == str((place.folder / "videos/a.mp4").resolve())


def test_a_video_folder_that_is_a_link_out_gives_absolute_paths(place: Place) -> None:
    far = place.folder.parent / "far"
    (place.folder / "videos").rename(far)
    (place.folder / "videos").symlink_to(far)
    place.run(row("1"))
    # a relative path would lead out of the directory of the items by that link
    assert read_items(place.out).items[0].video == str(far.resolve() / "a.mp4")


def test_links_out_are_left_out_unless_followed(place: Place) -> None:
    far = place.folder.parent / "far.mp4"
    far.touch()
    (place.folder / "videos/link.mp4").symlink_to(far)
    place.run(row("1"), row("2", video="link"), row("3", video="../../far"))
    assert place.left_out() == {
        "toy/2": "video is a link out of the folder: link",
        "toy/3": "video leaves the folder: ../../far",
    }
    place.run(row("1"), row("2", video="link"), follow_links=True, overwrite=True)
    assert read_items(place.out).items[1].video == str(far.resolve())


def test_nothing_imported_is_an_error_and_writes_nothing(place: Place) -> None:
    before = place.names() | {"toy.json"}
    with pytest.raises(ItemError) as error:
        place.run(row("1", video="gone"), row("2", video="gone"), row("3", answer="w"))
    assert str(error.value) == (
        "none of 3 rows of Toy became an item; 2 of them: no video (the first: no video: gone); "
        "valid: toy.json, and the folder of its videos"
    )
    assert place.names() == before


def test_a_subset_without_rows_is_named(place: Place) -> None:
    toy = dataclasses.replace(TOY, read=lambda path, options: iter(()))
    annotations = write_annotations(place.folder / "toy.json", [row("1")])
    arguments = (toy, annotations, place.folder / "videos", place.out)
    with pytest.raises(ItemError, match="no row of Toy of subset 'red' was read; valid: red, gre"):
        import_items(*arguments, ImportOptions(subset="red"), ROLES)
    with pytest.raises(ItemError, match=r"no row of Toy was read; valid: toy\.json"):
        import_items(*arguments, ImportOptions(), ROLES)


def test_a_torn_file_writes_nothing_and_keeps_the_earlier_import(place: Place) -> None:
    place.run(row("1"))
    earlier = place.out.read_bytes()
    torn = place.folder / "torn.json"
    torn.write_text(json.dumps([row("1"), row("2")])[:-9])
    arguments = (torn, place.folder / "videos", place.out, ImportOptions(), ROLES)
    with pytest.raises(ItemError, match=r"torn\.json is not JSON in row 2"):
        import_items(TOY, *arguments, overwrite=True)
    assert place.out.read_bytes() == earlier
    assert not [name for name in place.names() if name.endswith(".part")]


def test_an_interrupt_writes_nothing(place: Place) -> None:
    def read(path: Path, options: ImportOptions) -> Iterator[Outcome]:
        yield from _read(path, options)
        raise KeyboardInterrupt

    annotations = write_annotations(place.folder / "toy.json", [row("1")])
    toy = dataclasses.replace(TOY, read=read)
    with pytest.raises(KeyboardInterrupt):
        import_items(toy, annotations, place.folder / "videos", place.out, ImportOptions(), ROLES)
    assert place.names() == {"toy.json", "videos"}


def test_what_is_there_is_kept_unless_asked(place: Place) -> None:
    place.run(row("1"))
    with pytest.raises(RunError, match="is there already; valid: --overwrite or another --out"):
        place.run(row("2"))
    place.run(row("2"), overwrite=True)
    assert [item.id for item in read_items(place.out).items] == ["toy/2"]
    with pytest.raises(RunError, match="is a directory; valid: --out FILE"):
        place.run(row("2"), out=place.folder / "videos", overwrite=True)


def test_annotations_are_never_overwritten(place: Place) -> None:
    (place.folder / "link.jsonl").symlink_to(place.folder / "toy.json")
    for name in ("toy.json", "link.jsonl"):
        with pytest.raises(RunError, match="would be written over the annotations"):
            place.run(row("1"), out=place.folder / name, overwrite=True)


def test_wrong_paths_and_options_are_named(place: Place) -> None:
    with pytest.raises(SettingError, match="toy has no subset 'blue'; valid: red, green"):
        place.run(row("1"), subset="blue")
    with pytest.raises(SettingError, match="bounds are 'cut'; valid: keep or drop"):
        place.run(row("1"), bounds="cut")
    with pytest.raises(ItemError, match="there is no video folder"):
        place.run(row("1"), videos=place.folder / "gone")
    arguments = (place.folder / "videos", place.out, ImportOptions(), ROLES)
    with pytest.raises(ItemError, match=r"no annotations at .*gone; valid: toy\.json"):
        import_items(TOY, place.folder / "gone", *arguments)
    plain = dataclasses.replace(TOY, subsets=())
    options = ImportOptions(subset="red")
    with pytest.raises(SettingError, match="has no subset 'red'; valid: no --subset"):
        import_items(plain, place.folder, place.folder, place.out, options, ROLES)


def test_rows_that_contradict_themselves_are_left_out(place: Place) -> None:
    place.run(
        row("1"),
        row("2", question="\ud83d what?"),
        row("3", options=["y"]),
        row("4", options=["y", " "]),
        row("5", evidence=[[5, 4]]),
    )
    assert place.left_out() == {
        "toy/2": "text has half a character (a lone surrogate)",
        "toy/3": "not a valid item: 1 option(s); valid: at least 2",
        "toy/4": "not a valid item: option 1 is empty",
        "toy/5": "not a valid item: evidence ends at 4.0, before it begins at 5.0",
    }
    assert parse_items(place.out).faults == ()


def test_a_row_whose_id_cannot_be_written_is_left_out_too(place: Place) -> None:
    place.run(row("1"), row("\udc80"), row("\udc80"))
    assert place.left_out() == {"toy/?": "text has half a character (a lone surrogate)"}


def test_roles_of_the_user_that_no_item_has_are_said(place: Place) -> None:
    roles = Roles(ROLES.table, {"toy": {"when": "reasoning", "wehn": "reasoning"}})
    assert place.run(row("1"), roles=roles).unused_roles == ("wehn",)


def test_repeated_options_are_dropped_where_the_answer_stays() -> None:
    assert without_repeats(("a", "b", "a", "c"), 3) == (("a", "b", "c"), 2)
    assert without_repeats(("a", "b", "a", "c"), 2) == (("a", "b", "c"), 0)
    assert without_repeats(("a", "b"), 1) == (("a", "b"), 1)
    assert without_repeats(("a", "a"), 5) == (("a", "a"), 5)


def test_spans_are_cut_to_the_video() -> None:
    spans = [(4.0, 12.0), (1.0, 2.0), (1.0, 2.0), (11.0, 13.0), (3.0, 2.5), (-1.0, 0.5)]
    kept, flags = spans_within(spans, 10.0)
    assert kept == ((0.0, 0.5), (1.0, 2.0), (4.0, 10.0))
    assert {flag.partition(":")[0] for flag in flags} == {
        "evidence past the end was clipped",
        "evidence past the end was dropped",
        "evidence before the beginning was clipped",
        "evidence that ends before it begins was dropped",
    }
    assert spans_within(spans[:2], None) == (((1.0, 2.0), (4.0, 12.0)), ())


def test_seconds_that_spans_cover_together() -> None:
    assert covered_s([(2.0, 4.0), (1.0, 3.0), (6.0, 7.0), (6.5, 6.75)]) == 4.0
    assert covered_s([]) == 0.0
