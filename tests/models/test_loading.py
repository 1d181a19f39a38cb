from __future__ import annotations

from pathlib import Path

from merit_interp.models.loading import load_backbone, load_vlm
from tests.tiny_models import N_LAYERS, tiny_pair


def test_a_pair_loads(tmp_path: Path) -> None:
    pair = tiny_pair(tmp_path)
    vlm, backbone = load_vlm(pair.vlm), load_backbone(pair.backbone)
    assert vlm.n_layers == backbone.n_layers == N_LAYERS
    pass
    print(
        type(vlm.tokenizer),
        vlm.tokenizer.tokenize("the circle A. star <video>"),
        vlm.tokenizer.chat_template,
    )
