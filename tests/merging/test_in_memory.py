from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from merit_interp.errors import CheckpointError, PairError, RecipeError
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.loading import LoadedModel
from tests.merging.conftest import Opened
from tests.models.edited_checkpoints import Tensors, with_tensors
from tests.tiny_models import (
    IMAGE_SIZE,
    N_LAYERS,
    TOKENS_PER_FRAME,
    tiny_backbone,
    tiny_tokenizer,
)

EVERYWHERE = dict.fromkeys(range(N_LAYERS), 1.0)


def weights_of(vlm: LoadedModel) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in vlm.model.named_parameters()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[k].view(torch.uint8), b[k].view(torch.uint8)) for k in a
    )


def logits(vlm: LoadedModel) -> Tensor:
    """Of a prompt with a video of two frames; fixed."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 2, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    video_token = tiny_tokenizer().convert_tokens_to_ids("<video>")
    ids = [7, *[video_token] * (2 * TOKENS_PER_FRAME + 1), 20, 30, 40]
    with torch.no_grad():
        out = vlm.model(
            input_ids=torch.tensor([ids]), pixel_values_videos=pixels.to(vlm.model.dtype)
        )
    result: Tensor = out.logits
    return result


@pytest.fixture(autouse=True)
def left_restored(whole: Opened) -> Iterator[None]:
    before = weights_of(whole.loaded)
    yield
    assert same(before, weights_of(whole.loaded)), "a test left the shared model merged"


def test_the_identity_gives_bit_equal_logits(whole: Opened) -> None:
    before = logits(whole.loaded)
    with whole.merge().applied(whole.identity):
        assert torch.equal(logits(whole.loaded), before)


def test_a_merge_changes_logits_and_takes_them_back(whole: Opened) -> None:
    before = logits(whole.loaded)
    with whole.merge().applied(whole.recipe(layers={1: 0.5})):
        assert not torch.equal(logits(whole.loaded), before)
    assert torch.equal(logits(whole.loaded), before)


def test_one_everywhere_is_the_backbones_attention_and_the_vlms_rest(whole: Opened) -> None:
    original = whole.loaded.text_parameters()
    before = {tensor: p.detach().clone() for tensor, p in original.items()}
    backbone = whole.loaded_backbone.text_parameters()
    with whole.merge().applied(whole.recipe(layers=EVERYWHERE)):
        for tensor, parameter in whole.loaded.text_parameters().items():
            attention = tensor.name.startswith("self_attn.")
            assert torch.equal(parameter, (backbone if attention else before)[tensor])


def test_text_everywhere_is_the_backbones_layers(whole: Opened) -> None:
    backbone = whole.loaded_backbone.text_parameters()
    merge = whole.merge(weights="text")
    with merge.applied(whole.recipe(layers=EVERYWHERE, weights="text")):
        for tensor, parameter in whole.loaded.text_parameters().items():
            assert torch.equal(parameter, backbone[tensor])


def test_half_is_half_way_biases_too(whole: Opened) -> None:
    before = weights_of(whole.loaded)
    with whole.merge().applied(whole.recipe(layers={2: 0.5}, projections=("v",))):
        after = weights_of(whole.loaded)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        prefix = "model.language_model.layers.2.self_attn.v_proj"
        assert changed == {f"{prefix}.weight", f"{prefix}.bias"}
        theirs = whole.loaded_backbone.projection(2, "v")
        torch.testing.assert_close(
            after[f"{prefix}.bias"], (before[f"{prefix}.bias"] + theirs.bias) / 2
        )


def test_only_what_differs_is_written(whole: Opened) -> None:
    merge = whole.merge()
    merge.apply(whole.recipe(layers={0: 0.5, 1: 0.5, 2: {"q": 0.5, "k": 0.5}}))
    versions = {t: p._version for t, p in whole.loaded.text_parameters().items()}
    merge.apply(whole.recipe(layers={0: 0.5, 2: {"q": 0.5, "k": 0.75}, 3: 1.0}))
    written = {
        (t.layer, t.name.split(".")[1])
        for t, p in whole.loaded.text_parameters().items()
        if p._version != versions[t]
    }
    projections = ("q_proj", "k_proj", "v_proj", "o_proj")
    assert written == {(2, "k_proj"), *((layer, p) for layer in (1, 3) for p in projections)}
    merge.restore()
    assert merge.in_force == {}


coefficients = st.one_of(
    st.sampled_from([0.0, 0.5, 1.0]),
    st.floats(0.0, 1.0, width=32),
    st.dictionaries(st.sampled_from("qkvo"), st.floats(0.0, 1.0, width=32)),
)
layer_choices = st.dictionaries(st.integers(0, N_LAYERS - 1), coefficients)


@settings(max_examples=25, deadline=None)
@given(sequence=st.lists(layer_choices, min_size=1, max_size=6))
def test_any_sequence_ends_where_its_last_recipe_alone_would(
    whole: Opened, sequence: list[dict[int, object]]
) -> None:
    original = weights_of(whole.loaded)
    merge = whole.merge()
    for layers in sequence:
        merge.apply(whole.recipe(layers=layers))
    walked = weights_of(whole.loaded)
    merge.restore()
    assert same(original, weights_of(whole.loaded))
    with merge.applied(whole.recipe(layers=sequence[-1])):
        assert same(walked, weights_of(whole.loaded))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_block_restores(whole: Opened, error: type[BaseException]) -> None:
    before = weights_of(whole.loaded)
    merge = whole.merge()
    with pytest.raises(error), merge.applied(whole.recipe(layers=EVERYWHERE)):
        raise error
    assert same(before, weights_of(whole.loaded))
    assert merge.in_force == {}


@pytest.mark.parametrize("at", [0, 5])
def test_an_interrupt_while_writing_restores(
    whole: Opened, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    before = weights_of(whole.loaded)
    merge = whole.merge()
    written = 0
    copy = Tensor.copy_

    def interrupted_copy(self: Tensor, source: Tensor) -> Tensor:
        nonlocal written
        written += 1
        if written == at + 1:
            self.zero_()  # as a copy that was cut off half-way
            raise KeyboardInterrupt
        return copy(self, source)

    monkeypatch.setattr(Tensor, "copy_", interrupted_copy)
    with pytest.raises(KeyboardInterrupt):
        merge.apply(whole.recipe(layers=EVERYWHERE))
    assert not same(before, weights_of(whole.loaded))
    # a later block neither trusts the half-written tensor nor goes back to it
    with merge.applied(whole.recipe(layers={1: 1.0})):
        pass
    merge.restore()
    assert same(before, weights_of(whole.loaded))


def test_blocks_nest(whole: Opened) -> None:
    merge = whole.merge()
    with merge.applied(whole.recipe(layers={0: 0.5})):
        outer = weights_of(whole.loaded)
        in_force = merge.in_force
        with merge.applied(whole.recipe(layers={1: 1.0})):
            assert {tensor.layer for tensor in merge.in_force} == {1}
        assert same(outer, weights_of(whole.loaded))
        assert merge.in_force == in_force


def test_a_recipe_that_does_not_fit_changes_nothing(whole: Opened) -> None:
    merge = whole.merge(projections=("q", "k"))
    other = whole.identity.vlm.model_copy(update={"fingerprint": "sha256:0"})
    for fields, message in (
        ({"layers": {N_LAYERS: 0.5}, "projections": ("q",)}, "layer 4 is not in the model"),
        (
            {"layers": {0: 0.5}},
            "merges projection o, which this merge does not hold; valid: .*q, k",
        ),
        ({"layers": {0: 0.5}, "weights": "text"}, "merges whole layers, which this merge does not"),
        ({"layers": {0: 0.5}, "projections": ("q",), "method": "mean"}, "no merge method 'mean'"),
        ({"vlm": other, "projections": ("q",)}, "made for another VLM"),
    ):
        with pytest.raises(RecipeError, match=message):
            merge.apply(whole.recipe(**fields))
        assert merge.in_force == {}


def test_other_backbones_are_refused(whole: Opened, tmp_path: Path) -> None:
    wide = Checkpoint.open(tiny_backbone(tmp_path / "wide", hidden_size=48))
    with pytest.raises(PairError, match="hidden_size 32 against 48"):
        InMemoryMerge(whole.loaded, wide)


def test_another_mlp_keeps_only_whole_layers_from_being_merged(
    whole: Opened, tmp_path: Path
) -> None:
    mlp = Checkpoint.open(tiny_backbone(tmp_path / "mlp", intermediate_size=64))
    InMemoryMerge(whole.loaded, mlp)
    merge = InMemoryMerge(whole.loaded, mlp, weights="text")
    backbone = whole.identity.backbone.model_copy(
        update={"fingerprint": merge._backbone_fingerprint}
    )
    everything = whole.recipe(layers=EVERYWHERE, weights="text", backbone=backbone)
    with pytest.raises(PairError, match=r"mlp.\w+.weight is \[\d+, \d+\] in the VLM and"):
        merge.apply(everything)
    assert merge.in_force == {}
    norms = everything.replaced(weights="pattern", pattern=r".*_layernorm\.weight")
    with merge.applied(norms):
        assert {tensor.name for tensor in merge.in_force} == {
            "input_layernorm.weight", "post_attention_layernorm.weight"
        }  # fmt: skip


def test_nan_in_the_backbone_is_named(whole: Opened, tmp_path: Path) -> None:
    def damaged(tensors: Tensors) -> Tensors:
        tensors["model.layers.3.self_attn.k_proj.bias"][0] = torch.nan
        return tensors

    directory = with_tensors(whole.directories.backbone, tmp_path / "b", damaged)
    with pytest.raises(CheckpointError, match=r"model.layers.3.self_attn.k_proj.bias holds NaN"):
        InMemoryMerge(whole.loaded, Checkpoint.open(directory))


def test_other_embedding_rows_and_absent_biases_are_no_matter(
    whole: Opened, tmp_path: Path
) -> None:
    config = LlamaConfig(
        vocab_size=77,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")
    merge = InMemoryMerge(whole.loaded, Checkpoint.open(tmp_path / "llama"))
    backbone = whole.identity.backbone.model_copy(
        update={"fingerprint": merge._backbone_fingerprint}
    )
    before = weights_of(whole.loaded)
    with merge.applied(whole.recipe(layers=EVERYWHERE, backbone=backbone)):
        after = weights_of(whole.loaded)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert len(changed) == 4 * N_LAYERS
    assert all(name.endswith("_proj.weight") for name in changed)
