from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from merit_interp.benchmarks.decoding import (
    Decoder,
    ItemVideos,
    refuse_failures,
    write_reports,
)
from merit_interp.benchmarks.decoding_process import DecodingProcess
from merit_interp.benchmarks.decoding_settings import DecodingSettings, frame_cache_directory
from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.cli.decoding import decoding_settings
from merit_interp.errors import FailedItemsError, RunError, SettingError, VideoError
from merit_interp.record_files import read_jsonl
from merit_interp.records import DecodeReport
from merit_interp.scoring_settings import Scoring
from tests.videos_on_disk import frames_of_levels, level_of, tiny_video, write_frames


def file_of(folder: Path, **videos: str) -> ItemFile:
    items = [Item(name, video, "q", ("a", "b"), 0, "other") for name, video in videos.items()]
    folder.mkdir(exist_ok=True)
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_video(tmp_path / "set" / "clip.mp4", n_frames=20)
    return tmp_path / "set"


def test_an_item_gives_its_frames_and_its_report(folder: Path) -> None:
    file = file_of(folder, a="clip.mp4", b="clip.mp4", c="gone.mp4")
    videos = ItemVideos(file, Scoring(max_frames=4))
    video = videos.decoded(file.items[0])
    assert [level_of(frame, 20) for frame in video.frames] == [2, 7, 12, 17]
    with pytest.raises(VideoError, match=r"gone\.mp4: No such file"):
        videos.decoded(file.items[2])
    one, same, gone = videos.reports(file.items, "longer")
    assert (one.item, one.item_set, one.requested, one.decoded) == ("a", "longer", 4, 4)
    assert (one.decoder, one.status, one.problems, one.replaced) == ("decord", "ok", (), 0)
    # two items on one clip: it is decoded once
    assert same.item == "b"
    assert same.seconds == one.seconds > 0
    assert (gone.status, gone.decoded, gone.decoder) == ("failed", 0, "")
    assert "No such file" in gone.problems[0]


def test_reports_are_lines_of_the_run(folder: Path, tmp_path: Path) -> None:
    file = file_of(folder, a="clip.mp4", b="gone.mp4")
    videos = ItemVideos(file, Scoring(max_frames=64))
    videos.decoded(file.items[0])
    write_reports(tmp_path, {"longer": (videos, file.items)})
    (row,) = read_jsonl(tmp_path / "decoding.jsonl")
    report = DecodeReport.from_row(row)
    assert (report.status, report.requested, report.decoded) == ("short", 64, 20)


@pytest.mark.parametrize(
    ("n_failed", "n_items", "share"),
    [(1, 3, "0.334"), (29, 100, "0.291"), (2, 3, "0.667"), (3, 3, "1"), (1, 5, "0.2"),
     (1, 100_000, "0.001")],
)  # fmt: skip
def test_the_share_that_is_said_to_be_valid_is(
    folder: Path, n_failed: int, n_items: int, share: str
) -> None:
    file = file_of(folder, a="clip.mp4")
    videos = ItemVideos(file, Scoring())
    items = [file.items[0]] * n_items
    failures = dict.fromkeys(range(n_failed), "no reason")
    with pytest.raises(FailedItemsError, match=rf"or --max-failed {share} or more$"):
        refuse_failures(videos, items, failures, 0.0)
    refuse_failures(videos, items, failures, float(share))


def write_run(file: ItemFile, run: Path) -> None:
    """What each command does when it begins and when it goes on."""
    videos = ItemVideos(file, Scoring(max_frames=4))
    for item in file.items:
        with contextlib.suppress(VideoError):
            videos.decoded(item)
    write_reports(run, {"longer": (videos, file.items)})


def test_a_run_is_not_gone_on_with_on_other_frames(folder: Path, tmp_path: Path) -> None:
    """The items file is the same, so that nothing else tells."""
    tiny_video(folder / "other.mp4", n_frames=24)
    file = file_of(folder, a="clip.mp4", b="other.mp4", c="gone.mp4")
    write_run(file, tmp_path)
    write_run(file, tmp_path)
    before = (folder / "clip.mp4").read_bytes()
    tiny_video(folder / "clip.mp4", n_frames=12)
    lines = (tmp_path / "decoding.jsonl").read_bytes()
    says = r"begun on another clip\.mp4 \(item a\): its frames are not those of then; valid: "
    with pytest.raises(RunError, match=says):
        write_run(file, tmp_path)
    (folder / "clip.mp4").unlink()
    (folder / "other.mp4").unlink()
    says = r"clip\.mp4 \(item a\): it cannot be read now \(.*No such .*\); 1 more changed too"
    with pytest.raises(RunError, match=says):
        write_run(file, tmp_path)
    # what was there is still known, and a file of the same content is the same video
    assert (tmp_path / "decoding.jsonl").read_bytes() == lines
    (folder / "clip.mp4").write_bytes(before)
    tiny_video(folder / "other.mp4", n_frames=24)
    write_run(file, tmp_path)
    # an item that failed in the records cannot be one that did not in those to come
    tiny_video(folder / "gone.mp4", n_frames=12)
    with pytest.raises(RunError, match=r"another gone\.mp4 \(item c\): its frames"):
        write_run(file, tmp_path)


