from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from merit_interp.models.kept_logits import give_kept_logits
from merit_interp.models.loading import load_vlm
from tests.tiny_families import tiny_family_pair
from tests.tiny_models import tiny_vlm

IDS = torch.arange(20, 40).reshape(2, 10)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose forward takes no `logits_to_keep` in transformers 5.23."""
    return tiny_family_pair("video_llama_3", tmp_path_factory.mktemp("pair")).vlm


@pytest.mark.parametrize("kept", [torch.tensor([9]), torch.tensor([2, 7, 8]), 3])
def test_the_asked_positions_have_the_logits_that_they_have_among_all(
    directory: Path, kept: torch.Tensor | int
) -> None:
    model = load_vlm(directory).model
    everywhere = AutoModelForImageTextToText.from_pretrained(directory).eval()
    with torch.no_grad():
        every = everywhere(input_ids=IDS).logits
        asked = model(input_ids=IDS, logits_to_keep=kept).logits
        assert torch.equal(model(input_ids=IDS).logits, every)
    expected = every[:, -kept:] if isinstance(kept, int) else every[:, kept]
    torch.testing.assert_close(asked, expected, atol=1e-6, rtol=0)


def test_a_copy_answers_for_itself(directory: Path) -> None:
    model = load_vlm(directory).model
    other = copy.deepcopy(model)
    with torch.no_grad():
        assert model(input_ids=IDS, logits_to_keep=1).logits.shape[1] == 1
        assert other(input_ids=IDS).logits.shape[1] == IDS.shape[1]


def test_a_forward_that_takes_them_is_left_alone(tmp_path: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm(tmp_path))
    give_kept_logits(model, "lm_head")
    assert not model._forward_pre_hooks
    assert not model.lm_head._forward_pre_hooks


def test_a_model_on_several_devices_picks_positions_where_its_last_layer_is(tmp_path: Path) -> None:
    """No second device here: the argument does not reach the forward, whose own picking fails."""
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm(tmp_path)).eval()
    kept = torch.tensor([1, 9])
    with torch.no_grad():
        expected = model(input_ids=IDS, logits_to_keep=kept).logits
        model.hf_device_map = {"model.language_model.layers.0": 0, "lm_head": 1}
        give_kept_logits(model, "lm_head")
        given: list[object] = []
        model.model.register_forward_pre_hook(
            lambda _, __, kwargs: given.append(kwargs.get("logits_to_keep", 0)), with_kwargs=True
        )
        assert torch.equal(model(input_ids=IDS, logits_to_keep=kept).logits, expected)
    assert given == [0]
