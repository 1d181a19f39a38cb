"""The same indices give the same pixels at the same times, whatever reads the file."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from merit_interp.benchmarks.decoding_process import decoding_process
from merit_interp.benchmarks.reading import Reading, read_video
from merit_interp.benchmarks.sampling import FrameRequest
from merit_interp.benchmarks.video_files import open_decord, open_pyav, packet_table
from merit_interp.errors import VideoError
from tests.videos_on_disk import (
    encoded_video,
    frames_of_levels,
    lively_frames,
    overwritten,
    shared_video,
    write_frames,
)

N_FRAMES = 50
X265 = "log-level=none:keyint=12:bframes=3"
FILES: dict[str, tuple[str, dict[str, str], str]] = {
    "plain.mp4": ("libx264", {"g": "12", "bf": "3"}, "yuv420p"),
    "plain.mkv": ("libx264", {"g": "12", "bf": "3"}, "yuv420p"),
    "full_range.mp4": ("libx264", {"g": "12"}, "yuvj420p"),
    "all_colours.mp4": ("libx264", {"g": "12"}, "yuv444p"),
    "ten_bits.mp4": ("libx264", {"g": "12"}, "yuv420p10le"),
    "open.mp4": ("libx264", {"g": "12", "bf": "3", "x264-params": "open-gop=1"}, "yuv420p"),
    "stream.ts": ("libx264", {"g": "12", "bf": "3"}, "yuv420p"),
    "open_h265.mp4": ("libx265", {"x265-params": f"{X265}:open-gop=1"}, "yuv420p"),
    "closed_h265.mp4": ("libx265", {"x265-params": f"{X265}:open-gop=0"}, "yuv420p"),
    "vp8.webm": ("libvpx", {"g": "12"}, "yuv420p"),
    "vp9.webm": ("libvpx-vp9", {"g": "12"}, "yuv420p"),
    "av1.mkv": ("libsvtav1", {"g": "12"}, "yuv420p"),
    "mpeg4.avi": ("mpeg4", {"g": "12"}, "yuv420p"),
    "reordered.avi": ("libx264", {"g": "12", "bf": "3"}, "yuv420p"),
    "mpeg4_b.mp4": ("mpeg4", {"g": "12", "bf": "2"}, "yuv420p"),
    "pictures.avi": ("mjpeg", {}, "yuvj420p"),
}
READ_BY_PYAV = {
    "ten_bits.mp4", "open.mp4", "stream.ts", "open_h265.mp4", "av1.mkv", "mpeg4_b.mp4",
    "reordered.avi",
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codecs")


@pytest.fixture(params=sorted(FILES))
def file(request: pytest.FixtureRequest, directory: Path) -> Path:
    """One video of each codec, kind of group and container."""
    path = directory / request.param
    if not path.exists():
        codec, options, pix_fmt = FILES[request.param]
        encoded_video(path, lively_frames(N_FRAMES), codec, pix_fmt=pix_fmt, options=options)
    return path


def all_frames(path: Path) -> np.ndarray:
    """Every frame, decoded in a row by PyAV: nothing is sought, so nothing can be missed."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(stream)])


def some_indices(seed: int, n: int = N_FRAMES) -> list[int]:
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(n, int(rng.integers(1, 9)), replace=False).tolist())


def test_frames_and_times_are_the_files(file: Path) -> None:
    whole = all_frames(file)
    assert len(whole) == N_FRAMES
    for request in (FrameRequest(7), FrameRequest(64), FrameRequest(3, start_s=2.0, end_s=4.0)):
        reading = read_video(file, request)
        np.testing.assert_array_equal(reading.frames, whole[list(reading.indices)])
        wanted = np.array(reading.indices) / 10
        np.testing.assert_allclose(reading.spans_s[:, 0], wanted, atol=2e-3)
        np.testing.assert_allclose(reading.spans_s[:, 1], wanted + 0.1, atol=2e-3)
        assert reading.fps == pytest.approx(10.0, rel=1e-3)
        assert (reading.n_source_frames, reading.replaced, reading.problems) == (N_FRAMES, 0, ())
        assert reading.decoder == ("pyav" if file.name in READ_BY_PYAV else "decord")


def test_pyav_gives_any_frames_that_are_asked_for(file: Path) -> None:
    whole = all_frames(file)
    source = open_pyav(file, packet_table(file))
    for seed in range(12):
        indices = some_indices(seed)
        read = source.read(indices)
        np.testing.assert_array_equal(read.frames, whole[indices])
        assert read.replaced == 0


