"""Videos for families whose processors know images only: the frames in order, each with its time.

    processor = Gemma3Frames.from_pretrained(directory)
    processor(text=[prompt], videos=[frames], video_metadata=[metadata], return_tensors="pt")

Gemma 3 has no video token and its processor no video route. Its makers' and Hugging Face's own
demonstrations put a video into a chat as text and image in turn, `Frame 1.5:` and then the frame
(seconds, at most two decimals); so it is asked here, because questions about time need the times.
This file must not know how frames were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from transformers import BatchFeature, Gemma3Processor
from transformers.video_utils import VideoMetadata

from merit_interp.tensor_shapes import Frames


class Gemma3Frames(Gemma3Processor):
    """Gemma 3's processor for one video in place of the one image of a prompt."""

    def __call__(
        self,
        *,
        text: Sequence[str],
        videos: Sequence[Frames],
        video_metadata: Sequence[VideoMetadata],
        do_sample_frames: bool = False,
        **settings: Any,
    ) -> BatchFeature:
        """Tokens, token types and pixels (frames, 3, height, width) of one prompt on one video.

        Args:
            text: The prompt, with one placeholder of an image.
            videos: Its frames.
            video_metadata: Says the time of each frame.
            do_sample_frames: As other processors have it; nothing is ever sampled here.
            settings: As the class itself has them.
        """
        ((prompt,), (frames,), (metadata,)) = text, videos, video_metadata
        stamps = [f"Frame {round(time, 2)}:" for time in metadata.timestamps]
        framed = "".join(f"{stamp}{self.boi_token}" for stamp in stamps)
        features: BatchFeature = super().__call__(
            images=[[Image.fromarray(frame) for frame in frames]],
            text=[prompt.replace(self.boi_token, framed)],
            do_pan_and_scan=False,  # crops would be further images of a frame
            **{**settings, "return_text_replacement_offsets": True},
        )
        (images,) = features["text_replacement_offsets"]
        shown = [stamp + image["replacement"] for stamp, image in zip(stamps, images, strict=True)]
        features["text_replacement_offsets"] = [[{"replacement": "".join(shown)}]]
        return features
