"""SmolVLM, Gemma 3 and Gemma 4: what their frames are in a prompt, and what is special in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from merit_interp.attribution.baselines import baseline_frames
from merit_interp.benchmarks.items import ItemFile
from merit_interp.errors import PairError, RecipeError
from merit_interp.masking.interventions import AttentionTraces, Edit
from merit_interp.masking.layer_sets import in_sweep_order
from merit_interp.masking.modes import Subject
from merit_interp.masking.sweep import masked_log_probs
from merit_interp.merging.export import write_merged
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.models.pairing import pair
from merit_interp.models.processors import Clip, VideoProcessor, video_processor_for
from merit_interp.models.tokenizers import token_ids
from merit_interp.models.torch_images import number_in_words
from merit_interp.recipe import ModelReference, Recipe
from merit_interp.records import MaskedSet
from merit_interp.scoring.evaluation import Evaluation
from merit_interp.tensor_shapes import Frames
from tests.families.conftest import LETTER, TEXT
from tests.tiny_families.images import BUILDERS, gemma4
from tests.tiny_models import TinyPair
from tests.videos_on_disk import frames_of_levels

QUESTION = "Which shape comes right after the circle?"
CLIP = Clip(indices=(1, 3, 130), fps=2.0, n_frames=140, duration_s=70.0)
TIMES_S = (0.5, 1.5, 65.0)
"""Of the frames of `CLIP`: their numbers by two a second."""


@dataclasses.dataclass(frozen=True)
class Images:
    """A family's tiny VLM and its processor."""

    vlm: LoadedModel
    processor: VideoProcessor
    pair: TinyPair


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Images]:
    """Each family of the group; whoever changes weights restores them."""
    found = {}
    for name, build in BUILDERS.items():
        made = build(tmp_path_factory.mktemp(name), seed=0, dtype="float32")
        vlm = load_vlm(made.vlm)
        found[name] = Images(vlm, video_processor_for(vlm.directory, vlm.family), made)
    return found


def frames() -> Frames:
    return frames_of_levels(3, size=64, seed=5)[:, :48]


def prompt_ids(images: Images) -> list[int]:
    seen = images.processor.see(frames(), CLIP)
    (ids,) = token_ids(images.processor.tokenizer, [images.processor.prompt(QUESTION, seen)])
    return images.processor.expanded(ids, seen)[0]


@pytest.mark.parametrize("name", ["smolvlm", "gemma4"])
def test_prompts_are_those_of_the_families_processors(tiny: dict[str, Images], name: str) -> None:
    processor = tiny[name].processor.processor
    metadata = VideoMetadata(
        total_num_frames=140, fps=2.0, duration=70.0, frames_indices=[1, 3, 130]
    )
    own = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": QUESTION}]}],
        add_generation_prompt=True,
    )
    told: Any = {"video_metadata": [metadata], "do_sample_frames": False}
    ids = processor(text=[own], videos=[frames()], add_special_tokens=False, **told)["input_ids"]
    assert prompt_ids(tiny[name]) == ids[0]


def test_gemma_3_is_asked_about_frames_and_times_in_turn(tiny: dict[str, Images]) -> None:
    processor = tiny["gemma3"].processor.processor
    content: list[dict[str, Any]] = []
    for time, frame in zip(TIMES_S, frames(), strict=True):
        content.append({"type": "text", "text": f"Frame {time}:"})
        content.append({"type": "image", "image": Image.fromarray(frame)})
    content.append({"type": "text", "text": QUESTION})
    own_class: Any = type(processor).__mro__[1]
    assert own_class.__name__ == "Gemma3Processor"
    own = own_class(processor.image_processor, processor.tokenizer, image_seq_length=4)
    own.chat_template = processor.chat_template
    ids = own.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True, tokenize=True, return_dict=True,
    )["input_ids"]  # fmt: skip
    assert prompt_ids(tiny["gemma3"]) == list(ids[0])