def test_decord_gives_the_same_where_it_is_trusted(file: Path) -> None:
    table = packet_table(file)
    if not table.exact_in_decord or file.name == "av1.mkv":
        pytest.skip("read by PyAV")
    whole = all_frames(file)
    for seed in range(12):
        indices = some_indices(seed)
        np.testing.assert_array_equal(open_decord(file).read(indices).frames, whole[indices])
    np.testing.assert_allclose(open_decord(file).spans_s, table.spans_s, atol=1e-5)


@pytest.mark.parametrize("name", ["h265_video.mp4", "nasa_13013.mp4", "av1_video.mkv"])
def test_real_clips_frame_by_frame(name: str) -> None:
    path = shared_video(name)
    whole = all_frames(path)
    for n_frames in (1, 5, 16):
        reading = read_video(path, FrameRequest(n_frames))
        np.testing.assert_array_equal(reading.frames, whole[list(reading.indices)])
        assert reading.problems == ()


def test_decord_takes_wrong_frames_of_a_real_h265_clip() -> None:
    # why PyAV reads it: fails when a decord comes that does better
    path = shared_video("h265_video.mp4")
    whole = all_frames(path)
    assert not packet_table(path).exact_in_decord
    frames = open_decord(path).read([0, 4]).frames
    np.testing.assert_array_equal(frames, whole[[0, 5]])


def test_frames_of_a_directory_and_an_array_are_those_of_the_file(tmp_path: Path) -> None:
    path = encoded_video(tmp_path / "a.mp4", frames_of_levels(12), "libx264")
    whole = all_frames(path)
    write_frames(tmp_path / "frames", whole)
    np.save(tmp_path / "a.npy", whole)
    np.savez(tmp_path / "a.npz", frames=whole, fps=10.0)
    request = FrameRequest(5, start_s=0.2, end_s=1.1, source_fps=10.0)
    of_file = read_video(path, request)
    for name, decoder in (("frames", "frames"), ("a.npy", "array"), ("a.npz", "array")):
        other = read_video(tmp_path / name, request)
        assert other.indices == of_file.indices
        assert other.decoder == decoder
        np.testing.assert_array_equal(other.frames, of_file.frames)
        np.testing.assert_allclose(other.spans_s, of_file.spans_s, atol=1e-6)
    # it knows its own rate
    assert read_video(tmp_path / "a.npz", FrameRequest(5)).fps == 10.0


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: np.save(path, np.zeros((2, 4, 4, 3))), r"float64 \(2, 4, 4, 3\); valid: "),
        (lambda path: np.save(path, np.zeros((4, 4, 3), np.uint8)), r"uint8 \(4, 4, 3\)"),
        (lambda path: np.save(path, np.zeros((2, 0, 4, 3), np.uint8)), r"uint8 \(2, 0, 4, 3\)"),
        (lambda path: np.save(path, np.array([{}])), "the array cannot be read"),
        (lambda path: path.write_bytes(b"\x93NUMPY" + bytes(99)), "the array cannot be read"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "the array cannot be read"),
        (lambda path: np.save(path, np.zeros((2, 4, 4, 3), np.uint8)), "does not know its rate"),
    ],
    ids=["floats", "one frame", "no pixels", "pickle", "torn npy", "torn npz", "no rate"],
)
def test_an_array_that_is_none_says_so(tmp_path: Path, write, says: str) -> None:
    write(tmp_path / "a.npy")
    with pytest.raises(VideoError, match=says):
        read_video(tmp_path / "a.npy", FrameRequest(2))


@pytest.mark.parametrize("rate", [0.0, -1.0, np.inf, np.nan])
def test_an_archive_with_a_rate_that_cannot_be_says_so(tmp_path: Path, rate: float) -> None:
    np.savez(tmp_path / "a.npz", frames=np.zeros((2, 4, 4, 3), np.uint8), fps=rate)
    with pytest.raises(VideoError, match="does not know its rate; valid: an item with fps"):
        read_video(tmp_path / "a.npz", FrameRequest(2))


