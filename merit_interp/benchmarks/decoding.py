"""The videos of items, decoded: every stage that looks at pixels gets them here.

    videos = ItemVideos(item_file, Scoring(max_frames=16), DecodingSettings())
    video = videos.decoded(item)

This file must not know models or what is done with the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from merit_interp.benchmarks.items import Item, ItemFile
from merit_interp.benchmarks.videos import Video, decode_video
from merit_interp.recipe import Scoring


@dataclass(frozen=True)
class DecodingSettings:
    """How videos are decoded; none of it changes a frame."""

    time_limit_s: float = 60.0
    """Seconds that one video may take."""


class ItemVideos:
    """Decodes the videos of one items file.

    Args:
        item_file: Where the items are from; their videos lie beside it.
        scoring: How many frames are taken.
        settings: How they are decoded.
    """

    def __init__(
        self,
        item_file: ItemFile,
        scoring: Scoring,
        settings: DecodingSettings | None = None,
    ) -> None:
        self.item_file = item_file
        self.scoring = scoring
        self.settings = settings or DecodingSettings()

    def decoded(self, item: Item) -> Video:
        """The frames of an item's video.

        Raises:
            VideoError: It cannot be decoded.
        """
        return decode_video(
            self.item_file.video_path(item),
            max_frames=self.scoring.max_frames,
            start_s=item.start_s,
            end_s=item.end_s,
            fps=item.fps,
        )
