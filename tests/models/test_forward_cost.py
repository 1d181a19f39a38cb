from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen2ForCausalLM

from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.families import BACKBONE_FAMILIES, VLM_FAMILIES
from merit_interp.models.forward_cost import text_forward_cost
from merit_interp.models.loading import load_backbone
from merit_interp.models.meta_models import meta_model, model_parts
from tests.tiny_models import N_LAYERS, TinyPair, tiny_text_config

QWEN2 = BACKBONE_FAMILIES["qwen2"]
N_TOKENS = 96
WIDTH, INNER, HEADS, KV_HEADS, HEAD_DIM = 32, 48, 4, 2, 8


@pytest.fixture(scope="module")
def model(pair: TinyPair) -> Qwen2ForCausalLM:
    checkpoint = Checkpoint.open(pair.backbone, needs_weights=False)
    found = meta_model(checkpoint, QWEN2)
    assert isinstance(found, Qwen2ForCausalLM)
    return found


def test_operations_are_those_of_the_formula(model: Qwen2ForCausalLM) -> None:
    cost = text_forward_cost(model, QWEN2, n_tokens=N_TOKENS)
    weights = WIDTH * (2 * WIDTH + 2 * KV_HEADS * HEAD_DIM) + 3 * WIDTH * INNER
    # two operations a weight and token; scores and their product with the values
    attention = 4 * HEADS * HEAD_DIM * N_TOKENS**2
    # rotary frequencies are an outer product
    rotary = 2 * N_TOKENS * HEAD_DIM // 2
    expected = N_LAYERS * (2 * weights * N_TOKENS + attention) + rotary
    assert cost.flops == pytest.approx(expected, rel=1e-3)
    # gradients pass through every weight once, and attention computes five products for two
    backward = N_LAYERS * (2 * weights * N_TOKENS + 2.5 * attention)
    assert cost.backward_flops == pytest.approx(backward, rel=1e-3)


def test_memory_grows_with_the_tokens_and_is_halved_by_half_types(
    model: Qwen2ForCausalLM, pair: TinyPair
) -> None:
    one, two = (text_forward_cost(model, QWEN2, n_tokens=n) for n in (N_TOKENS, 2 * N_TOKENS))
    assert two.peak_bytes == pytest.approx(2 * one.peak_bytes, rel=0.02)
    assert two.kept_bytes == pytest.approx(2 * one.kept_bytes, rel=0.02)
    checkpoint = Checkpoint.open(pair.backbone, needs_weights=False)
    half = text_forward_cost(
        meta_model(checkpoint, QWEN2, dtype=torch.bfloat16), QWEN2, n_tokens=N_TOKENS
    )
    assert one.peak_bytes / 2 <= half.peak_bytes < one.peak_bytes
    # the norms compute in float32
    assert one.kept_bytes / 2 < half.kept_bytes < one.kept_bytes


def test_what_a_backward_keeps_is_what_a_real_one_keeps(
    model: Qwen2ForCausalLM, pair: TinyPair
) -> None:
    loaded = load_backbone(pair.backbone)
    weights = {p.untyped_storage().data_ptr() for p in loaded.model.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    text = loaded.model.get_submodule("model")
    row = torch.randn(1, N_TOKENS, WIDTH, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        text(inputs_embeds=row, use_cache=False)
    cost = text_forward_cost(model, QWEN2, n_tokens=N_TOKENS)
    # the CPU's attention keeps one number a row and head beside what every fused kernel keeps
    assert cost.kept_bytes == pytest.approx(sum(kept.values()), rel=0.03)


def test_the_peak_is_that_of_a_real_forward(model: Qwen2ForCausalLM, pair: TinyPair) -> None:
    text = load_backbone(pair.backbone).model.get_submodule("model")
    row = torch.randn(1, N_TOKENS, WIDTH)
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        text(inputs_embeds=row, use_cache=False)
    # every allocation and release in order, the allocator's own figures
    now = peak = 0
    for event in run.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    cost = text_forward_cost(model, QWEN2, n_tokens=N_TOKENS)
    assert cost.peak_bytes == pytest.approx(peak, rel=0.15)


def test_the_parts_add_up(pair: TinyPair) -> None:
    family = VLM_FAMILIES["llava_onevision"]
    checkpoint = Checkpoint.open(pair.vlm)
    parts = model_parts(meta_model(checkpoint, family), family)
    text = Qwen2ForCausalLM(tiny_text_config())
    stored = sum(torch.Size(place.shape).numel() for place in checkpoint.stored.values())
    assert parts.total == stored
    assert parts.total - parts.vision == sum(p.numel() for p in text.parameters())
    assert parts.text_layers == sum(p.numel() for p in text.model.layers.parameters())
    biases = WIDTH + 2 * KV_HEADS * HEAD_DIM
    weights = WIDTH * (2 * WIDTH + 2 * KV_HEADS * HEAD_DIM)
    assert parts.attention == N_LAYERS * (weights + biases)
    assert parts.n_layers == N_LAYERS


def test_a_config_that_transformers_refuses_is_one_line(pair: TinyPair, tmp_path: Path) -> None:
    from merit_interp.errors import CheckpointError
    from tests.models.edited_checkpoints import with_config

    broken = with_config(pair.backbone, tmp_path / "b", num_hidden_layers="many")
    with pytest.raises(CheckpointError, match="cannot build"):
        meta_model(Checkpoint.open(broken), QWEN2)
