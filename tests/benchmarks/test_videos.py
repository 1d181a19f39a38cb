from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from merit_interp.benchmarks.reading import read_video
from merit_interp.benchmarks.sampling import FrameRequest, midpoints
from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import VideoError
from tests.videos_on_disk import (
    frames_of_levels,
    level_of,
    shared_video,
    tiny_video,
    write_frames,
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames at 4 per second: 5 seconds."""
    return tiny_video(tmp_path_factory.mktemp("videos") / "clip.mp4", n_frames=20, fps=4)


def test_a_short_video_gives_all_its_frames(clip: Path) -> None:
    video = decode_video(clip, max_frames=32)
    assert video.frames.shape == (20, 32, 32, 3)
    assert video.indices == tuple(range(20))
    assert [level_of(frame, 20) for frame in video.frames] == list(range(20))
    np.testing.assert_allclose(video.times_s, 0.125 + 0.25 * np.arange(20), atol=1e-3)
    assert video.fps == pytest.approx(4.0)
    assert video.n_source_frames == 20
    assert video.duration_s == pytest.approx(5.0, abs=1e-3)
    assert video.backend == "decord"


def test_a_long_video_gives_the_midpoints_of_equal_segments(clip: Path) -> None:
    video = decode_video(clip, max_frames=4)
    assert video.indices == (2, 7, 12, 17)
    assert [level_of(frame, 20) for frame in video.frames] == [2, 7, 12, 17]
    assert video.spans_s[0] == pytest.approx((0.5, 0.75), abs=1e-3)


def test_a_bound_keeps_the_frames_inside(clip: Path) -> None:
    video = decode_video(clip, max_frames=8, start_s=1.0, end_s=2.0)
    assert video.indices == (4, 5, 6, 7)
    assert decode_video(clip, max_frames=8, start_s=4.5).indices == (18, 19)
    assert decode_video(clip, max_frames=8, end_s=0.5).indices == (0, 1)


def test_a_bound_shorter_than_a_frame_gives_the_nearest(clip: Path) -> None:
    assert decode_video(clip, max_frames=8, start_s=2.3, end_s=2.35).indices == (9,)


def test_a_bound_outside_the_video_is_an_error(clip: Path) -> None:
    with pytest.raises(VideoError, match=r"nothing between 6 s and 7 s; valid: 0 to 5 s"):
        decode_video(clip, max_frames=8, start_s=6.0, end_s=7.0)


@given(st.integers(1, 300), st.integers(1, 64))
def test_frames_are_taken_in_order_and_never_twice(n_source: int, max_frames: int) -> None:
    indices = midpoints(range(n_source), max_frames)
    assert len(indices) == min(n_source, max_frames)
    assert indices == sorted(set(indices))
    assert indices[0] >= 0
    assert indices[-1] < n_source


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: path.write_text("<html>404 – nicht gefunden"), r"the file is text \('<html>"),
        (lambda path: path.write_text("version https://git-lfs\n" * 99), "the file is text"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "it cannot be opened as a video"),
        (lambda path: path.mkdir(), "the directory holds no frames"),
    ],
    ids=["missing", "empty", "text", "long text", "bytes", "empty directory"],
)
def test_each_kind_of_bad_file_has_its_own_reason(tmp_path: Path, make, reason: str) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(VideoError, match=reason):
        decode_video(path, max_frames=4)


def test_a_truncated_video_is_an_error_with_a_stable_reason(clip: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(clip.read_bytes()[:600])
    reasons = set()
    for _ in range(2):
        with pytest.raises(VideoError) as caught:
            decode_video(torn, max_frames=4)
        reasons.add(str(caught.value))
    assert len(reasons) == 1


def test_a_codec_that_decord_lacks_is_read_by_pyav() -> None:
    video = decode_video(shared_video("av1_video.mkv"), max_frames=4)
    assert video.backend == "pyav"
    assert video.frames.shape == (4, 360, 640, 3)
    assert video.n_source_frames == 125


def test_real_clips() -> None:
    video = decode_video(shared_video("nasa_13013.mp4"), max_frames=8)
    assert video.frames.shape == (8, 270, 480, 3)
    assert video.n_source_frames == 390
    assert video.duration_s == pytest.approx(13.013, abs=1e-3)
    assert video.times_s[0] == pytest.approx((video.indices[0] + 0.5) / video.fps, abs=1e-3)
    video = decode_video(shared_video("h265_video.mp4"), max_frames=16)
    assert video.indices == tuple(range(10))


def test_a_directory_of_frames(tmp_path: Path) -> None:
    frames = frames_of_levels(12)
    directory = write_frames(tmp_path / "frames", frames)
    video = decode_video(directory, max_frames=16, fps=3.0)
    # 10.png comes after 9.png, not after 1.png
    np.testing.assert_array_equal(video.frames, frames)
    assert video.backend == "frames"
    assert video.duration_s == pytest.approx(4.0)
    assert decode_video(directory, max_frames=16, fps=3.0, start_s=1.0, end_s=2.0).indices == (
        3,
        4,
        5,
    )


def test_hidden_files_are_no_frames(tmp_path: Path) -> None:
    """macOS puts ._1.png beside 1.png in its archives."""
    directory = write_frames(tmp_path / "frames", frames_of_levels(3))
    for number in (1, 2, 3):
        (directory / f"._{number}.png").write_bytes(b"\0\5\x16\7")
    assert decode_video(directory, max_frames=8, fps=3.0).n_source_frames == 3


@pytest.mark.parametrize("names", ["{:05d}", "shot2_{}", "{}0"])
def test_a_gap_in_the_numbers_is_not_closed(tmp_path: Path, names: str) -> None:
    """A copy that lost some: the others keep their times, and the loss is counted."""
    directory = write_frames(tmp_path / "frames", frames_of_levels(40))
    for number in range(1, 41):
        (directory / f"{number}.png").rename(directory / f"x{names.format(number)}.png")
    for number in range(13, 17):
        (directory / f"x{names.format(number)}.png").unlink()
    whole = read_video(directory, FrameRequest(10, source_fps=4.0))
    assert [level_of(frame, 40) for frame in whole.frames] == [2, 6, 10, 16, 18, 22, 26, 30, 34, 38]
    assert whole.indices == (2, 6, 10, 14, 18, 22, 26, 30, 34, 38)
    assert whole.n_source_frames == 40
    assert whole.replaced == 1
    missing = "4 of 40 frames are missing by their numbers"
    assert whole.problems == ("1 of 10 frames were replaced", missing)
    behind = read_video(directory, FrameRequest(10, start_s=8.0, end_s=10.0, source_fps=4.0))
    assert [level_of(frame, 40) for frame in behind.frames] == list(range(32, 40))
    assert behind.problems == (missing,)
    with pytest.raises(VideoError, match=rf"too damaged: 4 of 8 frames were replaced; {missing}"):
        read_video(directory, FrameRequest(8, start_s=2.5, end_s=4.5, source_fps=4.0))


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (["7", "8", "9"], ()),
        (["a1", "b7", "b8"], ()),
        (["0", "333", "667", "1000"], ()),
        (["1", "01", "2"], ()),
        (["first", "second"], ()),
        (["9"], ()),
        (["1", "2", "9000000000"],
         ("the numbers of its 3 frames leave out 8999999997; they are timed by their order",)),
    ],
)  # fmt: skip
def test_numbers_that_do_not_count_frames_are_only_an_order(
    tmp_path: Path, names: list[str], problems: tuple[str, ...]
) -> None:
    for name in names:
        Image.new("RGB", (8, 8), (len(name), 0, 0)).save(tmp_path / f"{name}.png")
    reading = read_video(tmp_path, FrameRequest(len(names), source_fps=2.0))
    assert reading.indices == tuple(range(len(names)))
    assert reading.duration_s == len(names) / 2
    assert [line for line in reading.problems if "picture" not in line] == list(problems)


def test_a_frame_of_16_bits_is_refused_and_not_made_white(tmp_path: Path) -> None:
    directory = write_frames(tmp_path / "frames", frames_of_levels(2))
    Image.fromarray(np.full((32, 32), 9000, np.uint16)).save(directory / "2.png")
    with pytest.raises(VideoError, match=r"2\.png: a frame of mode I;16; valid: 8 bits a channel"):
        decode_video(directory, max_frames=4, fps=1.0)


def test_a_directory_of_frames_needs_a_rate(tmp_path: Path) -> None:
    directory = write_frames(tmp_path / "frames", frames_of_levels(2))
    with pytest.raises(VideoError, match="does not know its rate; valid: an item with fps"):
        decode_video(directory, max_frames=4)


def test_a_bad_frame_is_named(tmp_path: Path) -> None:
    directory = write_frames(tmp_path / "frames", frames_of_levels(3))
    (directory / "2.png").write_bytes(b"no picture")
    with pytest.raises(VideoError, match=r"2\.png: the frame cannot be read"):
        decode_video(directory, max_frames=4, fps=1.0)
    Image.new("RGB", (8, 8)).save(directory / "2.png")
    with pytest.raises(VideoError, match="2 sizes"):
        decode_video(directory, max_frames=4, fps=1.0)


def test_importing_the_module_does_not_load_decord() -> None:
    code = "import sys, merit_interp.benchmarks.videos; sys.exit('decord' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