def test_what_a_video_is_in_words(tiny: dict[str, Images]) -> None:
    shown = {name: images.processor.see(frames(), CLIP) for name, images in tiny.items()}
    frame = "<fake_token_around_image><global-img><image><fake_token_around_image>"
    assert shown["smolvlm"].text == (
        "You are provided the following series of three frames from a 0:01:10 [H:MM:SS] video.\n"
        f"\nFrame from 00:00:{frame}\nFrame from 00:01:{frame}\nFrame from 01:05:{frame}\n\n"
    )
    image = "\n\n<start_of_image><image_soft_token><end_of_image>\n\n"
    assert shown["gemma3"].text == f"Frame 0.5:{image}Frame 1.5:{image}Frame 65.0:{image}"
    image = "<|image><|video|><image|>"
    assert shown["gemma4"].text == f"00:00 {image} 00:01 {image} 01:05 {image}"
    assert shown["smolvlm"].runs == shown["gemma3"].runs == (4, 4, 4)
    # 48 x 64 at most 630 patches of 2 x 2, in blocks of 3 x 3: 7 x 9
    assert shown["gemma4"].runs == (63, 63, 63)


def test_words_beside_a_video_are_tokenized_with_it(tiny: dict[str, Images]) -> None:
    # SmolVLM knows no video token, so a prompt cannot be put together from tokens
    tokenizer = tiny["smolvlm"].processor.tokenizer
    assert len(tokenizer.encode("<video>")) > 1
    together = tokenizer.encode("User: You are")
    assert together != tokenizer.encode("User: ") + tokenizer.encode("You are")
    ids = prompt_ids(tiny["smolvlm"])
    assert ids[1 : 1 + len(together)] == together


def test_numbers_are_written_as_num2words_writes_them() -> None:
    words = {
        1: "one", 8: "eight", 13: "thirteen", 20: "twenty", 64: "sixty-four", 100: "one hundred",
        101: "one hundred and one", 342: "three hundred and forty-two", 1000: "one thousand",
        1016: "one thousand and sixteen", 2300: "two thousand, three hundred",
    }  # fmt: skip
    assert {number: number_in_words(number) for number in words} == words


def resized(image: np.ndarray, width: int, height: int, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), how))


