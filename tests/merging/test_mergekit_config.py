from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from merit_interp.errors import RecipeError
from merit_interp.merging.mergekit_config import mergekit_from_recipe, recipe_from_mergekit
from merit_interp.merging.mergekit_values import Document, read_document
from merit_interp.models.checkpoint_files import Checkpoint
from merit_interp.models.fingerprints import fingerprint
from merit_interp.recipe import ModelReference, Recipe
from tests.merging.conftest import Opened
from tests.tiny_models import N_LAYERS, tiny_backbone

ALL = dict.fromkeys(range(N_LAYERS), 0.35)
RECIPES: dict[str, dict[str, Any]] = {
    "identity": {},
    "self_attention": {"layers": {0: 0.3, 2: 1.0}},
    "projections": {"layers": {1: {"q": 0.7, "o": 0.1}, 3: 0.5}},
    "text": {"layers": ALL, "weights": "text"},
    "some whole layers": {"layers": {1: 1 / 3, 2: 1.0}, "weights": "text"},
    "pattern": {
        "layers": {0: 0.25, 3: 1.0},
        "weights": "pattern",
        "pattern": r"mlp\.down_proj\.weight|mlp\.gate_proj\.weight|mlp\.up_proj\.weight",
    },
    "slerp": {"method": "slerp", "layers": {1: 0.4}},
    "task_arithmetic": {"method": "task_arithmetic", "layers": {1: 0.4, 2: 1.0}},
    "scaled": {
        "method": "task_arithmetic", "layers": {1: 0.4, 2: 1.0}, "settings": {"lambda": 0.5}
    },
    "additive": {
        "method": "task_arithmetic", "layers": {1: 0.4, 2: 1.0}, "settings": {"keep_vlm": True}
    },
    "ties": {"method": "ties", "layers": {0: 0.4, 2: 1.0}, "settings": {"density": 0.5}},
    "ties by default": {"method": "ties", "layers": ALL, "weights": "text"},
    "dare": {
        "method": "dare_ties", "layers": {0: 0.4}, "settings": {"density": 0.25, "rescale": False}
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelReference:
    checkpoint = Checkpoint.open(tiny_backbone(tmp_path_factory.mktemp("base"), seed=7))
    return ModelReference(source=checkpoint.source, fingerprint=fingerprint(checkpoint))


def parsed(opened: Opened, tmp_path: Path, **content: Any) -> Recipe:
    return recipe_from_mergekit(on_disk(opened, tmp_path, **content))


def on_disk(opened: Opened, tmp_path: Path, **content: Any) -> Path:
    """A file of two models of equal weight in all layers, but for what is said."""
    layers = [{"filter": ".layers.", "value": 0.5}]
    models = [
        {"model": str(side), "parameters": {"weight": [*layers, {"value": outside}]}}
        for side, outside in ((opened.directories.vlm, 1), (opened.directories.backbone, 0))
    ]
    document = {"merge_method": "linear", "models": models, **content}
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump({key: v for key, v in document.items() if v is not None}))
    return path


@pytest.mark.parametrize("fields", RECIPES.values(), ids=RECIPES)
def test_what_is_written_reads_back(
    whole: Opened, base: ModelReference, tmp_path: Path, fields: dict[str, Any]
) -> None:
    needs_base = fields.get("method", "linear") not in ("linear", "slerp")
    recipe = whole.recipe(**fields, base=base if needs_base else None)
    path = tmp_path / "out.yml"
    path.write_text(mergekit_from_recipe(recipe, whole.vlm))
    back = recipe_from_mergekit(path)
    for layer, coefficient in recipe.layers.items():
        assert back.layers[layer] == pytest.approx(coefficient, abs=1e-11)
    if fields.get("weights") == "pattern":
        assert back.pattern is not None
        assert set(back.pattern.split("|")) == set(fields["pattern"].split("|"))
        back = back.replaced(pattern=recipe.pattern)
    assert back.replaced(layers=recipe.layers).merge_hash == recipe.merge_hash
    assert set(back.layers) == set(recipe.layers)


def test_a_layer_swap_is_written_as_a_linear_merge_at_its_end(
    whole: Opened, tmp_path: Path
) -> None:
    recipe = whole.recipe(method="layer_swap", layers={1: 1.0}, weights="text")
    path = tmp_path / "out.yml"
    path.write_text(mergekit_from_recipe(recipe, whole.vlm))
    assert recipe_from_mergekit(path).merge_hash == recipe.replaced(method="linear").merge_hash


def test_weights_are_normalised_as_mergekit_does(whole: Opened, tmp_path: Path) -> None:
    models = [
        {"model": str(whole.directories.backbone), "parameters": {"weight": [
            {"filter": "self_attn", "value": 0.1}, {"value": 0.0}]}},
        {"model": str(whole.directories.vlm), "parameters": {"weight": 1.0}},
    ]  # fmt: skip
    recipe = parsed(whole, tmp_path, models=models)
    assert recipe.weights == "self_attention"
    assert recipe.layers == dict.fromkeys(range(N_LAYERS), pytest.approx(0.1 / 1.1, abs=1e-11))
    with pytest.raises(RecipeError, match=r"weight adds up to 1.1; valid: 1, or normalize: true"):
        parsed(whole, tmp_path, models=models, parameters={"normalize": False})


def test_slices_gradients_filters_and_precedence(whole: Opened, tmp_path: Path) -> None:
    vlm, backbone = str(whole.directories.vlm), str(whole.directories.backbone)
    slices = [
        {"sources": [{"model": vlm, "layer_range": [0, 1], "parameters": {"t": 0}}]},
        {
            "sources": [
                {"model": vlm, "layer_range": [1, 4]},
                {"model": backbone, "layer_range": [1, 4]},
            ],
            "parameters": {"t": [{"filter": "q_proj", "value": [0, 1]}]},
        },
    ]
    recipe = parsed(
        whole, tmp_path, models=None, slices=slices, merge_method="slerp", base_model=vlm,
        parameters={"t": [{"filter": "o_proj", "value": 0.25}, {"value": 0.0}]},
    )  # fmt: skip
    assert recipe.method == "slerp"
    assert recipe.layers == {
        1: {"o": 0.25},
        2: {"q": 0.5, "o": 0.25},
        3: {"q": 1.0, "o": 0.25},
    }
    other_way = parsed(
        whole, tmp_path, models=None, slices=[
            {"sources": [{"model": m, "layer_range": [0, 4]} for m in (vlm, backbone)]}],
        merge_method="slerp", base_model=backbone,
        parameters={"t": [{"filter": "v_proj", "value": 0.8}, {"value": 1.0}]},
    )  # fmt: skip
    assert other_way.layers == {layer: {"v": pytest.approx(0.2)} for layer in range(4)}


def test_the_module_that_mixes_models_is_read(whole: Opened, tmp_path: Path) -> None:
    vlm = {"model": str(whole.directories.vlm), "layer_range": [0, 4]}
    backbone = {"model": str(whole.directories.backbone), "layer_range": [0, 4]}
    weight = [{"filter": ".layers.", "value": 1.0}, {"value": 0.0}]
    text = {
        "slices": [
            {
                "sources": [
                    {**vlm, "parameters": {"weight": 1.0}},
                    {**backbone, "parameters": {"weight": weight}},
                ]
            }
        ]
    }
    tower = {"slices": [{"sources": [vlm]}], "parameters": {"weight": 1.0}}  # fmt: skip
    recipe = parsed(whole, tmp_path, models=None, modules={"text": text, "tower": tower})
    assert recipe.weights == "text"
    assert recipe.layers == dict.fromkeys(range(4), 0.5)
    with pytest.raises(RecipeError, match="modules none mix models"):
        parsed(whole, tmp_path, models=None, modules={"tower": tower})


def test_the_additive_form_is_keep_vlm(whole: Opened, base: ModelReference, tmp_path: Path) -> None:
    models = [
        {"model": str(whole.directories.vlm), "parameters": {"weight": 1.0}},
        {"model": str(whole.directories.backbone), "parameters": {"weight": [
            {"filter": "self_attn", "value": 0.6}, {"value": 0.0}]}},
        {"model": base.source},
    ]  # fmt: skip
    fields: dict[str, Any] = {"merge_method": "task_arithmetic", "base_model": base.source}
    recipe = parsed(whole, tmp_path, models=models, **fields)
    assert dict(recipe.settings) == {"keep_vlm": True}
    assert recipe.layers == dict.fromkeys(range(4), 0.6)
    assert recipe.base is not None
    assert recipe.base.fingerprint == base.fingerprint
    normalised = parsed(whole, tmp_path, models=models, parameters={"normalize": True}, **fields)
    assert dict(normalised.settings) == {"normalize": True}
    assert normalised.layers == dict.fromkeys(range(4), pytest.approx(0.6 / 1.6, abs=1e-11))


def test_mergekits_own_default_density_is_named(
    whole: Opened, base: ModelReference, tmp_path: Path
) -> None:
    fields: dict[str, Any] = {"merge_method": "ties", "base_model": base.source}
    assert dict(parsed(whole, tmp_path, **fields).settings) == {"density": 1.0}
    with pytest.raises(RecipeError, match="changes tensors that get nothing of the backbone"):
        parsed(whole, tmp_path, **fields, parameters={"density": 0.5})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"merge_method": "della"}, "merge_method della; valid: linear, slerp"),
        ({"chat_template": "auto"}, "the file has chat_template, which a recipe cannot express"),
        ({"tokenizer_source": "union"}, "tokenizer_source; valid: none"),
        ({"out_dtype": "float16"}, "out_dtype float16; valid: the VLM's own, float32"),
        ({"parameters": {"gamma": 1}}, "parameters has gamma"),
        ({"merge_method": "slerp"}, "slerp without base_model"),
        ({"merge_method": "ties"}, "ties without base_model"),
        ({"models": None}, "has none of slices, models, modules"),
        ({"models": [{"model": "here/a+lora"}]}, "no LoRA"),
        ({"models": [{"model": "here/a"}]}, "merges 1 models: here/a; valid: a VLM and its"),
        ({"models": [{"model": "here/a", "weight": 1}]}, "a source has weight"),
        ({"slices": [], "models": ["a"]}, "a source is str"),
        ({"parameters": {"normalize": 1}}, "normalize is 1; valid: true or false"),
    ],
)
def test_what_cannot_be_expressed_is_named(
    whole: Opened, tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        parsed(whole, tmp_path, **content)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (0.5, "it merges model.embed_tokens.weight too; valid: value 0 but for a filter"),
        (None, "no weight for model.layers.0"),
        ("half", "weight is 'half'"),
        ([], "weight is "),
        ([{"filter": "q_proj", "values": 1}], "weight holds"),
        (-0.5, "weight 1 and -0.5; valid: shares between 0 and 1"),
        ([{"filter": "q_proj.weight", "value": 0.5}, {"filter": "mlp", "value": 0.7},
          {"value": 0}], "weights differ within a layer"),
        ([{"filter": "0.mlp", "value": 0.5}, {"filter": "1.mlp.up", "value": 0.5},
          {"value": 0}], "filters differ from layer to layer"),
    ],
)  # fmt: skip
def test_weights_that_cannot_be_expressed_are_named(
    whole: Opened, tmp_path: Path, weight: Any, message: str
) -> None:
    models = [
        {"model": str(whole.directories.vlm), "parameters": {"weight": 1.0}},
        {"model": str(whole.directories.backbone), "parameters": {"weight": weight}},
    ]
    with pytest.raises(RecipeError, match=message):
        parsed(whole, tmp_path, models=models)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([[0, 2]], "slices end at layer 2; valid: all 4 layers in order"),
        ([[0, 2], [3, 4]], r"layer_range \[3, 4\]"),
        ([[0, 5]], r"layer_range \[0, 5\]"),
    ],
)
def test_slices_are_all_layers_in_order(
    whole: Opened, tmp_path: Path, ranges: list[list[int]], message: str
) -> None:
    sides = (whole.directories.vlm, whole.directories.backbone)
    slices = [
        {"sources": [{"model": str(side), "layer_range": r} for side in sides]} for r in ranges
    ]
    with pytest.raises(RecipeError, match=message):
        parsed(whole, tmp_path, models=None, slices=slices, parameters={"weight": 1.0})


