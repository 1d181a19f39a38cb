"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and GLM-4V: temporal patches, grids, times, limits on pixels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.video_utils import VideoMetadata

from merit_interp.attribution.answer_value import AnswerValue
from merit_interp.attribution.framed_items import FramedItem, join
from merit_interp.benchmarks.items import Item
from merit_interp.benchmarks.videos import decode_video
from merit_interp.errors import CheckpointError
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import VLM_FAMILIES
from merit_interp.models.loading import load_vlm
from merit_interp.models.pairing import check_pair
from merit_interp.models.processors import Clip, SeenVideo, VideoProcessor, video_processor_for
from merit_interp.models.tokenizers import token_ids
from merit_interp.recipe import Scoring
from merit_interp.scoring.encoding import EncodedItem, encode_item, see_video
from merit_interp.scoring.visual_cache import encoder_outputs, visual_features
from tests.families.conftest import TinyFamily
from tests.tiny_families import qwen, tiny_family_pair
from tests.tiny_families.qwen import TOKEN_SIDE
from tests.videos_on_disk import frames_of_levels, write_video

NAMES = tuple(qwen.BUILDERS)
PATCH = TOKEN_SIDE // 2


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TinyFamily]:
    found = {}
    for name in NAMES:
        pair = tiny_family_pair(name, tmp_path_factory.mktemp(name))
        vlm = load_vlm(pair.vlm)
        found[name] = TinyFamily(pair, vlm, video_processor_for(vlm.directory, vlm.family))
    return found


def frames_of(n_frames: int, height: int = 32, width: int = 64) -> np.ndarray:
    return frames_of_levels(n_frames, size=max(height, width))[:, :height, :width]


def clip_at(indices: tuple[int, ...], fps: float = 4.0, n_frames: int = 40) -> Clip:
    return Clip(indices, fps, n_frames, n_frames / fps)


def text_of(processor: VideoProcessor, seen: SeenVideo, question: str = "Why?") -> str:
    """The prompt on a video, with every visual token."""
    (ids,) = token_ids(processor.tokenizer, [processor.prompt(question, seen)])
    return str(processor.tokenizer.decode(processor.expanded(ids, seen)[0]))


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_is_what_transformers_own_processor_makes(
    families: dict[str, TinyFamily], name: str
) -> None:
    processor = families[name].processor
    frames, clip = frames_of(5), clip_at((0, 8, 16, 24, 32))
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
    )
    assert ids == own["input_ids"][0]
    assert token_inputs["mm_token_type_ids"] == own["mm_token_type_ids"][0]
    assert torch.equal(seen.inputs["pixel_values_videos"], own["pixel_values_videos"])
    assert set(token_inputs) == set(VLM_FAMILIES[name].token_inputs)
    assert set(seen.inputs) == set(VLM_FAMILIES[name].video_inputs)


def test_qwen3_writes_the_middle_of_each_patch(families: dict[str, TinyFamily]) -> None:
    processor = families["qwen3_vl"].processor
    seen = processor.see(frames_of(5), clip_at((3, 9, 15, 21, 30), fps=2.0))
    # the last frame fills its patch twice, so the middle of the patch is its own time
    stamps = [f"<{time:.1f} seconds>" for time in ((1.5 + 4.5) / 2, (7.5 + 10.5) / 2, 15.0)]
    block = "<|vision_start|>" + "<|video_pad|>" * 8 + "<|vision_end|>"
    assert "".join(stamp + block for stamp in stamps) in text_of(processor, seen)


def test_glm_writes_the_whole_second_of_each_patchs_first_frame(
    families: dict[str, TinyFamily],
) -> None:
    processor = families["glm4v"].processor
    seen = processor.see(frames_of(5), clip_at((3, 9, 15, 21, 30), fps=2.0))
    block = "<|begin_of_image|>" + "<|image|>" * 8 + "<|end_of_image|>"
    blocks = "".join(f"{block}{second}" for second in (1, 7, 15))
    assert f"<|begin_of_video|>{blocks}<|end_of_video|>" in text_of(processor, seen)