def test_runs_from_before_frames_were_known_are_gone_on_with(folder: Path, tmp_path: Path) -> None:
    file = file_of(folder, a="clip.mp4")
    write_run(file, tmp_path)
    (row,) = read_jsonl(tmp_path / "decoding.jsonl")
    assert row.pop("pixels")
    (tmp_path / "decoding.jsonl").write_text(json.dumps(row) + "\n")
    tiny_video(folder / "clip.mp4", n_frames=12)
    write_run(file, tmp_path)


@pytest.mark.parametrize(
    ("scoring", "levels", "size"),
    [
        (Scoring(max_frames=4), [2, 7, 12, 17], 32),
        (Scoring(max_frames=16, sampling="fps", fps=0.4), [5, 15], 32),
        (Scoring(max_frames=4, sampling="segments"), [2, 7, 12, 16], 32),
        (Scoring(max_frames=2, max_side=16), [5, 15], 16),
    ],
)
def test_scoring_says_which_frames(
    folder: Path, scoring: Scoring, levels: list[int], size: int
) -> None:
    file = file_of(folder, a="clip.mp4")
    videos = ItemVideos(file, scoring)
    video = videos.decoded(file.items[0])
    assert [level_of(frame, 20) for frame in video.frames] == levels
    assert video.frames.shape[1:] == (size, size, 3)
    assert list(video.indices) == levels
    (report,) = videos.reports(file.items)
    assert report.status == "ok"


@pytest.mark.parametrize("video", ["../clip.mp4", "x/../../clip.mp4"])
def test_a_path_that_leaves_the_folder_fails(folder: Path, video: str) -> None:
    tiny_video(folder.parent / "clip.mp4")
    file = file_of(folder, a=video)
    with pytest.raises(VideoError, match="leaves the folder of the items file; valid: a path in"):
        ItemVideos(file, Scoring()).decoded(file.items[0])


def test_links_may_lead_about_the_folder_and_not_out_of_it(folder: Path) -> None:
    tiny_video(folder.parent / "other" / "clip.mp4")
    (folder / "inside.mp4").symlink_to("clip.mp4")
    (folder / "outside.mp4").symlink_to(folder.parent / "other" / "clip.mp4")
    (folder / "videos").symlink_to(folder.parent / "other")
    file = file_of(
        folder, a="inside.mp4", b="outside.mp4", c="videos/clip.mp4",
        d=str(folder.parent / "other" / "clip.mp4"),
    )  # fmt: skip
    videos = ItemVideos(file, Scoring())
    videos.decoded(file.items[0])
    for item in file.items[1:3]:
        with pytest.raises(VideoError, match="is a link out of the items file's folder, to"):
            videos.decoded(item)
    videos.decoded(file.items[3])
    # the items' folder may itself be known by a link
    (folder.parent / "alias").symlink_to(folder)
    aliased = read_items(folder.parent / "alias" / "items.jsonl")
    ItemVideos(aliased, Scoring()).decoded(aliased.items[0])


@pytest.mark.parametrize("cached", [True, False])
def test_a_path_that_is_none_is_one_failed_item(folder: Path, tmp_path: Path, cached: bool) -> None:
    """Links in a circle, and a name that no file can have: neither is a missing file to Python."""
    (folder / "loop.mp4").symlink_to("loop.mp4")
    settings = DecodingSettings(cache=tmp_path / "cache" if cached else None)
    absolute = str(folder / "loop.mp4")
    file = file_of(folder, a="loop.mp4", b="v" * 300 + ".mp4", c=absolute, d="clip.mp4")
    videos = ItemVideos(file, Scoring(max_frames=4), settings)
    reasons = ("Symlink loop", "File name too long", "levels of symbolic links")
    for item, says in zip(file.items[:3], reasons, strict=True):
        with pytest.raises(VideoError, match=says):
            videos.decoded(item)
    videos.decoded(file.items[3])
    statuses = [report.status for report in videos.reports(file.items)]
    assert statuses == ["failed", "failed", "failed", "ok"]


