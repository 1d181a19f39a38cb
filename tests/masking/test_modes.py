"""Each mode on a real VLM with real items, against plain hooks that are given the same values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from merit_interp.errors import SettingError
from merit_interp.masking.layer_sets import plan_sweep
from merit_interp.masking.model_sweep import MaskedModel, sweep_model
from merit_interp.masking.modes import donors_of
from merit_interp.masking.settings import MaskSettings
from merit_interp.masking.token_classes import LAST, PADDING, TEXT, VISUAL, token_classes, tokens_at
from merit_interp.merging.in_memory import InMemoryMerge
from merit_interp.recipe import Recipe
from merit_interp.records import MaskedScores, MaskPlan
from merit_interp.scoring.batches import Batch, option_log_probs
from merit_interp.scoring.evaluation import Evaluation

Change = Callable[[int, Tensor], Tensor]
"""A layer's self-attention output to what takes its place."""
LAYERS = (0, 1, 3)
PLAN = MaskPlan(4, LAYERS, plan_sweep(n_layers=4, chosen=LAYERS, draws=0, seed=0).sets, 4, 0)


@pytest.fixture
def vlm_model(evaluation: Evaluation, merge: InMemoryMerge, recipe: Recipe) -> MaskedModel:
    return MaskedModel(
        "vlm", "vlm", evaluation, evaluation, contextlib.nullcontext, lambda: merge.applied(recipe)
    )  # fmt: skip


@pytest.fixture
def merged_model(evaluation: Evaluation, merge: InMemoryMerge, recipe: Recipe) -> MaskedModel:
    return MaskedModel(
        "merged", recipe.merge_hash, evaluation, evaluation,
        lambda: merge.applied(recipe), lambda: merge.applied(recipe.with_layers({})),
    )  # fmt: skip


def swept(model: MaskedModel, settings: MaskSettings) -> dict[int, MaskedScores]:
    """The records of the chosen layers, by batch."""
    records: list[MaskedScores] = []
    sweep_model(model, PLAN, settings, write=records.append)
    return {record.batch: record for record in records if record.layers == LAYERS}


@contextlib.contextmanager
def hooked(layers: nn.ModuleList, change: Change) -> Iterator[None]:
    def hook(number: int) -> Callable[..., Any]:
        return lambda module, args, output: (change(number, output[0]), *output[1:])

    handles = [layers[n].self_attn.register_forward_hook(hook(n)) for n in LAYERS]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def scores(evaluation: Evaluation, batch: Batch) -> list[list[float]]:
    logits = evaluation.model.model(**evaluation.batch_inputs(batch)).logits
    return option_log_probs(logits, batch).tolist()


def outputs_of(evaluation: Evaluation, batch: Batch) -> dict[int, Tensor]:
    """Every layer's self-attention output, by plain hooks."""
    seen: dict[int, Tensor] = {}
    layers = evaluation.model.text_layers
    handles = [
        layer.self_attn.register_forward_hook(
            lambda module, args, output, number=number: seen.update({number: output[0]})
        )
        for number, layer in enumerate(layers)
    ]
    scores(evaluation, batch)
    for handle in handles:
        handle.remove()
    return seen


def assert_equals_hooks(
    model: MaskedModel, settings: MaskSettings, change_of: Callable[[Batch], Change]
) -> None:
    evaluation = model.evaluation
    found = swept(model, settings)
    assert sorted(found) == list(range(len(evaluation.batches)))
    for number, batch in enumerate(evaluation.batches):
        where = tokens_at(token_classes(evaluation, batch), settings.tokens)
        change = change_of(batch)

        def written(layer: int, old: Tensor, where: Tensor = where, change: Change = change) -> Any:
            new = old.clone()
            new[where] = change(layer, old)[where]
            return new

        with model.in_force(), hooked(evaluation.model.text_layers, written):
            wanted = scores(evaluation, batch)
        ids = [evaluation.items[index].id for index in batch.items]
        assert found[number].log_probs == dict(zip(ids, map(tuple, wanted), strict=True))