@pytest.mark.parametrize(
    ("bounds", "max_frames", "seconds"),
    [
        ((None, None), 8, 2 * 24 / 8 / 6),
        ((None, None), 3, 2 * 24 / 3 / 6),
        # twelve of the source's frames lie in the bound
        ((1.0, 3.0), 4, 2 * 12 / 4 / 6),
        # more than there are: each frame of the source is taken
        ((1.0, 3.0), 20, 2 / 6),
    ],
)
def test_seconds_between_patches_are_those_of_the_sampled_frames(
    families: dict[str, TinyFamily],
    tmp_path: Path,
    bounds: tuple[float | None, float | None],
    max_frames: int,
    seconds: float,
) -> None:
    path = write_video(tmp_path / "a.mp4", frames_of(24), fps=6)
    video = decode_video(path, max_frames=max_frames, start_s=bounds[0], end_s=bounds[1])
    interval = see_video(families["qwen2_5_vl"].processor, video).inputs["second_per_grid_ts"]
    assert interval.dtype == torch.float32
    assert interval.tolist() == pytest.approx([seconds])


def test_positions_in_time_are_the_seconds_that_passed(families: dict[str, TinyFamily]) -> None:
    """Two position ids a second (`tokens_per_second`), as the forward itself counts them."""
    family = families["qwen2_5_vl"]
    video = family.processor.see(frames_of(6), clip_at((2, 8, 14, 20, 26, 32), n_frames=36))
    (ids,) = token_ids(family.processor.tokenizer, [family.processor.prompt("Why?", video)])
    ids, token_inputs = family.processor.expanded(ids, video)
    positions, _ = family.vlm.model.model.get_rope_index(
        torch.tensor([ids]),
        mm_token_type_ids=torch.tensor([token_inputs["mm_token_type_ids"]]),
        video_grid_thw=video.inputs["video_grid_thw"],
        second_per_grid_ts=video.inputs["second_per_grid_ts"],
    )
    visual = torch.tensor(ids) == family.vlm.model.config.video_token_id
    times = positions[0, 0, visual].reshape(3, -1)
    # six of 36 frames at four a second: a patch of two frames lasts three seconds
    assert (times - times[0, 0])[:, 0].tolist() == [0, 6, 12]


def encoded(family: TinyFamily, path: Path, n_frames: int) -> EncodedItem:
    item = Item("q", path.name, "Why?", ("red", "blue"), 0, "reasoning")
    video = decode_video(path, max_frames=n_frames)
    return encode_item(
        family.vlm, family.processor, item, video, Scoring(answers="letter", max_frames=n_frames)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_last_frame_of_an_odd_number_is_a_patch_of_its_own(
    families: dict[str, TinyFamily], tmp_path: Path, name: str
) -> None:
    path = write_video(tmp_path / "a.mp4", frames_of(5), fps=4)
    found = encoded(families[name], path, 5)
    assert found.frame_tokens is not None
    units = found.frame_tokens.units
    assert [unit.frames for unit in units] == [(0, 1), (2, 3), (4,)]
    assert [(unit.start_s, unit.end_s) for unit in units] == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.25)]
    assert [len(unit.tokens) for unit in units] == [8, 8, 8]
    assert found.vision_inputs["video_grid_thw"].tolist() == [[3, 4, 8]]
    # both halves of the last patch show the last frame
    pixels = found.vision_inputs["pixel_values_videos"].reshape(3, 32, 3, 2, PATCH, PATCH)
    assert torch.equal(pixels[2, :, :, 0], pixels[2, :, :, 1])
    assert not torch.equal(pixels[1, :, :, 0], pixels[1, :, :, 1])


