"""Files and hashes of recipes must outlive the code that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from merit_interp.errors import RecipeError
from merit_interp.recipe import (
    ItemsReference,
    ModelReference,
    Recipe,
    parse_recipe,
    read_recipe,
    write_recipe,
)

VLM = ModelReference(source="models/vlm", fingerprint="sha256:" + "1" * 64)
BACKBONE = ModelReference(source="owner/backbone", revision="abc", fingerprint="sha256:" + "2" * 64)
BASE = ModelReference(source="owner/base", fingerprint="sha256:" + "4" * 64)
PLAIN = Recipe(vlm=VLM, backbone=BACKBONE)

FIRST_OF_VERSION_1 = """{
  "format": "merit-interp/recipe",
  "version": 1,
  "vlm": {
    "source": "models/vlm",
    "revision": null,
    "fingerprint": "sha256:1111111111111111111111111111111111111111111111111111111111111111"
  },
  "backbone": {
    "source": "owner/backbone",
    "revision": "abc",
    "fingerprint": "sha256:2222222222222222222222222222222222222222222222222222222222222222"
  },
  "method": "linear",
  "weights": "self_attention",
  "projections": [
    "q",
    "k",
    "v",
    "o"
  ],
  "layers": {
    "2": 0.5,
    "4": {
      "q": 1.0,
      "o": 0.25
    }
  },
  "items": {
    "source": "items.jsonl",
    "sha256": "3333333333333333333333333333333333333333333333333333333333333333",
    "split": "search",
    "scoring": {
      "answers": "letter",
      "max_frames": 16
    }
  },
  "search": {
    "sampler": "cmaes",
    "seed": 0
  }
}
"""


def test_the_first_recipes_keep_their_bytes_and_hash(tmp_path: Path) -> None:
    recipe = parse_recipe(FIRST_OF_VERSION_1, name="r.json")
    assert recipe.to_json() == FIRST_OF_VERSION_1
    assert recipe.merge_hash == "3f020be70ae89628"
    assert recipe == PLAIN.replaced(
        layers={2: 0.5, 4: {"q": 1.0, "o": 0.25}},
        items=ItemsReference(source="items.jsonl", sha256="3" * 64, split="search"),
        search={"sampler": "cmaes", "seed": 0},
    )
    write_recipe(recipe, tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text() == FIRST_OF_VERSION_1


def test_hashes_of_other_first_recipes() -> None:
    assert PLAIN.replaced(weights="text", layers={0: 0.5, 1: 0.5}).merge_hash == "61f5a3dd2a0498f7"
    assert PLAIN.replaced(projections=("q", "k")).merge_hash == "a6e1cbb710b2d466"


@pytest.mark.parametrize(
    "fields",
    [
        {"base": BASE, "method": "ties"},
        {"settings": {"density": 0.5}},
        {"settings": {"seed": 0, "rescale": True}},
        {"weights": "pattern", "pattern": r"mlp\..*"},
    ],
)
def test_a_field_that_is_set_is_written_and_hashed(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    recipe = PLAIN.replaced(**fields)
    write_recipe(recipe, tmp_path / "r.json")
    again = read_recipe(tmp_path / "r.json")
    assert again == recipe
    assert again.to_json() == recipe.to_json()
    assert recipe.merge_hash != PLAIN.merge_hash
    for name in fields:
        assert f'"{name}": ' in recipe.to_json()
    assert recipe.replaced(**{name: getattr(PLAIN, name) for name in fields}) == PLAIN


def test_settings_have_one_order_and_their_own_types() -> None:
    a = PLAIN.replaced(settings={"seed": 1, "density": 0.5, "rescale": False})
    b = PLAIN.replaced(settings={"rescale": False, "density": 0.5, "seed": 1})
    assert a.to_json() == b.to_json()
    again = parse_recipe(a.to_json(), name="a")
    assert [type(v) for v in again.settings.values()] == [float, bool, int]


def test_the_hash_knows_the_base_by_its_weights_alone() -> None:
    here, there = (
        PLAIN.replaced(base=BASE.model_copy(update={"source": source})) for source in ("a", "b")
    )
    assert here.merge_hash == there.merge_hash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "pattern"}, "go together"),
        ({"pattern": "mlp"}, "go together"),
        ({"weights": "pattern", "pattern": "mlp("}, "is no regular expression"),
        ({"settings": {"density": "much"}}, "settings"),
        ({"settings": {"density": float("nan")}}, "setting density is nan"),
    ],
)
def test_what_a_recipe_cannot_say(fields: dict[str, object], message: str) -> None:
    import json

    body = json.loads(PLAIN.to_json())
    with pytest.raises(RecipeError, match=message):
        parse_recipe(json.dumps({**body, **fields}), name="r.json")
