"""Every family under every video control: it sees what is shown, and prompts keep their length."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest

from merit_interp.benchmarks.items import ItemFile
from merit_interp.benchmarks.video_controls import CONTROLS, VideoControl
from merit_interp.errors import SettingError
from merit_interp.merging.control_scores import (
    check_black_frames,
    drops_black_frames,
    shorter_prompts,
)
from merit_interp.models.loading import load_vlm
from merit_interp.scoring.evaluation import Evaluation
from tests.families.conftest import LETTER, TinyFamily
from tests.tiny_families import tiny_family_pair


@pytest.fixture(scope="module")
def shown(clips: ItemFile) -> ItemFile:
    """The items of the clips, with evidence in their second frame."""
    items = tuple(dataclasses.replace(item, evidence=((0.3, 0.45),)) for item in clips.items)
    return dataclasses.replace(clips, items=items)


def test_controls_change_what_a_family_sees_and_nothing_else(
    family: TinyFamily, shown: ItemFile
) -> None:
    items = [item for item in shown.items if item.start_s is None]
    plain = Evaluation(family.vlm, shown, items, LETTER)
    real = plain.scores("vlm", "vlm")
    for name in CONTROLS:
        control = VideoControl(name)
        under = Evaluation(family.vlm, shown, items, LETTER, control=control)
        scores = under.scores("vlm", "vlm")
        assert {score.status for score in scores} == {"ok"}
        assert all(math.isfinite(value) for score in scores for value in score.log_probs)
        assert [s.log_probs for s in scores] != [s.log_probs for s in real]
        line = shorter_prompts(name, under.encoded, plain.encoded)
        if family.vlm.family.kept_vectors and name in ("black", "single_frame"):
            # what repeats the frame before is dropped, also where a control makes it repeat
            assert line is not None
            assert f"under {name} prompts have " in line
        elif not family.vlm.family.kept_vectors:
            assert line is None
            for index, encoded in under.encoded.items():
                assert encoded.input_ids.tolist() == plain.encoded[index].input_ids.tolist()


def test_a_black_frame_is_padding_to_no_family(family: TinyFamily) -> None:
    assert not drops_black_frames(family.vlm)


def test_black_frames_that_a_family_drops_are_refused(tmp_path: Path) -> None:
    pair = tiny_family_pair("smolvlm", tmp_path)
    for name in ("preprocessor_config.json", "video_preprocessor_config.json"):
        body = json.loads((pair.vlm / name).read_text())
        (pair.vlm / name).write_text(json.dumps({**body, "image_mean": [0.0, 0.0, 0.0]}))
    vlm = load_vlm(pair.vlm)
    assert drops_black_frames(vlm)
    check_black_frames([VideoControl("shuffled"), VideoControl("single_frame")], vlm)
    with pytest.raises(SettingError) as refused:
        check_black_frames([VideoControl("black"), VideoControl("evidence_only")], vlm)
    assert "drops as padding, so black and evidence_only would show fewer frames" in str(
        refused.value
    )
    assert "valid: shuffled, reversed, single_frame" in str(refused.value)