@pytest.mark.parametrize("tokens", ["all", "visual", "text", "last"])
def test_zero(merged_model: MaskedModel, tokens: str) -> None:
    settings = MaskSettings(mode="zero", tokens=tokens)
    assert_equals_hooks(merged_model, settings, lambda _: lambda layer, old: torch.zeros_like(old))


@pytest.mark.parametrize("tokens", ["all", "visual"])
def test_mean(vlm_model: MaskedModel, tokens: str) -> None:
    evaluation = vlm_model.evaluation
    members: dict[tuple[int, int], list[Tensor]] = {}
    for batch in evaluation.batches:
        classes = token_classes(evaluation, batch)
        for layer, output in outputs_of(evaluation, batch).items():
            for token in (TEXT, VISUAL, LAST):
                members.setdefault((layer, token), []).append(output[classes == token])
    means = {key: torch.cat(rows).double().mean(0).float() for key, rows in members.items()}

    def change_of(batch: Batch) -> Change:
        classes = token_classes(evaluation, batch)

        def change(layer: int, old: Tensor) -> Tensor:
            new = old.clone()
            for token in (TEXT, VISUAL, LAST):
                new[classes == token] = means[layer, token]
            return new

        return change

    found = swept(vlm_model, MaskSettings(mode="mean", tokens=tokens))
    for number, batch in enumerate(evaluation.batches):
        where = tokens_at(token_classes(evaluation, batch), tokens)
        change = change_of(batch)
        with hooked(
            evaluation.model.text_layers,
            lambda n, old, w=where, c=change: torch.where(w[..., None], c(n, old), old),
        ):
            wanted = torch.tensor(scores(evaluation, batch))
        # the means are summed in another order here, so not bit for bit
        torch.testing.assert_close(torch.tensor(list(found[number].log_probs.values())), wanted)


@pytest.mark.parametrize("tokens", ["all", "last"])
@pytest.mark.parametrize("side", ["vlm", "merged"])
def test_swap(side: str, tokens: str, vlm_model: MaskedModel, merged_model: MaskedModel) -> None:
    model, other = (vlm_model, merged_model) if side == "vlm" else (merged_model, vlm_model)

    def change_of(batch: Batch) -> Change:
        with other.in_force():
            outputs = outputs_of(model.evaluation, batch)
        return lambda layer, old: outputs[layer]

    assert_equals_hooks(model, MaskSettings(mode="swap", tokens=tokens), change_of)


def test_revert_puts_the_vlms_weights_back(
    merged_model: MaskedModel, merge: InMemoryMerge, recipe: Recipe
) -> None:
    found = swept(merged_model, MaskSettings(mode="revert"))
    evaluation = merged_model.evaluation
    kept = {layer: c for layer, c in recipe.layers.items() if layer not in LAYERS}
    assert 0 < len(kept) < len(recipe.layers)
    with merge.applied(recipe.with_layers(kept)):
        for number, batch in enumerate(evaluation.batches):
            assert list(map(list, found[number].log_probs.values())) == scores(evaluation, batch)


def test_resample(vlm_model: MaskedModel) -> None:
    evaluation = vlm_model.evaluation
    settings = MaskSettings(mode="resample", seed=3)
    donors = donors_of(evaluation, seed=3)
    found = swept(vlm_model, settings)
    for number, batch in enumerate(evaluation.batches):
        # a row's donor alone, so that nothing of batches or padding is shared with the sweep
        given = {i: outputs_of(evaluation, evaluation.batch_of([donors[i]])) for i in batch.items
                 if i in donors}  # fmt: skip

        def change(layer: int, old: Tensor, given: Any = given, batch: Batch = batch) -> Tensor:
            new = old.clone()
            for row, item in enumerate(batch.row_items):
                if item in given:
                    source = given[item][layer][row - batch.row_items.index(item)]
                    new[row, : len(source)] = source
            return new

        with hooked(evaluation.model.text_layers, change):
            wanted = scores(evaluation, batch)
        names = {evaluation.items[i].id: row for i, row in zip(batch.items, wanted, strict=True)}
        assert set(found[number].log_probs) == {evaluation.items[i].id for i in given}
        for item, values in found[number].log_probs.items():
            # other batch shapes, so not bit for bit
            assert values == pytest.approx(names[item], abs=1e-5)