def test_pixels_are_what_the_towers_unpack(tiny: dict[str, Images]) -> None:
    inputs = {name: images.processor.see(frames(), CLIP).inputs for name, images in tiny.items()}
    level = {"atol": 1.01 / 127.5, "rtol": 0}  # torchvision and Pillow round differently
    smolvlm, gemma3 = inputs["smolvlm"]["pixel_values"][0], inputs["gemma3"]["pixel_values"]
    for number, frame in enumerate(frames()):
        # longest edge 32 first, then a square
        flat = resized(frame, 32, 24, Image.Resampling.LANCZOS)
        square = resized(flat, 32, 32, Image.Resampling.LANCZOS)
        np.testing.assert_allclose(smolvlm[number].permute(1, 2, 0), square / 127.5 - 1, **level)
        square = resized(frame, 32, 32, Image.Resampling.BILINEAR)
        np.testing.assert_allclose(gemma3[number].permute(1, 2, 0), square / 127.5 - 1, **level)
    patches, places = (
        inputs["gemma4"][name].numpy() for name in ("pixel_values_videos", "video_position_ids")
    )
    assert inputs["gemma4"]["num_frames_per_video"].tolist() == [3]
    for number, frame in enumerate(frames()):
        larger = resized(frame, 54, 42, Image.Resampling.BICUBIC) / 255
        drawn = np.zeros_like(larger)
        for patch, (column, row) in zip(patches[number], places[number], strict=True):
            if column < 0:
                assert not patch.any()
                continue
            drawn[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = patch.reshape(2, 2, 3)
        np.testing.assert_allclose(drawn, larger, atol=1.01 / 255)


def test_a_frame_reaches_its_own_features_only(tiny: dict[str, Images]) -> None:
    changed = frames().copy()
    changed[1] = 255 - changed[1]
    for images in tiny.values():
        one, other = (
            images.processor.see(shown, CLIP).inputs[images.vlm.family.video_inputs[0]]
            for shown in (frames(), changed)
        )
        differs = (one != other).reshape(3, -1).any(dim=1)
        assert differs.tolist() == [False, True, False]


def test_black_is_no_padding_to_smolvlm(tiny: dict[str, Images]) -> None:
    images = tiny["smolvlm"]
    black = images.processor.see(baseline_frames("black", frames()), CLIP).inputs["pixel_values"]
    assert torch.equal(black, -torch.ones_like(black))
    assert [name for name, i in tiny.items() if i.vlm.family.drops_zero_frames] == ["smolvlm"]
    # black is zero to Gemma 4, whose padding is known by its place
    black = (
        tiny["gemma4"]
        .processor.see(baseline_frames("black", frames()), CLIP)
        .inputs["pixel_values_videos"]
    )
    assert not black.any()


def test_videos_of_different_lengths_are_padded_with_frames_of_zero(
    tiny: dict[str, Images], clips: ItemFile
) -> None:
    # as SmolVLM's own processor joins them; here their features are joined, and nothing is padded
    vlm = tiny["smolvlm"].vlm
    items = [item for item in clips.items if item.id in ("w1", "h0")]
    evaluation = Evaluation(vlm, clips, items, LETTER)
    (batch,) = evaluation.batches
    rows = [
        evaluation.pixel_inputs(evaluation.batch_of([index]))["pixel_values"]
        for index in batch.items
    ]
    assert sorted(row.shape[1] for row in rows) == [5, 8]
    padded = torch.zeros(2, 8, *rows[0].shape[2:])
    for number, row in enumerate(rows):
        padded[number, : row.shape[1]] = row[0]
    inputs = evaluation.batch_inputs(batch)
    with torch.no_grad():
        here = vlm.model(**inputs).logits
        inputs.pop("mm_encoder_outputs")
        own = vlm.model(**inputs, pixel_values=padded).logits
    torch.testing.assert_close(here, own, atol=2e-5, rtol=0)


def test_tokens_of_one_image_see_each_other_in_gemma_3(
    tiny: dict[str, Images], clips: ItemFile
) -> None:
    vlm = tiny["gemma3"].vlm
    evaluation = Evaluation(vlm, clips, clips.items[3:4], LETTER)
    (batch,) = evaluation.batches
    tokens = evaluation.encoded[0].frame_tokens
    assert tokens is not None
    inputs = {**evaluation.batch_inputs(batch), "logits_to_keep": 0}
    features = inputs["mm_encoder_outputs"]["image"].pooler_output
    changed = features.clone()
    changed[1, -1] += 1  # the last token of the second frame
    with torch.no_grad():
        before = vlm.model(**inputs).logits[0]
        inputs["mm_encoder_outputs"]["image"].pooler_output = changed
        differs = (vlm.model(**inputs).logits[0] != before).any(dim=-1)
    inputs["mm_encoder_outputs"]["image"].pooler_output = features
    first = tokens.units[1].tokens[0]
    assert differs[first:].all()
    assert not differs[:first].any()


def recipe_of(made: TinyPair, **settings: Any) -> Recipe:
    vlm, backbone = (
        ModelReference(source=str(side), fingerprint=fingerprint(Checkpoint.open(side)))
        for side in (made.vlm, made.backbone)
    )
    return Recipe(vlm=vlm, backbone=backbone, layers={1: 0.5, 3: 1.0}, **settings)


@pytest.mark.parametrize("weights", ["self_attention", "text"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"num_kv_shared_layers": 0, "attention_k_eq_v": True, "num_global_key_value_heads": 1}],
    ids=["shared keys and values", "keys as values"],
)
def test_gemma_4_merges_what_each_layer_has(
    tmp_path: Path, clips: ItemFile, changes: dict[str, Any], weights: Any
) -> None:
    made = gemma4(tmp_path / "pair", seed=3, dtype="bfloat16", **changes)
    sides = Checkpoint.open(made.vlm), Checkpoint.open(made.backbone)
    report = pair(*sides)
    assert report.pairs
    lacking = {(t.layer, t.tensor[0]) for t in report.tensors if t.tensor[1:] == ".weight"}
    layers_of = {p: [layer for layer, name in sorted(lacking) if name == p] for p in "qkvo"}
    sharing = {"q": [0, 1, 2, 3], "k": [0, 1], "v": [0, 1], "o": [0, 1, 2, 3]}
    k_as_v = {"q": [0, 1, 2, 3], "k": [0, 1, 2, 3], "v": [0, 2], "o": [0, 1, 2, 3]}
    assert layers_of == (k_as_v if changes else sharing)
    recipe = recipe_of(made, weights=weights)
    write_merged(recipe, tmp_path / "merged", vlm=sides[0], backbone=sides[1])
    placed = dataclasses.replace(load_vlm(made.vlm).placement, dtype="bfloat16")
    vlm = load_vlm(made.vlm, placement=placed)
    reloaded = load_vlm(tmp_path / "merged", placement=placed).model.state_dict()
    with InMemoryMerge(vlm, sides[1], weights=weights).applied(recipe):
        merged = vlm.model.state_dict()
        assert merged.keys() == reloaded.keys()
        assert all(torch.equal(merged[name], reloaded[name]) for name in merged)


