"""Models that do not pair are refused by `pair` and `search`: what differs, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, World
from tests.models.edited_checkpoints import Tensors, copied, with_tensors
from tests.tiny_models import TinyPair, tiny_backbone

PARTNER = "valid: the text model that this VLM was made from"


def with_other_text(**changes: int) -> Callable[[TinyPair, Path], tuple[Path, Path]]:
    return lambda pair, scratch: (pair.vlm, tiny_backbone(scratch / "other", **changes))


def swapped(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    return pair.backbone, pair.vlm


def two_vlms(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    return pair.vlm, copied(pair.vlm, scratch / "other")


def two_texts(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    return copied(pair.backbone, scratch / "other"), pair.backbone


def one_vlm_twice(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    return pair.vlm, pair.vlm


def one_text_twice(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    return pair.backbone, pair.backbone


def nothing_in_common(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    def renamed(tensors: Tensors) -> Tensors:
        return {name.replace("model.layers", "transformer.h"): t for name, t in tensors.items()}

    return pair.vlm, with_tensors(pair.backbone, scratch / "other", renamed)


def no_attention_in_common(pair: TinyPair, scratch: Path) -> tuple[Path, Path]:
    def fused(tensors: Tensors) -> Tensors:
        return {name: t for name, t in tensors.items() if "self_attn" not in name}

    return pair.vlm, with_tensors(pair.backbone, scratch / "other", fused)


@pytest.mark.parametrize(
    ("chosen", "what", "what_to_do"),
    [
        (with_other_text(hidden_size=48), "hidden_size 32 against 48", PARTNER),
        (with_other_text(num_hidden_layers=3), "num_hidden_layers 4 against 3", PARTNER),
        (with_other_text(num_hidden_layers=6), "num_hidden_layers 4 against 6", PARTNER),
        (with_other_text(num_key_value_heads=4), "num_key_value_heads 2 against 4", PARTNER),
        (
            # equal shapes of every weight, and other heads
            with_other_text(num_attention_heads=8, num_key_value_heads=4),
            "head_dim 8 against 4",
            PARTNER,
        ),
        (swapped, "are swapped", "valid: --vlm "),
        (two_vlms, "other is a VLM (llava_onevision), not a backbone", PARTNER),
        (two_texts, "other is a text-only model (qwen2), not a VLM", "valid: VLM families"),
        (one_vlm_twice, "is given as VLM and as backbone", PARTNER),
        (one_text_twice, "is given as VLM and as backbone", PARTNER),
        (nothing_in_common, "keeps its text layers under no known prefix", "model.layers"),
        (no_attention_in_common, "layer 0 q.weight missing in the backbone", PARTNER),
    ],
)
def test_wrong_pairs_are_refused_at_once(
    chosen: Callable[[TinyPair, Path], tuple[Path, Path]],
    what: str,
    what_to_do: str,
    world: World,
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # nothing is read but configs and headers
    monkeypatch.delattr("safetensors.safe_open")
    pair = TinyPair(Path(world.vlm), Path(world.backbone))
    vlm, backbone = chosen(pair, tmp_path)
    models = ("--vlm", vlm, "--backbone", backbone)
    run = tmp_path / "run"
    for words in (
        ("pair", *models),
        ("pair", *models, "--out", run),
        ("search", *models, "--items", world.items, "--out", run),
    ):
        ended = command(*words)
        assert ended.code == 2
        assert what in ended.error_line
        assert what_to_do in ended.error_line
        assert ended.out == ""
        assert not run.exists()
