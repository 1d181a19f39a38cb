from __future__ import annotations

import json
from importlib.resources import files

import pytest

from merit_interp.benchmarks.importers import NAMES
from merit_interp.errors import SettingError
from merit_interp.merging.lmms_eval import check_lmms_eval, lmms_eval_section, lmms_eval_tasks
from merit_interp.merging.model_card import model_card
from merit_interp.models.families import VLM_FAMILIES
from merit_interp.recipe import ModelReference, Recipe

TABLE = json.loads((files("merit_interp.merging") / "lmms_eval.json").read_text())


def test_every_family_and_every_benchmark_is_answered_for() -> None:
    assert TABLE["models"].keys() | TABLE["without_model"].keys() == VLM_FAMILIES.keys()
    assert not TABLE["models"].keys() & TABLE["without_model"].keys()
    assert TABLE["tasks"].keys() | set(TABLE["without_task"]) == set(NAMES)
    assert not TABLE["tasks"].keys() & set(TABLE["without_task"])


def test_benchmarks_go_by_our_names_or_by_those_of_lmms_eval() -> None:
    assert lmms_eval_tasks("video-mme, mvbench,videomme") == ("videomme", "mvbench")
    assert lmms_eval_tasks("temp_compass") == (
        "tempcompass_multi_choice",
        "tempcompass_yes_no",
        "tempcompass_caption_matching",
    )
    assert lmms_eval_tasks("tempcompass_yes_no") == ("tempcompass_yes_no",)


@pytest.mark.parametrize("name", [*TABLE["without_task"], "", "videome"])
def test_a_benchmark_without_a_task_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(SettingError, match=r"no task for .*; valid: video_mme, temp_compass"):
        lmms_eval_tasks(f"video_mme,{name}")


@pytest.mark.parametrize("model_type", [*TABLE["without_model"], "other"])
def test_a_family_without_a_model_is_refused_in_one_line(model_type: str) -> None:
    with pytest.raises(SettingError, match=f"no model for {model_type} .*valid: .*qwen2_5_vl"):
        check_lmms_eval(model_type)


def test_the_command_names_model_directory_frames_and_tasks() -> None:
    text = "\n".join(lmms_eval_section("qwen2_5_vl", ("videomme", "mvbench"), "my merged", 8))
    assert "python -m lmms_eval --model qwen2_5_vl \\\n" in text
    assert "--model_args 'pretrained=my merged,max_num_frames=8' \\\n" in text
    assert "--tasks videomme,mvbench --batch_size 1 --output_path lmms-eval\n" in text
    assert "- `mvbench`: reads videos that were cut beforehand" in text
    assert "`videomme`:" not in text


def test_what_a_model_of_lmms_eval_wants_is_in_its_command() -> None:
    onevision = "\n".join(lmms_eval_section("llava_onevision", ("tvbench",), "merged", 16))
    assert "max_frames_num=16" in onevision
    # its chat route ignores the number of frames
    assert onevision.count("--force_simple") == 1
    assert "num_frames=8" in "\n".join(lmms_eval_section("video_llava", ("tvbench",), "m", 16))


def test_the_model_card_has_the_section_only_where_it_was_asked_for() -> None:
    model = ModelReference(source="owner/vlm", fingerprint="sha256:1")
    recipe = Recipe(vlm=model, backbone=model, layers={0: 0.5})
    section = lmms_eval_section("qwen3_vl", ("lvbench",), "merged", 16)
    assert "lmms" not in model_card(recipe, "merged")
    card = model_card(recipe, "merged", scoring=section)
    assert card.index("AutoProcessor") < card.index("lmms_eval") < card.index("The licences")