@pytest.mark.parametrize("name", NAMES)
def test_one_frame_is_one_patch(families: dict[str, TinyFamily], tmp_path: Path, name: str) -> None:
    """Two of the families' processors refuse a video of one frame; it is shown twice to all."""
    path = write_video(tmp_path / "a.mp4", frames_of(3), fps=4)
    found = encoded(families[name], path, 1)
    assert found.frame_tokens is not None
    (unit,) = found.frame_tokens.units
    assert (unit.frames, unit.start_s, unit.end_s, len(unit.tokens)) == ((0,), 0.25, 0.5, 8)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_lie_as_the_model_unpacks_them(families: dict[str, TinyFamily], name: str) -> None:
    """Patches of one visual token are neighbours; a patch is channels, time, rows, columns."""
    processor = families[name].processor
    rows, columns = 2 * TOKEN_SIDE, 3 * TOKEN_SIDE
    frames = np.random.default_rng(0).integers(0, 256, (4, rows, columns, 3), dtype=np.uint8)
    seen = processor.see(frames, clip_at((0, 1, 2, 3)))
    assert seen.inputs["video_grid_thw"].tolist() == [[2, 4, 6]]
    own: Any = processor.processor
    mean, std = (np.array(own.video_processor.__dict__[f"image_{k}"]) for k in ("mean", "std"))
    values = (frames / 255 - mean) / std
    patches = iter(seen.inputs["pixel_values_videos"].numpy())
    for time in (0, 2):
        for token_row in range(2):
            for token_column in range(3):
                for y in (0, PATCH):
                    for x in (0, PATCH):
                        top, left = token_row * TOKEN_SIDE + y, token_column * TOKEN_SIDE + x
                        block = values[time : time + 2, top : top + PATCH, left : left + PATCH]
                        expected = block.transpose(3, 0, 1, 2).reshape(-1)
                        np.testing.assert_allclose(next(patches), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "grid"),
    [
        # at most 9 tokens a frame, at least 2: 48 x 64 would be 12, 16 x 16 one
        ("qwen2_vl", (8, 48, 64), (4, 4, 6)),
        ("qwen2_5_vl", (8, 48, 64), (4, 4, 6)),
        ("qwen2_vl", (2, 16, 16), (1, 4, 4)),
        # at most 72 tokens a video before two frames share them, so a longer video is smaller
        ("qwen3_vl", (6, 48, 64), (3, 6, 8)),
        ("qwen3_vl", (8, 48, 64), (4, 4, 6)),
        ("qwen3_vl", (16, 48, 64), (8, 2, 4)),
        ("glm4v", (6, 48, 64), (3, 6, 8)),
        ("glm4v", (16, 48, 64), (8, 2, 4)),
    ],
)
def test_frames_stay_within_the_checkpoints_limits(
    families: dict[str, TinyFamily],
    name: str,
    shape: tuple[int, int, int],
    grid: tuple[int, int, int],
) -> None:
    indices = tuple(range(shape[0]))
    seen = families[name].processor.see(frames_of(*shape), clip_at(indices))
    assert seen.inputs["video_grid_thw"].tolist() == [list(grid)]


@pytest.mark.parametrize(
    ("name", "n_frames", "grid"),
    [
        # two of eight frames share a fourth of 18 tokens' pixels, where 9 tokens were allowed
        ("qwen2_5_vl", 8, (4, 2, 4)),
        # ten tokens' pixels a frame, where the video's limit would allow 12
        ("qwen3_vl", 6, (3, 4, 6)),
    ],
)
def test_a_cap_on_each_frame_is_kept_where_the_files_ask_for_it(
    families: dict[str, TinyFamily], tmp_path: Path, name: str, n_frames: int, grid: tuple[int, ...]
) -> None:
    copy = shutil.copytree(families[name].pair.vlm, tmp_path / "vlm")
    for file in ("preprocessor_config.json", "video_preprocessor_config.json"):
        if (copy / file).exists():
            content = json.loads((copy / file).read_text())
            limits = {"cap_pixels_per_frame": True, "max_video_tokens": 20 if "5" in name else 10}
            (copy / file).write_text(json.dumps({**content, **limits}))
    processor = video_processor_for(copy, VLM_FAMILIES[name])
    seen = processor.see(frames_of(n_frames, 48, 64), clip_at(tuple(range(n_frames))))
    assert seen.inputs["video_grid_thw"].tolist() == [list(grid)]


def changed(directory: Path, name: str, **changes: Any) -> Path:
    content = json.loads((directory / name).read_text())
    (directory / name).write_text(json.dumps({**content, **changes}))
    return directory