def test_an_archive_without_frames_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", pictures=np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(VideoError, match="holds no `frames`"):
        read_video(tmp_path / "a.npz", FrameRequest(2))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_video_is_turned_by_both(tmp_path: Path, turn: int) -> None:
    path = encoded_video(tmp_path / "a.mp4", lively_frames(8), "libx264")
    one, minus = 0x10000, 0xFFFF0000
    first = {90: (0, one, 0, minus, 0), 180: (minus, 0, 0, 0, minus), 270: (0, minus, 0, one, 0)}
    content = bytearray(path.read_bytes())
    # of a version 0 track header: times, ids and duration, then layer, group, volume
    start = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    content[start : start + 36] = struct.pack(">9I", *first[turn], 0, 0, 0, 0x40000000)
    path.write_bytes(content)
    upright = open_decord(path).read([0, 5]).frames
    assert upright.shape == ((2, 96, 130, 3) if turn == 180 else (2, 130, 96, 3))
    np.testing.assert_array_equal(open_pyav(path, packet_table(path)).read([0, 5]).frames, upright)


def test_a_varying_rate_and_a_late_start(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    frames = frames_of_levels(12)
    lengths = [10, 5, 5] * 4
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "4"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 100)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = 200 + sum(lengths[:number]), Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reading = read_video(path, FrameRequest(12))
    # times are from the first frame on
    starts = [sum(lengths[:number]) / 100 for number in range(12)]
    np.testing.assert_allclose(reading.spans_s[:, 0], starts, atol=2e-3)
    decord = open_decord(path)
    np.testing.assert_allclose(decord.spans_s[:, 0], starts, atol=2e-3)
    assert read_video(path, FrameRequest(4, start_s=0.5, end_s=0.7)).indices == (7, 8, 9)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_a_file_overwritten_in_its_middle_is_seen(tmp_path: Path, share: float) -> None:
    whole = encoded_video(tmp_path / "a.mp4", lively_frames(100), "libx264", options={"g": "10"})
    right = all_frames(whole)
    path = overwritten(tmp_path / "b.mp4", whole, share=share)
    # what decoders print is seen in the child alone
    row, frames = decoding_process().ask(path, FrameRequest(100), limit_s=60.0)
    reading = Reading.from_row(row, frames)
    assert reading.decoder == "pyav"
    assert reading.problems
    assert reading.indices == tuple(range(100))
    # what lies before the damage, and behind the next key frame, is as it was
    same = [bool((reading.frames[i] == right[i]).all()) for i in range(100)]
    assert all(same[:30])
    assert all(same[85:])
    assert reading.replaced <= same.count(False)


def test_a_video_that_is_mostly_gone_is_refused(tmp_path: Path) -> None:
    whole = encoded_video(tmp_path / "a.mp4", lively_frames(60), "libx264", options={"g": "10"})
    path = overwritten(tmp_path / "b.mp4", whole, start=0.1, share=0.6)
    with pytest.raises(VideoError, match=r"b\.mp4: too damaged: \d+ of 16 frames were replaced"):
        read_video(path, FrameRequest(16))


def test_a_file_whose_end_is_missing_is_seen(tmp_path: Path) -> None:
    path = encoded_video(tmp_path / "a.avi", lively_frames(60), "mpeg4", options={"g": "12"})
    content = path.read_bytes()
    cut(path, content, 0.5)
    with pytest.raises(VideoError, match=r"frames are there, 60 by the file's header"):
        read_video(path, FrameRequest(16))
    cut(path, content, 0.85)
    reading = read_video(path, FrameRequest(16))
    assert reading.decoder == "pyav"
    (problem, *_) = reading.problems
    assert "frames are there, 60 by the file's header" in problem
    # a part that is all there is as good as ever
    cut(path, content, 0.5)
    assert read_video(path, FrameRequest(4, start_s=0.0, end_s=1.0)).indices == (1, 3, 6, 8)


def cut(path: Path, content: bytes, share: float) -> None:
    path.write_bytes(content[: int(len(content) * share)])


def test_a_clip_of_one_picture_is_worth_a_word(tmp_path: Path) -> None:
    still = np.repeat(frames_of_levels(1), 8, axis=0)
    reading = read_video(write_frames(tmp_path / "a", still), FrameRequest(8, source_fps=4.0))
    assert reading.duplicates == 7
    assert reading.problems == ("all 8 frames are the same picture",)
    # one that is asked for twice is no duplicate
    write_frames(tmp_path / "b", frames_of_levels(3))
    request = FrameRequest(8, sampling="segments", source_fps=4.0)
    assert read_video(tmp_path / "b", request).duplicates == 0


def test_a_longest_side(tmp_path: Path) -> None:
    path = encoded_video(tmp_path / "a.mp4", lively_frames(4), "libx264")
    assert read_video(path, FrameRequest(4, max_side=65)).frames.shape == (4, 48, 65, 3)
    assert read_video(path, FrameRequest(4, max_side=500)).frames.shape == (4, 96, 130, 3)
