from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.benchmarks.annotation_files import RowError
from merit_interp.benchmarks.video_folder import VideoFolder
from merit_interp.errors import ItemError


@pytest.fixture
def folder(tmp_path: Path) -> VideoFolder:
    root = tmp_path / "videos"
    for name in ("a.mp4", "sub/b.webm", "2I9-kv_510.0_660.0.mp4", "c.mkv", "c.mp4"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "frames").mkdir()
    (tmp_path / "secret.mp4").touch()
    return VideoFolder(root)


def test_names_are_found_with_and_without_suffix(folder: VideoFolder) -> None:
    assert folder.find("a.mp4") == folder.path / "a.mp4"
    assert folder.find("sub/b") == folder.path / "sub/b.webm"
    assert folder.find("2I9-kv_510.0_660.0").name == "2I9-kv_510.0_660.0.mp4"
    assert folder.find("c").suffix == ".mp4"
    assert VideoFolder(folder.path, (".mkv", ".mp4")).find("c").suffix == ".mkv"
    assert folder.find("x/a", "a") == folder.path / "a.mp4"
    assert folder.find("sub/../a") == folder.path / "a.mp4"


def test_a_copy_in_another_container_is_found_where_none_is_as_named(folder: VideoFolder) -> None:
    assert folder.find("sub/b.mp4") == folder.path / "sub/b.webm"
    assert folder.find("a.webm") == folder.path / "a.mp4"
    # a video as it is named comes first, wherever it lies
    (folder.path / "sub/a.mkv").touch()
    assert folder.find("sub/a.mp4", "a.mp4") == folder.path / "a.mp4"
    assert folder.find("sub/a.mp4", "gone.mp4") == folder.path / "sub/a.mkv"
    with pytest.raises(RowError, match=r"no video: gone\.mp4"):
        folder.find("gone.mp4")


def test_a_directory_is_a_video_only_where_it_may_be(folder: VideoFolder) -> None:
    assert folder.find("frames", directory=True) == folder.path / "frames"
    with pytest.raises(RowError, match="no video: frames"):
        folder.find("frames")


@pytest.mark.parametrize("name", ["gone", "a", "x" * 5000, "nul\0byte"])
def test_a_missing_video_is_named_as_the_record_names_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(RowError, match=r"no video: "):
        VideoFolder(tmp_path).find(name, "other")


@pytest.mark.parametrize("name", ["../secret.mp4", "sub/../../secret", "/etc/passwd", ".", "/"])
def test_a_name_that_leaves_the_folder_is_refused(folder: VideoFolder, name: str) -> None:
    with pytest.raises(RowError, match="video leaves the folder: "):
        folder.find(name, directory=True)


def test_a_link_may_stay_in_the_folder_and_leave_it_only_if_asked(folder: VideoFolder) -> None:
    (folder.path / "in.mp4").symlink_to(folder.path / "a.mp4")
    (folder.path / "out.mp4").symlink_to(folder.path.parent / "secret.mp4")
    (folder.path / "up").symlink_to(folder.path.parent)
    assert folder.find("in") == folder.path / "in.mp4"
    for name in ("out", "up/secret.mp4"):
        with pytest.raises(RowError, match="video is a link out of the folder: "):
            folder.find(name)
        followed = VideoFolder(folder.path, follow_links=True).find(name)
        assert followed == folder.path.parent / "secret.mp4"


def test_the_folder_itself_may_be_a_link(folder: VideoFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.path)
    assert VideoFolder(tmp_path / "link").find("a") == folder.path / "a.mp4"


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="there is no video folder"):
        VideoFolder(tmp_path / "gone")
