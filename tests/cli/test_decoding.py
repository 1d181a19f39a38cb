"""How videos are decoded, as a user asks for it and as it is told."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import read_items, write_items
from merit_interp.recipe import read_recipe
from merit_interp.scoring_settings import Scoring
from tests.cli.conftest import Command
from tests.search.conftest import World


def searching(world: World, out: Path, *words: object) -> list[object]:
    return [
        "search", "--vlm", world.vlm, "--backbone", world.backbone, "--items", world.items,
        "--out", out, "--sampler", "random", "--budget", 2, "--top", 1, *words,
    ]  # fmt: skip


def test_a_recipe_keeps_how_frames_are_taken(
    world: World, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "run"
    words = ["--max-frames", 4, "--fps", 2, "--max-side", 16, "--frame-cache", tmp_path / "cache"]
    ended = command(*searching(world, out, *words))
    assert ended.code == 0, ended.err
    found = read_recipe(out / "recipe.json")
    assert found.items is not None
    assert found.items.scoring == Scoring(max_frames=4, sampling="fps", fps=2.0, max_side=16)
    rows = [json.loads(line) for line in (out / "decoding.jsonl").read_text().splitlines()]
    n_clips = len({item.video for item in read_items(world.items).items})
    assert len(rows) == len(read_items(world.items).items)
    assert {row["item_set"] for row in rows} == {"search", "validation"}
    assert {row["status"] for row in rows} == {"ok"}
    assert len(list((tmp_path / "cache").iterdir())) == n_clips
    # what every video was, without a fault, is not worth a line
    assert "items' videos" not in ended.err


def test_a_refused_run_says_what_became_of_every_item(
    world: World, tmp_path: Path, command: Command
) -> None:
    file = read_items(world.items)
    absolute = [dataclasses.replace(i, video=str(file.video_path(i))) for i in file.items]
    broken = [dataclasses.replace(i, video=f"no{n}.mp4") for n, i in enumerate(absolute[:5])]
    items, out = tmp_path / "items.jsonl", tmp_path / "run"
    write_items(items, [*broken, *absolute[5:]])
    words = searching(dataclasses.replace(world, items=items), out, "--validation-share", 0.5)
    ended = command(*words)
    assert ended.code == 2
    assert f"{out / 'decoding.jsonl'} has all of them; valid: " in ended.error_line
    rows = [json.loads(line) for line in (out / "decoding.jsonl").read_text().splitlines()]
    failed = {row["item"]: row["problems"] for row in rows if row["status"] == "failed"}
    assert len(failed) > 0
    assert all("No such file" in problems[0] for problems in failed.values())
    assert f"{len(failed)} of {len(rows)} items cannot be scored: " in ended.error_line
    # what a refused run leaves is no run that the next one must not touch
    write_items(items, absolute)
    ended = command(*words)
    assert ended.code == 0, ended.err


def test_a_search_is_not_gone_on_with_on_a_replaced_video(
    world: World, tmp_path: Path, command: Command
) -> None:
    file, out = read_items(world.items), tmp_path / "run"
    for item in file.items:
        shutil.copy(file.video_path(item), tmp_path)
    items = tmp_path / "items.jsonl"
    shutil.copy(world.items, items)
    words = searching(dataclasses.replace(world, items=items), out)
    assert command(*words).code == 0
    (out / "finished.json").unlink()
    names = sorted({item.video for item in file.items})
    first = (tmp_path / names[0]).read_bytes()
    shutil.copy(tmp_path / names[1], tmp_path / names[0])
    ended = command(*words, "--resume")
    assert ended.code == 2
    assert f"{out} was begun on another {names[0]} (item " in ended.error_line
    assert "valid: --resume with the videos as they were" in ended.error_line
    (tmp_path / names[0]).write_bytes(first)
    ended = command(*words, "--resume")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("below", ["", "frames"])
def test_a_frame_cache_that_cannot_be_made_is_refused_where_it_is_named(
    world: World, tmp_path: Path, command: Command, below: str
) -> None:
    (tmp_path / "file").write_text("")
    ended = command("items", "check", world.items, "--frame-cache", tmp_path / "file" / below)
    assert ended.code == 2
    assert f"{tmp_path / 'file'}" in ended.error_line
    assert "or off" in ended.error_line
    ended = command("items", "check", world.items, "--frame-cache", "/proc/no/such")
    assert ended.code == 2
    assert "frames cannot be kept in /proc/no/such: " in ended.error_line


def test_a_default_frame_cache_that_cannot_be_made_is_said_once(
    world: World, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MERIT_INTERP_CACHE", str(tmp_path / "file"))
    ended = command("items", "check", world.items)
    assert ended.code == 0, ended.err
    assert ended.err.splitlines() == [
        f"decoded frames are not kept, {tmp_path / 'file' / 'frames'}: Not a directory; "
        "--frame-cache names another directory"
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sampling", "fps"], "sampling fps without a rate; valid: fps above 0 with it"),
        (["--sampling", "segments", "--fps", 1], "a rate with sampling segments; valid: sampling"),
        (["--sampling", "random"], "sampling 'random'; valid: uniform, segments or fps"),
        (["--fps", -1], "fps is -1.0; valid: greater than 0"),
        (["--video-time-limit", 0], "a time limit of 0 s for a video; valid: more than 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    world: World, tmp_path: Path, command: Command, words: list[object], says: str
) -> None:
    ended = command(*searching(world, tmp_path / "run", *words))
    assert ended.code == 2
    assert says in ended.error_line
    assert not (tmp_path / "run").exists()


def test_a_failed_video_has_a_line_and_is_counted(
    world: World, tmp_path: Path, command: Command
) -> None:
    file = read_items(world.items)
    lost = dataclasses.replace(file.items[0], id="gone", video="gone.mp4", group="gone")
    gone = Path(world.items).with_name("gone.jsonl")
    write_items(gone, [*file.items, lost])
    words = searching(world, tmp_path / "run", "--max-failed", 0.5)
    words[words.index("--items") + 1] = gone
    ended = command(*words)
    assert ended.code == 0, ended.err
    lines = ended.err.splitlines()
    assert any(line.startswith("failed gone: ") and "No such file" in line for line in lines)
    counted = f"of {len(file.items) + 1} items' videos 1 could not be decoded"
    assert any(line.startswith(counted) for line in lines)
