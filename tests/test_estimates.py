"""What an estimate says is what the verbs do: counted on the tiny pair."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from merit_interp.estimates import (
    VerbNeeds,
    Workload,
    measured_flops_per_s,
    pair_needs,
)
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.loading import LoadedModel, Placement
from merit_interp.models.pair_size import PairSize, pair_size
from tests.tiny_models import TOKENS_PER_FRAME, TinyPair

WORK = Workload(n_items=40, n_frames=8, tokens_per_frame=TOKENS_PER_FRAME, batch_size=4, budget=30)


@pytest.fixture(scope="module")
def size(pair: TinyPair) -> PairSize:
    sides = Checkpoint.open(pair.vlm), Checkpoint.open(pair.backbone)
    return pair_size(*sides, dtype=torch.float32, n_tokens=WORK.n_tokens)


@pytest.fixture(scope="module")
def needs(size: PairSize) -> dict[str, VerbNeeds]:
    return {need.verb: need for need in pair_needs(size, WORK)}


def test_copies_are_those_that_a_merge_in_memory_holds(
    needs: dict[str, VerbNeeds], vlm: LoadedModel, pair: TinyPair
) -> None:
    backbone = Checkpoint.open(pair.backbone)
    for verb, settings in (("search", {}), ("evaluate", {"weights": "text", "lean": True})):
        merge = InMemoryMerge(vlm, backbone, **settings)  # type: ignore[arg-type]
        held = [*merge._originals.kept.values(), *merge._backbone.kept.values()]
        assert needs[verb].copies_bytes == sum(t.numel() * t.element_size() for t in held)


def test_weights_are_the_models(
    needs: dict[str, VerbNeeds], vlm: LoadedModel, size: PairSize, pair: TinyPair
) -> None:
    loaded = sum(p.numel() * p.element_size() for p in vlm.model.parameters())
    assert needs["search"].weights_bytes == loaded
    assert needs["mask"].weights_bytes == loaded + 4 * size.backbone.total
    assert needs["merge"].written_bytes == size.vlm_stored_bytes
    # files hold a header beside the tensors
    assert size.vlm_stored_bytes == pytest.approx(Checkpoint.open(pair.vlm).n_bytes, rel=0.1)
    assert size.has_weights


def test_work_is_that_of_the_verbs_own_plans(needs: dict[str, VerbNeeds], size: PairSize) -> None:
    seen = size.encoder_flops_per_token * WORK.visual_tokens
    # 20 items searched by 30 recipes and the VLM, 20 validated by 8, the pruned one and the VLM
    assert needs["search"].flops == (20 * 31 + 20 * 10) * size.cost.flops + 40 * seen
    # VLM, merged, 4 + 4 uniform, first and last, 20 random
    assert needs["evaluate"].flops == 20 * (32 * size.cost.flops + seen)
    assert needs["mask"].flops > 20 * size.cost.flops
    # 32 steps of a forward and a backward in each of at least 7 models
    steps = 32 * (size.cost.flops + size.cost.backward_flops)
    assert needs["attribute"].flops > 20 * 7 * steps
    assert needs["merge"].flops == 0


def test_how_items_are_asked_is_in_the_work(needs: dict[str, VerbNeeds], size: PairSize) -> None:
    def asked(**fields: object) -> dict[str, VerbNeeds]:
        work = dataclasses.replace(WORK, n_options=5, **fields)
        return {need.verb: need for need in pair_needs(size, work)}

    forward, seen = size.cost.flops, size.encoder_flops_per_token * WORK.visual_tokens
    assert asked() == needs, "options are letters of one row, however many"
    circular = asked(circular=True)
    assert circular["search"].flops == 5 * (20 * 31 + 20 * 10) * forward + 40 * seen
    assert circular["evaluate"].flops == 20 * (5 * 32 * forward + seen)
    # all orders of an item share a batch
    assert circular["search"].rows == 5 > WORK.batch_size
    # what looks into one forward asks once
    assert [circular[verb] for verb in ("mask", "attribute")] == [needs["mask"], needs["attribute"]]
    text = asked(answers="option_text")
    assert text["search"] == circular["search"]
    assert text["attribute"].flops == 5 * needs["attribute"].flops
    assert text["mask"].flops > 4 * needs["mask"].flops
    said = asked(answers="generated", max_new_tokens=WORK.n_tokens)
    assert said["evaluate"].flops == 20 * (2 * 32 * forward + seen)
    assert {**said, "evaluate": needs["evaluate"]} == needs


def test_memory_is_the_sum_of_its_parts(needs: dict[str, VerbNeeds]) -> None:
    for need in needs.values():
        assert need.memory_bytes == (
            need.weights_bytes + need.copies_bytes + need.rows * need.row_bytes + need.other_bytes
        )
    assert needs["search"].rows == 4
    assert needs["attribute"].row_bytes > needs["search"].row_bytes
    assert needs["search"].seconds(2.0) == needs["search"].flops / 2


def test_more_items_are_more_time_and_more_rows_more_memory(size: PairSize) -> None:
    for change, field in (("n_items", "flops"), ("batch_size", "memory_bytes")):
        more = dataclasses.replace(WORK, **{change: 2 * getattr(WORK, change)})
        before, after = pair_needs(size, WORK)[0], pair_needs(size, more)[0]
        assert getattr(after, field) > getattr(before, field)


@pytest.mark.parametrize(
    ("vlm", "backbone", "bytes_per_weight"),
    [
        ("llava-onevision-qwen2-7b-ov-hf", "Qwen2-7B-Instruct", 2),
        # its type stands in the text model's part of the config
        ("Qwen3-VL-8B-Instruct", "Qwen3-8B", 2),
        ("SmolVLM2-2.2B-Instruct", "SmolLM2-1.7B-Instruct", 4),
    ],
)
def test_without_weights_the_stored_type_is_the_configs(
    vlm: str, backbone: str, bytes_per_weight: int
) -> None:
    published = Path(__file__).parent / "published"
    sides = (Checkpoint.open(published / name, needs_weights=False) for name in (vlm, backbone))
    found = pair_size(*sides, dtype=torch.bfloat16, n_tokens=8)
    assert not found.has_weights
    assert found.vlm_stored_bytes == bytes_per_weight * found.vlm.total
    assert found.backbone_stored_bytes_per_weight == 2


def test_a_throughput_is_measured_where_none_is_given() -> None:
    assert 1e8 < measured_flops_per_s(Placement(), width=64) < 1e15