def test_two_backbones_are_refused(whole: Opened, base: ModelReference, tmp_path: Path) -> None:
    models = [
        {"model": source, "parameters": {"weight": 1.0}}
        for source in (base.source, str(whole.directories.backbone))
    ]
    with pytest.raises(RecipeError, match="are 0 VLMs; valid: a VLM and its text-only backbone"):
        parsed(whole, tmp_path, models=models)


def test_files_that_are_no_yaml_are_refused(tmp_path: Path) -> None:
    for content in ("a: [", "- 1", ""):
        (tmp_path / "c.yml").write_text(content)
        with pytest.raises(RecipeError, match=r"c\.yml"):
            read_document(tmp_path / "c.yml")
    with pytest.raises(RecipeError, match="cannot read"):
        read_document(tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("slices",), 3, "slices is int; valid: a list"),
        (("slices", 0), ["x"], "a slice is list; valid: keys and values"),
        (("slices", 0, "sources"), "a", "sources is str; valid: a list"),
        (("slices", 0, "sources", 0), None, "a source is NoneType; valid: keys and values"),
        (("slices", 0, "sources", 0, "layer_range"), 3, "layer_range 3; valid: two whole numbers"),
        (("slices", 0, "sources", 0, "layer_range", 1), {}, r"layer_range \[0, \{\}\]"),
        (("slices", 0, "sources", 0, "layer_range", 1), 1.5, r"layer_range \[0, 1.5\]"),
        (("slices", 0, "sources", 0, "layer_range"), [0], r"layer_range \[0\]; valid: two whole"),
    ],
)
def test_yaml_of_another_kind_is_named(
    tmp_path: Path, place: tuple[Any, ...], value: Any, message: str
) -> None:
    sources = [{"model": name, "layer_range": [0, 2]} for name in ("a", "b")]
    content: Any = {"merge_method": "linear", "slices": [{"sources": sources}]}
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    (tmp_path / "c.yml").write_text(yaml.dump(content))
    with pytest.raises(RecipeError, match=message):
        read_document(tmp_path / "c.yml")


@pytest.mark.parametrize("modules", [3, ["text"], {"text": None}, {"text": 3}])
def test_modules_of_another_kind_are_named(tmp_path: Path, modules: Any) -> None:
    (tmp_path / "c.yml").write_text(yaml.dump({"merge_method": "linear", "modules": modules}))
    with pytest.raises(RecipeError, match=r"modules? is \w+; valid: keys and values"):
        read_document(tmp_path / "c.yml")


def test_cells_follow_mergekits_gradient() -> None:
    document = Document("f", "linear", ("a", "b"), None, (), None)
    values = [document._value([0, 1, 0.5], "weight", "x", layer / 4) for layer in range(5)]
    assert values == pytest.approx([0, 0.5, 1, 0.75, 0.5])