def test_gemma_4_pairs_by_layer_and_names_what_differs(tmp_path: Path) -> None:
    sides = [
        gemma4(tmp_path / str(number), seed=0, dtype="float32", **changes)
        for number, changes in enumerate(
            ({}, {"global_head_dim": 32}, {"num_kv_shared_layers": 0}, {"attention_k_eq_v": True})
        )
    ]
    vlm = Checkpoint.open(sides[0].vlm)
    found = [pair(vlm, Checkpoint.open(side.backbone)) for side in sides]
    assert found[0].differences == ()
    assert found[1].differences[0] == "head_dim 16 against 32 in layers 1, 3"
    assert found[2].differences[0] == "layer 2 k.weight missing in the VLM"
    assert "num_kv_shared_layers 2 against 0" in found[2].notes
    assert found[3].differences == ("layer 1 v.weight missing in the backbone",)
    with pytest.raises(PairError, match=r"head_dim 16 against 32 in layers 1, 3"):
        InMemoryMerge(load_vlm(sides[0].vlm), Checkpoint.open(sides[1].backbone))


def test_layers_that_lend_keys_and_values_are_run_for_those_that_borrow(
    tmp_path: Path, clips: ItemFile
) -> None:
    made = gemma4(tmp_path, seed=0, dtype="float32", num_kv_shared_layers=1)
    vlm = load_vlm(made.vlm)
    # the last of each kind before the first that borrows
    assert vlm.lending_layers == (1, 2)
    evaluation = Evaluation(vlm, clips, clips.items[:2], TEXT)
    batch = evaluation.batches[0]
    sets = in_sweep_order(
        [MaskedSet(layers, ("single",)) for layers in ((0,), (1,), (2,), (3,), (1, 3))]
    )
    attention = [layer.self_attn for layer in vlm.text_layers]

    def hooked(masked: MaskedSet) -> torch.Tensor:
        """Zero in place of each output, everything computed."""
        handles = [
            attention[layer].register_forward_hook(lambda _m, _a, o: (0 * o[0], *o[1:]))
            for layer in masked.layers
        ]
        with torch.no_grad():
            scores = subject.forward(batch)
        for handle in handles:
            handle.remove()
        return scores

    with AttentionTraces(vlm.text_layers) as traces:
        subject = Subject(evaluation, traces)
        everywhere = torch.ones_like(batch.input_ids, dtype=torch.bool)
        zero = Edit(everywhere, torch.zeros(()))
        edits = {masked: dict.fromkeys(masked.layers, zero) for masked in sets}
        found = dict(masked_log_probs(subject, batch, sets, edits.__getitem__))
    for masked, scores in found.items():
        torch.testing.assert_close(scores, hooked(masked), atol=1e-6, rtol=0)


def test_a_layer_without_what_a_recipe_merges_is_named(tmp_path: Path) -> None:
    made = gemma4(tmp_path / "pair", seed=0, dtype="float32")
    recipe = recipe_of(made, projections=("k",))
    with pytest.raises(RecipeError, match=r"layer 3 has no projection .* valid: q, o in that"):
        InMemoryMerge(load_vlm(made.vlm), Checkpoint.open(made.backbone)).apply(recipe)
