"""Finding a benchmark's videos in the folder where a user has them.

    folder = VideoFolder(Path("videos"), suffixes=(".mp4", ".mkv"))
    folder.find("fFjv93ACGo8")  # Path("/.../videos/fFjv93ACGo8.mp4")

Annotation files come from others: a name that leads out of the folder is refused. This file must
not open a video.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from merit_interp.benchmarks.annotation_files import RowError
from merit_interp.errors import ItemError

VIDEO_SUFFIXES = (".mp4", ".MP4", ".mkv", ".webm", ".avi")


@dataclass(frozen=True)
class VideoFolder:
    """A folder of videos, and what may be in it."""

    path: Path
    suffixes: tuple[str, ...] = VIDEO_SUFFIXES
    """Tried in this order where a record names a video without its suffix."""
    follow_links: bool = False
    """Symbolic links may lead out of the folder."""

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise ItemError(f"there is no video folder {self.path}", valid="--videos DIR")

    @cached_property
    def root(self) -> str:
        """The folder without symbolic links."""
        return os.path.realpath(self.path)

    def _holds(self, path: str) -> bool:
        return path.startswith(self.root.rstrip(os.sep) + os.sep)

    def find(self, *names: str, directory: bool = False) -> Path:
        """The absolute path of a video.

        Args:
            names: Paths relative to the folder, with or without suffix; the first that is there.
                Where none is, the first that is there with another suffix than its own: copies are
                often in another container than was published.
            directory: The video may be a directory of frames.

        Raises:
            RowError: None is there, or one leads out of the folder.
        """
        for candidates in (self._as_named, self._with_another_suffix):
            for name in names:
                self._check_name(name)
                for path in candidates(name):
                    if os.path.isfile(path) or (directory and os.path.isdir(path)):  # noqa: PTH112, PTH113
                        return Path(self._within(path, name))
        raise RowError(f"no video: {names[0]}")

    def _check_name(self, name: str) -> None:
        if not self._holds(self._path(name)):
            raise RowError(f"video leaves the folder: {name}")

    def _as_named(self, name: str) -> list[str]:
        path = self._path(name)
        # the part behind a name's last dot is no suffix in "2I9-kvemtSU_510.0_660.0"
        others = () if path.endswith((*VIDEO_SUFFIXES, *self.suffixes)) else self.suffixes
        return [path, *(path + end for end in others)]

    def _with_another_suffix(self, name: str) -> list[str]:
        path = self._path(name)
        own = next((end for end in VIDEO_SUFFIXES if path.endswith(end)), None)
        if own is None:
            return []
        return [path.removesuffix(own) + end for end in VIDEO_SUFFIXES if end != own]

    def _path(self, name: str) -> str:
        return os.path.normpath(os.path.join(self.root, name))  # noqa: PTH118  (text: it is quick)

    def _within(self, path: str, name: str) -> str:
        target = os.path.realpath(path)
        if self._holds(target):
            return path
        if not self.follow_links:
            raise RowError(f"video is a link out of the folder: {name}")
        return target