def test_a_processor_that_joins_other_frames_than_the_row_is_refused(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    copy = shutil.copytree(families["qwen2_vl"].pair.vlm, tmp_path / "vlm")
    changed(copy, "preprocessor_config.json", temporal_patch_size=4)
    with pytest.raises(CheckpointError, match=r"joins 4 frames in a temporal patch; valid: 2"):
        video_processor_for(copy, VLM_FAMILIES["qwen2_vl"])


def test_a_processor_that_makes_less_than_the_row_names_is_refused(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    family = families["qwen2_vl"]
    row = dataclasses.replace(family.vlm.family, token_inputs=("token_type_ids", "other"))
    other = TinyFamily(family.pair, dataclasses.replace(family.vlm, family=row), family.processor)
    path = write_video(tmp_path / "a.mp4", frames_of(4), fps=4)
    with pytest.raises(CheckpointError, match="makes no token_type_ids and no other"):
        encoded(other, path, 4)


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl"])
def test_a_config_with_the_text_models_fields_at_the_top_is_the_same_model(
    families: dict[str, TinyFamily], tmp_path: Path, name: str
) -> None:
    """As Qwen/Qwen2-VL-7B-Instruct and Qwen/Qwen2.5-VL-7B-Instruct are published."""
    pair = families[name].pair
    copy = shutil.copytree(pair.vlm, tmp_path / "vlm")
    config = json.loads((copy / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    for field in ("model_type", "dtype", "layer_types"):
        text.pop(field, None)
    config |= text | {"rope_theta": rope["rope_theta"]}
    config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    (copy / "config.json").write_text(json.dumps(config))
    vlm = load_vlm(copy)
    path = write_video(tmp_path / "a.mp4", frames_of(4), fps=4)
    found = encoded(families[name], path, 4)
    inputs = {
        "input_ids": found.input_ids[None],
        "mm_token_type_ids": found.token_inputs["mm_token_type_ids"][None],
        **found.vision_inputs,
    }
    with torch.no_grad():
        logits = [model.model(**inputs).logits for model in (vlm, families[name].vlm)]
    assert torch.equal(*logits)
    check_pair(Checkpoint.open(copy), Checkpoint.open(pair.backbone))


def test_deeper_layers_get_the_towers_features_of_each_clip(
    families: dict[str, TinyFamily], tmp_path: Path
) -> None:
    """Qwen3-VL adds features of the tower to deeper text layers: without them scores differ."""
    family = families["qwen3_vl"]
    found = encoded(family, write_video(tmp_path / "a.mp4", frames_of(4), fps=4), 4)
    features = visual_features(family.vlm, found.vision_inputs)
    assert len(features["deepstack_features"]) == 2
    output = encoder_outputs(family.vlm, [features, features])["video"]
    assert [len(layer) for layer in output.deepstack_features] == [2, 2]
    inputs = {
        "input_ids": found.input_ids[None],
        "mm_token_type_ids": found.token_inputs["mm_token_type_ids"][None],
        "video_grid_thw": found.vision_inputs["video_grid_thw"],
    }
    emptied = {**features, "deepstack_features": [
        [part * 0 for part in layer] for layer in features["deepstack_features"]
    ]}  # fmt: skip
    with torch.no_grad():
        logits = [
            family.vlm.model(
                **inputs, mm_encoder_outputs=encoder_outputs(family.vlm, [kept])
            ).logits
            for kept in (features, emptied)
        ]
    assert not torch.allclose(*logits, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_clips_of_equal_patches_but_other_grids_are_joined_each_with_its_own(
    families: dict[str, TinyFamily], tmp_path: Path, name: str
) -> None:
    """32 x 64 and 64 x 32 have as many patches: attribution takes them in one batch."""
    family = families[name]
    framed = []
    for number, (height, width) in enumerate([(32, 64), (64, 32)]):
        path = write_video(tmp_path / f"{number}.mp4", frames_of(4, height, width), fps=4)
        found = encoded(family, path, 4)
        framed.append(FramedItem.of(found, found, ()))
    assert framed[0].size.shape == framed[1].size.shape
    joined = join(framed, family.vlm.device)
    grids = joined.vision_inputs["video_grid_thw"].tolist()
    assert [sorted(grid) for grid in grids] == [[2, 4, 8], [2, 4, 8]]
    assert grids[0] != grids[1]
    together = AnswerValue(family.vlm, joined, "log_prob").shown_log_probs
    for row, item in enumerate(joined.items):
        batch = join([item], family.vlm.device)
        alone = AnswerValue(family.vlm, batch, "log_prob").shown_log_probs
        torch.testing.assert_close(together[row : row + 1], alone, atol=2e-5, rtol=0)