def test_frames_that_were_kept_are_not_decoded_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DecodingSettings(cache=tmp_path / "cache")
    request = FrameRequest(4)
    first = Decoder(settings).read(folder / "clip.mp4", request)
    (folder / "clip.mp4").rename(folder / "moved.mp4")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patched:
        patched.setattr(DecodingProcess, "ask", refuse)
        again = Decoder(settings).read(folder / "moved.mp4", request)
    np.testing.assert_array_equal(again.frames, first.frames)
    np.testing.assert_array_equal(again.spans_s, first.spans_s)
    for name in ("indices", "fps", "n_source_frames", "duration_s", "decoder", "problems"):
        assert getattr(again, name) == getattr(first, name)
    # other frames, and another file of the same name, are other frames
    assert Decoder(settings).read(folder / "moved.mp4", FrameRequest(5)).frames.shape[0] == 5
    tiny_video(folder / "moved.mp4", seed=5)
    other = Decoder(settings).read(folder / "moved.mp4", request)
    assert other.n_source_frames == 8


def test_the_time_limit_holds_for_the_name_of_kept_frames_too(tmp_path: Path) -> None:
    """The whole file is read for it: some minutes of a long video, and for ever of a dead disk."""
    with (tmp_path / "sparse.mp4").open("wb") as file:
        file.truncate(2**40)
    settings = DecodingSettings(time_limit_s=2.0, cache=tmp_path / "cache")
    # a quick look at the file says so, in the half of the time that is left
    with pytest.raises(VideoError, match="it cannot be opened as a video"):
        Decoder(settings).read(tmp_path / "sparse.mp4", FrameRequest(4))
    assert not (tmp_path / "cache").exists()


def test_a_torn_file_in_the_cache_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    settings = DecodingSettings(cache=tmp_path / "cache")
    first = Decoder(settings).decode(folder / "clip.mp4", FrameRequest(4))
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    again = Decoder(settings).decode(folder / "clip.mp4", FrameRequest(4))
    np.testing.assert_array_equal(again.frames, first.frames)
    assert kept.stat().st_size > 100


def test_pictures_are_not_kept(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", frames_of_levels(4))
    settings = DecodingSettings(cache=tmp_path / "cache")
    Decoder(settings).decode(tmp_path / "frames", FrameRequest(4, source_fps=4.0))
    assert not (tmp_path / "cache").exists()


def test_where_frames_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert frame_cache_directory(None) is None  # as for all tests
    assert frame_cache_directory("off") is None
    assert frame_cache_directory(str(tmp_path)) == tmp_path
    monkeypatch.setenv("MERIT_INTERP_CACHE", str(tmp_path))
    assert frame_cache_directory(None) == tmp_path / "frames"
    monkeypatch.delenv("MERIT_INTERP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert frame_cache_directory(None) == tmp_path / "home" / "merit-interp" / "frames"


def test_a_frame_cache_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for named in ("", str(tmp_path / "file")):
        with pytest.raises(SettingError, match="is no directory; valid: a directory, or off"):
            frame_cache_directory(named)


@pytest.mark.parametrize("limit_s", [0.0, -1.0, 3e6, float("inf"), float("nan")])
def test_a_time_limit_that_no_clock_can_keep_is_refused(limit_s: float) -> None:
    says = rf"a time limit of {limit_s:g} s for a video; valid: more than 0, at most 86400"
    with pytest.raises(SettingError, match=re.escape(says)):
        DecodingSettings(time_limit_s=limit_s)


def test_the_limit_of_the_cache_is_the_users(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decoding_settings(60.0, str(tmp_path / "cache")).cache_gib == 4.0
    # 4 frames of 32 x 32 are 12 KiB: there is room for those of one video
    monkeypatch.setenv("MERIT_INTERP_CACHE_GIB", str(20 / 2**20))
    settings = decoding_settings(60.0, str(tmp_path / "cache"))
    for seed in (1, 2):
        tiny_video(folder / "clip.mp4", seed=seed)
        Decoder(settings).decode(folder / "clip.mp4", FrameRequest(4))
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("much", "MERIT_INTERP_CACHE_GIB is 'much'; valid: a number of GiB"),
        ("0", "a frame cache of 0 GiB; valid: more than 0"),
        ("-1", "a frame cache of -1 GiB; valid: more than 0"),
        ("nan", "a frame cache of nan GiB; valid: more than 0"),
        ("inf", "a frame cache of inf GiB; valid: more than 0"),
    ],
)
def test_a_limit_of_the_cache_that_is_none_is_refused(
    given: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERIT_INTERP_CACHE_GIB", given)
    with pytest.raises(SettingError, match=re.escape(says)):
        decoding_settings(60.0, None)
