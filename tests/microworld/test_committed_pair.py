"""The committed checkpoints load as any others, and are as good as their report says."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from merit_interp.microworld import backbone_directory, vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.microworld.renderer import read_pixels
from merit_interp.microworld.stage_scores import draw_exam, score_stage, skill_accuracy
from merit_interp.microworld.tokenizer import TEXT_CHAT_TEMPLATE, build_tokenizer
from merit_interp.microworld.train import TrainingSettings, render_exam
from merit_interp.microworld.training_batches import TokenCodec

CODEC = TokenCodec(build_tokenizer(TEXT_CHAT_TEMPLATE))
REPORT = vlm_directory().parent / "training_report.json"


def loaded(kind: Any, directory: Path) -> Any:
    model, info = kind.from_pretrained(directory, output_loading_info=True)
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[name], (name, info[name])
    assert model.dtype == torch.float32
    return model.eval()


@pytest.fixture(scope="module")
def backbone() -> Any:
    return loaded(AutoModelForCausalLM, backbone_directory())


@pytest.fixture(scope="module")
def vlm() -> Any:
    return loaded(AutoModelForImageTextToText, vlm_directory())


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    stages: dict[str, Any] = json.loads(REPORT.read_text())["stages"]
    return stages


def test_directories_are_whole_and_small() -> None:
    for directory, names in (
        (backbone_directory(), []),
        (
            vlm_directory(),
            ["preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json"],
        ),
    ):
        for name in [
            "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
            "tokenizer_config.json", "chat_template.jinja", *names,
        ]:  # fmt: skip
            assert (directory / name).is_file(), name
    size = sum(p.stat().st_size for p in vlm_directory().parent.rglob("*") if p.is_file())
    assert size < 12e6


def test_classes_are_transformers_own_and_pair(vlm: Any, backbone: Any) -> None:
    assert type(vlm).__name__ == "LlavaOnevisionForConditionalGeneration"
    assert type(backbone).__name__ == "Qwen2ForCausalLM"
    text = vlm.model.language_model.state_dict()
    assert {k: v.shape for k, v in text.items()} == {
        k: v.shape for k, v in backbone.model.state_dict().items()
    }
    assert vlm.lm_head.weight is vlm.get_input_embeddings().weight


def test_the_report_meets_what_was_asked(stages: dict[str, Any]) -> None:
    assert stages["backbone"]["TR"] >= 0.95
    assert stages["adaptation"]["TP"] >= 0.90
    best = max(stages["backbone"]["TR"], stages["alignment"]["TR"])
    assert stages["adaptation"]["TR"] <= best - 0.15


def agrees(measured: float, reported: float, items: int) -> bool:
    """Whether two shares differ by no more than four standard errors of the smaller sample."""
    spread = math.sqrt(max(reported * (1 - reported), 0.01) / items)
    return abs(measured - reported) <= 4 * spread


@pytest.mark.parametrize("model", ["backbone", "vlm"])
def test_weights_score_as_reported(
    model: str, stages: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    exam = draw_exam(seed=77, clips=32, repeats=1)
    stage = stages["backbone"]
    if model == "vlm":
        exam, stage = render_exam(exam, seed=77), stages["adaptation"]
    scores = score_stage(request.getfixturevalue(model), exam, CODEC)
    assert agrees(skill_accuracy(scores, "reasoning"), stage["TR"], items=5 * 32)
    assert agrees(skill_accuracy(scores, "perception"), stage["TP"], items=4 * 32)
    for kind, score in scores.items():
        assert agrees(score.accuracy, stage["kinds"][kind]["accuracy"], score.items), kind


def test_the_vlm_answers_an_item_through_its_own_template(vlm: Any, tmp_path: Path) -> None:
    """A perception item, from its mp4 through the chat template to a generated word."""
    path = write_item_sets(tmp_path, seed=5, sizes={"search": 12})["search"]
    tokenizer = AutoTokenizer.from_pretrained(vlm_directory())
    right, asked = 0, 0
    for line in path.read_text().splitlines():
        item = json.loads(line)
        if item["skill"] != "perception":
            continue
        pixels = torch.from_numpy(np.expand_dims(read_pixels(path.parent / item["video"]), 0))
        content = [{"type": "video"}, {"type": "text", "text": item["question"]}]
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        text = text.replace("<video>", "<video>" * (pixels.shape[1] + 1))
        ids = torch.tensor([tokenizer.encode(text)])
        said = vlm.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values_videos=pixels,
            max_new_tokens=4,
            do_sample=False,
        )[0, ids.shape[1] :]
        right += (
            tokenizer.decode(said, skip_special_tokens=True).strip()
            == (item["options"][item["answer"]])
        )
        asked += 1
    assert asked == 36
    assert right >= 0.75 * asked


def test_the_committed_weights_were_trained_with_the_defaults() -> None:
    report = json.loads(REPORT.read_text())
    assert report["settings"] == json.loads(json.dumps(TrainingSettings().__dict__))
