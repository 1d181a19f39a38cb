"""LLaVA-NeXT-Video, Video-LLaVA, InternVL, VideoLLaMA3: crops, frames in words, dropped tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen3Config
from transformers.video_utils import VideoMetadata

from merit_interp.attribution.video_items import VideoItems, VideoSettings
from merit_interp.benchmarks.items import Item, ItemFile, read_items, write_items
from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import VLM_FAMILIES
from merit_interp.models.loading import load_vlm
from merit_interp.models.pairing import pair
from merit_interp.models.processors import Clip, SeenVideo, VideoProcessor, video_processor_for
from merit_interp.models.tokenizers import token_ids
from merit_interp.recipe import Scoring
from merit_interp.scoring.encoding import EncodedItem, encode_item
from merit_interp.scoring.evaluation import Evaluation
from tests.families.conftest import TinyFamily
from tests.tiny_families import llava, tiny_family_pair
from tests.tiny_families.llava import IMAGE_SIZE, PATCH_SIZE, internvl_pair
from tests.videos_on_disk import frames_of_levels, write_video

NAMES = tuple(llava.BUILDERS)
CROPPED = ("llava_next_video", "video_llava")
LETTER = Scoring(answers="letter", max_frames=8)
# `frames_of_levels` moves a square about; here only the lower half of a frame ever changes
STILL = (0, 0, 1, 1, 1, 2)
"""Picture that each frame of a clip shows in its lower half."""


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyFamily]:
    found = {}
    for name in NAMES:
        pair = tiny_family_pair(name, tmp_path_factory.mktemp(name))
        vlm = load_vlm(pair.vlm)
        found[name] = TinyFamily(pair, vlm, video_processor_for(vlm.directory, vlm.family))
    return found


def still_frames() -> np.ndarray:
    """32 x 32: the upper half is the same in all, the lower changes where the picture does."""
    frames = np.full((len(STILL), 32, 32, 3), 90, dtype=np.uint8)
    for frame, picture in zip(frames, STILL, strict=True):
        frame[16:] = 40 + 60 * picture
    return frames


def clip_at(indices: tuple[int, ...], fps: float = 4.0, n_frames: int = 40) -> Clip:
    return Clip(indices, fps, n_frames, n_frames / fps)


def text_of(processor: VideoProcessor, seen: SeenVideo) -> str:
    """The prompt on a video, with every visual token."""
    (ids,) = token_ids(processor.tokenizer, [processor.prompt("Why?", seen)])
    return str(processor.tokenizer.decode(processor.expanded(ids, seen)[0]))


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_is_what_transformers_own_processor_makes(
    families: dict[str, TinyFamily], name: str
) -> None:
    processor = families[name].processor
    frames, clip = frames_of_levels(5, size=64)[:, :48], clip_at((0, 8, 16, 24, 32))
    seen = processor.see(frames, clip)
    question = "Which colour is it?\nA. red\nB. blue"
    (ids,) = token_ids(processor.tokenizer, [processor.prompt(question, seen)])
    ids, token_inputs = processor.expanded(ids, seen)
    conversation: Any = [
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": question}]}
    ]
    text = processor.processor.apply_chat_template(
        conversation, tokenize=False, add_generation_prompt=True
    )
    own = processor.processor(
        text=[text],
        videos=[frames],
        video_metadata=[VideoMetadata(40, fps=4.0, frames_indices=list(clip.indices))],
        do_sample_frames=False,
        return_tensors="pt",
    )
    assert ids == own["input_ids"][0].tolist()
    assert token_inputs == {}
    assert set(seen.inputs) == set(VLM_FAMILIES[name].video_inputs)
    for key, value in seen.inputs.items():
        assert torch.equal(value, own[key])


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("llava_next_video", "<video>" * 4 * 3),
        ("video_llava", "<video>" * 17 * 3),
        (
            "internvl",
            "\n".join(f"Frame{i}: <img>{'<IMG_CONTEXT>' * 4}</img>" for i in (1, 2, 3)),
        ),
        # at half of two frames a second: 3, 9 and 30 are 1.5, 4.5 and 15 seconds
        (
            "video_llama_3",
            ",".join(f"Time {second}s:{'<|video_pad|>' * 4}" for second in (1.5, 4.5, "15.0")),
        ),
    ],
)
def test_a_video_is_written_as_its_family_writes_it(
    families: dict[str, TinyFamily], name: str, written: str
) -> None:
    processor = families[name].processor
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    seen = processor.see(frames, clip_at((3, 9, 30), fps=2.0))
    assert written in text_of(processor, seen)


@pytest.mark.parametrize("name", CROPPED)
@pytest.mark.parametrize("shape", [(48, 90), (90, 48), (40, 40)])
def test_frames_are_cut_to_their_middle(
    families: dict[str, TinyFamily], name: str, shape: tuple[int, int]
) -> None:
    processor = families[name].processor
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    seen = processor.see(frame[None], clip_at((0,)))
    # the shorter side becomes 32, the longer is rounded down
    long = int(IMAGE_SIZE * max(shape) / min(shape))
    height, width = (long, IMAGE_SIZE) if shape[0] > shape[1] else (IMAGE_SIZE, long)
    resized = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
    top, left = (height - IMAGE_SIZE) // 2, (width - IMAGE_SIZE) // 2
    cut = resized[top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
    own: Any = processor.processor
    mean, std = (np.array(getattr(own.video_processor, f"image_{k}")) for k in ("mean", "std"))
    pixels = seen.inputs["pixel_values_videos"][0, 0].permute(1, 2, 0).numpy()
    # resized one side after the other, each rounded: two levels at most
    np.testing.assert_allclose(pixels, (cut / 255 - mean) / std, atol=2.01 / 255 / std.min())


def edited(family: TinyFamily, to: Path, file: str, **changes: Any) -> Path:
    """A copy of the VLM with other settings in one of its files; None drops one."""
    copy = shutil.copytree(family.pair.vlm, to)
    content = {**json.loads((copy / file).read_text()), **changes}
    content = {name: value for name, value in content.items() if value is not None}
    (copy / file).write_text(json.dumps(content))
    return copy


def test_a_crop_larger_than_the_frames_is_refused(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    family = families["video_llava"]
    if family.processor.route != "torch":
        pytest.skip("torchvision is here, and pads")
    copy = edited(
        family, tmp_path / "vlm", "preprocessor_config.json", crop_size={"height": 40, "width": 40}
    )
    processor = video_processor_for(copy, family.vlm.family)
    with pytest.raises(CheckpointError, match="cuts 40 x 40 out of frames of 32 x 42"):
        processor.see(frames_of_levels(2, size=64)[:, :48], clip_at((0, 1)))


def test_without_a_crop_frames_stay_whole(families: dict[str, TinyFamily], tmp_path: Path) -> None:
    family = families["llava_next_video"]
    file = "video_preprocessor_config.json"
    copy = edited(family, tmp_path / "vlm", file, do_center_crop=False)
    processor = video_processor_for(copy, family.vlm.family)
    seen = processor.see(frames_of_levels(2, size=64)[:, :48], clip_at((0, 1)))
    assert seen.inputs["pixel_values_videos"].shape == (1, 2, 3, 32, 42)
    # 4 x 5 patches, of which four share a token
    assert seen.runs == (10,)


def test_a_processor_that_does_not_know_its_patches_is_refused(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    """As files of an older revision; transformers would fail on the first video."""
    family = families["llava_next_video"]
    copy = edited(family, tmp_path / "vlm", "processor_config.json", patch_size=None)
    with pytest.raises(CheckpointError, match=r"processor_config.json has no patch_size"):
        video_processor_for(copy, family.vlm.family)


def test_a_tokenizer_without_the_families_tokens_is_refused(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    """As that of the text model, copied beside the VLM."""
    family = families["internvl"]
    copy = edited(family, tmp_path / "vlm", "tokenizer_config.json", end_image_token=None)
    with pytest.raises(CheckpointError, match=r"no processor that loads: .* end_image_token"):
        video_processor_for(copy, family.vlm.family)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        # all frames together have at most 8 x 32 x 32 pixels, and rows and columns of 16
        ((8, 64, 64), (8, 4, 4)),
        ((4, 48, 64), (4, 4, 6)),
        ((16, 48, 64), (16, 2, 2)),
        ((5, 16, 16), (5, 2, 2)),
    ],
)
def test_frames_share_one_limit_on_pixels(
    families: dict[str, TinyFamily], shape: tuple[int, int, int], grid: tuple[int, int, int]
) -> None:
    processor = families["video_llama_3"].processor
    frames = frames_of_levels(shape[0], size=64)[:, : shape[1], : shape[2]]
    seen = processor.see(frames, clip_at(tuple(range(shape[0]))))
    assert seen.inputs["video_grid_thw"].tolist() == [list(grid)]
    assert seen.inputs["video_merge_sizes"].tolist() == [2]


def test_patches_lie_as_the_model_unpacks_them(families: dict[str, TinyFamily]) -> None:
    """Patches of one token are neighbours; a patch is channels, rows, columns of one frame."""
    processor = families["video_llama_3"].processor
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
    seen = processor.see(frames, clip_at((0, 1, 2, 3)))
    assert seen.inputs["video_grid_thw"].tolist() == [[4, 4, 6]]
    values = frames / 255 * 2 - 1
    patches = iter(seen.inputs["pixel_values_videos"].numpy())
    side = 2 * PATCH_SIZE
    for frame in values:
        for token_row in range(2):
            for token_column in range(3):
                for y in (0, PATCH_SIZE):
                    for x in (0, PATCH_SIZE):
                        top, left = token_row * side + y, token_column * side + x
                        block = frame[top : top + PATCH_SIZE, left : left + PATCH_SIZE]
                        expected = block.transpose(2, 0, 1).reshape(-1)
                        np.testing.assert_allclose(next(patches), expected, atol=1e-5)


def encoded_on(family: TinyFamily, folder: Path, frames: np.ndarray) -> EncodedItem:
    """An item on a clip, whose frames are given as they were before a codec saw them."""
    item = Item("q", "a.mp4", "Why?", ("red", "blue"), 0, "reasoning")
    video = decode_video(write_video(folder / "a.mp4", frames), max_frames=len(frames))
    seen = family.processor.see(frames, Clip(video.indices, 4.0, len(frames), len(frames) / 4))
    return encode_item(family.vlm, family.processor, item, video, LETTER, seen)


def test_tokens_as_in_the_frame_before_are_dropped(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    found = encoded_on(families["video_llama_3"], tmp_path, still_frames())
    kept = found.vision_inputs["video_compression_mask"].reshape(len(STILL), 4)
    # all of the first frame, then the lower half where it changes, else the first token
    assert kept.int().tolist() == [
        [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1]
    ]  # fmt: skip
    tokens = found.frame_tokens
    assert tokens is not None
    assert [len(unit.tokens) for unit in tokens.units] == [4, 1, 2, 1, 1, 2]
    assert [unit.start_s for unit in tokens.units] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert tokens.n_tokens == 11
    # a unit's tokens stand together, right after its time
    for unit in tokens.units:
        assert list(unit.tokens) == list(range(unit.tokens[0], unit.tokens[-1] + 1))
    visual = found.input_ids == families["video_llama_3"].vlm.model.config.video_token_id
    assert torch.equal(visual, tokens.visual_mask())


def test_nothing_is_dropped_where_the_files_say_so(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    family = families["video_llama_3"]
    file = "video_preprocessor_config.json"
    copy = edited(family, tmp_path / "vlm", file, use_token_compression=False)
    processor = video_processor_for(copy, family.vlm.family)
    seen = processor.see(still_frames(), clip_at(tuple(range(len(STILL)))))
    assert seen.runs == (4,) * len(STILL)
    assert bool(seen.inputs["video_compression_mask"].all())


@pytest.fixture(scope="module")
def still_items(tmp_path_factory: pytest.TempPathFactory) -> ItemFile:
    """Two items on clips of which little changes, but at different frames."""
    folder = tmp_path_factory.mktemp("still")
    items = []
    for name, pictures in {"a": STILL, "b": (0, 1, 2, 2, 2, 2)}.items():
        frames = np.full((6, 32, 32, 3), 90, dtype=np.uint8)
        for frame, picture in zip(frames, pictures, strict=True):
            frame[16:] = 40 + 60 * picture
        write_video(folder / f"{name}.mp4", frames)
        items.append(Item(name, f"{name}.mp4", "Why?", ("red", "blue"), 0, "reasoning"))
    write_items(folder / "items.jsonl", items)
    return read_items(folder / "items.jsonl")


def test_dropped_tokens_are_dropped_from_cached_features_too(
    families: dict[str, TinyFamily], still_items: ItemFile
) -> None:
    vlm = families["video_llama_3"].vlm
    together = Evaluation(vlm, still_items, still_items.items, LETTER)
    (batch,) = together.batches
    n_tokens = [
        encoded.frame_tokens.n_tokens
        for encoded in together.encoded.values()
        if encoded.frame_tokens
    ]
    assert max(n_tokens) < 6 * 4
    with torch.no_grad():
        direct = vlm.model(**together.pixel_inputs(batch)).logits
        cached = vlm.model(**together.batch_inputs(batch)).logits
    assert direct.shape == (2, len(batch.kept), vlm.model.config.text_config.vocab_size)
    torch.testing.assert_close(direct, cached, atol=2e-5, rtol=0)


@pytest.mark.parametrize("condition", ["video", "reversed"])
def test_an_absent_frame_keeps_the_tokens_of_the_frame(
    families: dict[str, TinyFamily], still_items: ItemFile, condition: str
) -> None:
    """Black frames would be dropped but for one token each."""
    vlm = families["video_llama_3"].vlm
    videos = VideoItems(vlm, still_items, still_items.items, "", VideoSettings(LETTER))
    framed = videos.framed(0, condition)
    assert not videos.failures
    assert videos.baseline == "black"
    assert framed.shown.shape == framed.absent.shape == (6, 4 * 4 * 3 * PATCH_SIZE**2)
    assert bool((framed.absent == -1).all())
    kept = framed.encoded.vision_inputs["video_compression_mask"]
    assert [len(unit.tokens) for unit in framed.frame_tokens.units] == (
        kept.reshape(6, 4).sum(dim=1).tolist()
    )


def test_internvl_stands_over_qwen3_too(tmp_path: Path) -> None:
    """InternVL3.5: its q_norm and k_norm are in the report, and the model fills."""
    tiny = internvl_pair(tmp_path, seed=0, dtype="float32", text_class=Qwen3Config)
    assert hasattr(load_vlm(tiny.vlm).text_layers[0].self_attn, "q_norm")
    report = pair(Checkpoint.open(tiny.vlm), Checkpoint.open(tiny.backbone))
    assert report.pairs
    assert {"q_norm.weight", "k_norm.weight"} < {row.tensor for row in report.tensors}
    assert report.missing_in_vlm == report.missing_in_backbone == ()
