from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.tiny_models import TinyPair, tiny_backbone

PUBLISHED = Path(__file__).parent.parent / "published"
VLM, BACKBONE = PUBLISHED / "Qwen2.5-VL-7B-Instruct", PUBLISHED / "Qwen2.5-7B-Instruct"
GIB = 2**30


def test_a_published_size_needs_no_weights(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    words = ("pair", "--estimate", "--vlm", VLM, "--backbone", BACKBONE)
    words = (*words, "--dtype", "bfloat16", "--batch-size", 4, "--tflops", 200)
    ended = command(*words)
    assert ended.code == 0, ended.err
    assert "computed from config.json alone, on the meta device" in ended.out
    assert "(8.29 G parameters)" in ended.out
    assert "(7.62 G parameters)" in ended.out
    assert "28 text layers of 6.53 G, of which self-attention 0.82 G" in ended.out
    rows = [line.split()[1] for line in ended.out.splitlines() if line.startswith("│")]
    assert rows == ["search", "evaluate", "mask", "attribute", "merge"]
    assert "throughput 200 TFLOP/s, given" in ended.out
    value = json.loads(command(*words, "--json").out)
    needs = {need["verb"]: need for need in value["needs"]}
    assert needs["search"]["weights_bytes"] == 2 * 8_292_166_656
    # about 3 GiB of copies, as `InMemoryMerge` says of a 7B model in bfloat16
    assert needs["search"]["copies_bytes"] / GIB == pytest.approx(3.06, abs=0.01)
    assert needs["merge"]["written_bytes"] == 2 * 8_292_166_656
    assert needs["search"]["seconds"] == needs["search"]["flops"] / 200e12


def test_weights_on_disk_are_sized_by_their_headers(
    pair: TinyPair, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no weight is read
    monkeypatch.delattr("safetensors.safe_open")
    words = ("pair", "--estimate", "--vlm", pair.vlm, "--backbone", pair.backbone)
    ended = command(*words, "--frames", 8, "--tokens-per-frame", 4, "--items", 20)
    assert ended.code == 0, ended.err
    assert "computed from the headers of the weights" in ended.out
    assert "a prompt of 160 tokens (8 frames of 4, text 128)" in ended.out
    assert "measured on cpu" in ended.out


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], "200 items, a video each, one row each (--answers letter), half"),
        (
            ["--circular", "--options", 5],
            "5 orders of options in search and evaluate (--answers letter --circular)",
        ),
        (["--answers", "option_text"], "a row for each of 4 options (--answers option_text)"),
        (
            ["--answers", "generated", "--max-new-tokens", 9],
            "one row each, 9 tokens said in evaluate, letters in all else (--answers generated)",
        ),
    ],
)
def test_the_estimate_says_how_items_are_asked(
    pair: TinyPair, command: Command, words: list[object], asked: str
) -> None:
    both = ("--vlm", pair.vlm, "--backbone", pair.backbone, "--tflops", 1)
    ended = command("pair", "--estimate", *both, *words)
    assert ended.code == 0, ended.err
    assert asked in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--answers", "letters"], "answers 'letters'; valid: letter, option_text or generated"),
        (["--answers", "option_text", "--circular"], "with answers option_text no options are"),
        (["--tflops", "-5"], "tflops -5.0; valid: a number above 0"),
        (["--tflops", "nan"], "tflops nan; valid: a number above 0"),
        (["--tflops", "0"], "tflops 0.0; valid: a number above 0"),
    ],
)
def test_settings_that_no_verb_takes_are_not_estimated(
    pair: TinyPair, command: Command, words: list[object], message: str
) -> None:
    ended = command("pair", "--estimate", "--vlm", pair.vlm, "--backbone", pair.backbone, *words)
    assert ended.code == 2
    assert message in ended.error_line


def test_a_pair_that_does_not_pair_is_not_estimated(
    pair: TinyPair, tmp_path: Path, command: Command
) -> None:
    other = tiny_backbone(tmp_path / "b", num_key_value_heads=4)
    for backbone, what in (
        (other, "num_key_value_heads 2 against 4"),
        (pair.vlm, "is given as VLM and as backbone"),
        (BACKBONE, "hidden_size 32 against 3584"),
    ):
        ended = command("pair", "--estimate", "--vlm", pair.vlm, "--backbone", backbone)
        assert ended.code == 2
        assert what in ended.error_line
    ended = command("pair", "--estimate", "--vlm", BACKBONE, "--backbone", VLM)
    assert "are swapped" in ended.error_line
    # all else wants the weights
    ended = command("pair", "--vlm", VLM, "--backbone", BACKBONE)
    assert ended.code == 2
    assert "has no safetensors" in ended.error_line
    ended = command("pair", "--estimate", "--vlm", VLM, "--backbone", BACKBONE, "--dtype", "int4")
    assert "no dtype 'int4'" in ended.error_line
