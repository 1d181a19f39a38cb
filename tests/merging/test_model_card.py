from __future__ import annotations

from merit_interp.merging.model_card import model_card
from merit_interp.recipe import ModelReference, Recipe


def test_hub_ids_are_named_as_base_models() -> None:
    recipe = Recipe(
        vlm=ModelReference(source="owner/vlm", revision="abc", fingerprint="sha256:1"),
        backbone=ModelReference(source="owner/backbone", fingerprint="sha256:2"),
        weights="text",
        layers={0: 0.5},
    )
    card = model_card(recipe, "merged")
    assert "base_model:\n- owner/vlm\n- owner/backbone\nbase_model_relation: merge" in card
    assert "- VLM: `owner/vlm` at abc, sha256:1" in card
    assert "on all weights of the layer" in card
    assert "| 0 | 0.5 |" in card