def test_donors_have_the_same_shape_and_another_video(evaluation: Evaluation) -> None:
    donors = donors_of(evaluation, seed=0)
    assert donors
    for index, donor in donors.items():
        own, other = evaluation.encoded[index], evaluation.encoded[donor]
        assert donor != index
        assert len(own.input_ids) == len(other.input_ids)
        # the clip of another length has its own questions alone
        same_video = evaluation.items[index].group == evaluation.items[donor].group
        assert same_video == (evaluation.items[index].group == "b.mp4")
    assert donors == donors_of(evaluation, seed=0)


def test_resampling_needs_items_of_one_shape(evaluation: Evaluation) -> None:
    alone = Evaluation(
        evaluation.model, evaluation.item_file, evaluation.items[:1], evaluation.scoring
    )
    with pytest.raises(SettingError, match="same shape"):
        donors_of(alone, seed=0)


@pytest.mark.parametrize("mode", ["zero", "mean", "resample", "swap"])
def test_heads(mode: str, merged_model: MaskedModel) -> None:
    """One head is not all heads, and all heads zeroed is self-attention zeroed."""
    plans = {
        heads: plan_sweep(n_layers=4, chosen=(1,), draws=0, seed=0, heads=heads)
        for heads in [(0,), (0, 1, 2, 3)]
    }
    found: dict[tuple[int, ...], list[MaskedScores]] = {}
    for heads, plan in plans.items():
        records = found.setdefault(heads, [])
        sweep_model(
            merged_model, plan, MaskSettings(mode=mode, heads=heads), write=records.append
        )  # fmt: skip
    one = {(r.layers, r.batch): r.log_probs for r in found[(0,)]}
    everything = {(r.layers, r.batch): r.log_probs for r in found[(0, 1, 2, 3)]}
    assert one[(), 0] == everything[(), 0]
    assert one[(1,), 0] != everything[(1,), 0]
    if mode == "zero":
        # these projections have no bias: no heads in, nothing out
        whole: list[MaskedScores] = []
        plan = plan_sweep(n_layers=4, chosen=(1,), draws=0, seed=0)
        sweep_model(merged_model, plan, MaskSettings(), write=whole.append)
        for record in whole:
            assert record.log_probs == everything[record.layers, record.batch]


def test_token_classes(evaluation: Evaluation) -> None:
    batch = evaluation.batches[0]
    classes = token_classes(evaluation, batch)
    visual_id = evaluation.model.model.config.video_token_id
    assert torch.equal(classes == VISUAL, batch.input_ids == visual_id)
    for row, (index, length) in enumerate(zip(batch.row_items, batch.lengths, strict=True)):
        last = len(evaluation.encoded[index].input_ids) - 1
        assert torch.nonzero(classes[row] == LAST).flatten().tolist() == [last]
        assert torch.equal(
            classes[row] == PADDING, torch.arange(classes.shape[1]) >= length
        )  # fmt: skip
    masks = {name: tokens_at(classes, name) for name in ("all", "visual", "text", "last")}
    assert torch.equal(masks["all"], masks["visual"] | masks["text"])
    assert not (masks["visual"] & masks["text"]).any()
    assert (masks["last"] & ~masks["text"]).sum() == 0


@pytest.mark.parametrize("settings", [{"mode": "ones"}, {"tokens": "first"}])
def test_unknown_names_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="valid"):
        MaskSettings(**settings)  # type: ignore[arg-type]


def test_heads_are_not_reverted() -> None:
    with pytest.raises(SettingError, match="heads"):
        MaskSettings(mode="revert", heads=(1,))
