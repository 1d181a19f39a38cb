"""Packed batches equal single prompts; a killed training resumes to the same weights."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from merit_interp.microworld.pair_configs import build_backbone, build_vlm
from merit_interp.microworld.stage_loop import StagePlan, rate_at
from merit_interp.microworld.tokenizer import TEXT_CHAT_TEMPLATE, build_tokenizer
from merit_interp.microworld.train import main
from merit_interp.microworld.training_batches import IGNORED, TokenCodec, pack_clips, text_of
from merit_interp.microworld.world import QUESTION_KINDS, RECITALS, ask_all, draw_clip

TOKENIZER = build_tokenizer(TEXT_CHAT_TEMPLATE)
CODEC = TokenCodec(TOKENIZER)
TINY = {
    "seed": 1, "threads": 1, "backbone_steps": 6, "tower_steps": 4, "alignment_steps": 4,
    "adaptation_steps": 6, "backbone_batch": 2, "batch": 2, "bank_looks": 2, "exam_clips": 2,
    "checkpoint_every": 2,
}  # fmt: skip


def arguments(out: Path) -> list[str]:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    return ["--out", str(out), *options]


def test_a_packed_question_equals_its_single_prompt() -> None:
    torch.manual_seed(0)
    backbone = build_backbone().eval()
    rng = random.Random(0)
    clips = [draw_clip(rng, 7) for _ in range(2)]
    asked = [ask_all(clip, rng, list(QUESTION_KINDS)) for clip in clips]
    batch = pack_clips(clips, asked, CODEC, video=False, recitals=list(RECITALS))
    with torch.no_grad():
        packed = backbone(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
        ).logits
        for row, clip in enumerate(clips):
            for question, column in zip(asked[row], batch.answer_columns[row], strict=True):
                prompt = torch.tensor([TOKENIZER.encode(text_of(clip, question))])
                single = backbone(input_ids=prompt).logits[0, -1]
                assert torch.allclose(single, packed[row, column], atol=1e-5)
                assert batch.labels[row, column] == CODEC.answer(question.answer)


def test_a_packed_question_on_video_equals_its_single_prompt() -> None:
    torch.manual_seed(0)
    vlm = build_vlm(build_backbone()).eval()
    rng = random.Random(0)
    clip = draw_clip(rng, 6)
    asked = ask_all(clip, rng, ["after", "position", "present"])
    batch = pack_clips([clip], [asked], CODEC, video=True, recitals=["Describe the clip:"])
    pixels = torch.rand(1, 6, 3, 32, 32)
    with torch.no_grad():
        packed = vlm(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            pixel_values_videos=pixels,
        ).logits[0]
        for question, column in zip(asked, batch.answer_columns[0], strict=True):
            prompt = torch.tensor([TOKENIZER.encode("<video>" * 7 + question.text)])
            single = vlm(input_ids=prompt, pixel_values_videos=pixels).logits[0, -1]
            assert torch.allclose(single, packed[column], atol=1e-5)


def test_labels_are_the_next_tokens() -> None:
    rng = random.Random(0)
    clip = draw_clip(rng, 6)
    batch = pack_clips([clip], [[]], CODEC, video=False, recitals=["Name the colours:"])
    labels = batch.labels[0][batch.labels[0] != IGNORED].tolist()
    assert labels == [*(CODEC.answer(e.colour) for e in clip), CODEC.answer("."), CODEC.end]


def test_rate_warms_up_and_falls() -> None:
    plan = StagePlan("x", steps=1000, rate=1.0)
    rates = [rate_at(plan, step) for step in range(1000)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.05, abs=1e-3)


def test_a_killed_training_resumes_to_the_same_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    try:
        assert main(arguments(whole)) == 0
        _train_and_kill(killed)
        assert not (killed / "vlm").exists()
        capsys.readouterr()
        assert main(arguments(killed)) == 0
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr().out
    assert "[alignment] done before" in said
    assert "[adaptation] resumes at step 2" in said
    for part in ("vlm", "backbone"):
        one = load_file(whole / part / "model.safetensors")
        other = load_file(killed / part / "model.safetensors")
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    report = json.loads((killed / "training_report.json").read_text())
    assert list(report["stages"]) == ["backbone", "tower", "alignment", "adaptation"]
    assert main([*arguments(whole), "--seed=2"]) == 2
    assert "other settings: seed" in capsys.readouterr().err


def _train_and_kill(out: Path) -> None:
    """Runs the training in a process that is killed right after a checkpoint of the last stage."""
    program = """
import os, signal, sys
from merit_interp.microworld import stage_loop, train
save = stage_loop.save_whole
def save_and_die(state, path):
    save(state, path)
    if path.name == "adaptation.pt":
        os.kill(os.getpid(), signal.SIGKILL)
stage_loop.save_whole = save_and_die
train.main(sys.argv[1:])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments(out)], capture_output=True, timeout=120
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
