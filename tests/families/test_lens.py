"""Every family is read: through TransformerLens where that has it, else through its modules.

`read_model` itself refuses logits that are not transformers', and a lens whose last layer is not
the model's own answer.
"""

from __future__ import annotations

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile
from merit_interp.lens.bridge import is_bridgeable
from merit_interp.lens.heads import attention_weights, head_changes
from merit_interp.lens.model_reading import HeadStates, ReadModel, chosen_engine, read_model
from merit_interp.lens.module_engine import module_engine
from merit_interp.lens.reads import read_batch
from merit_interp.lens.token_kinds import QUESTION, VISUAL, token_kinds
from merit_interp.lens_records import LensReading
from merit_interp.scoring.evaluation import Evaluation
from tests.families.conftest import LETTER, TinyFamily

NOT_ADDED = {"gemma3", "gemma4", "glm4v"}
"""Families with norms after self-attention and MLP."""


def test_a_family_is_read(family: TinyFamily, clips: ItemFile) -> None:
    loaded = family.vlm
    evaluation = Evaluation(loaded, clips, clips.items, LETTER)
    kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
    for index, item in enumerate(evaluation.items):
        own = kinds[index]
        tokens = evaluation.encoded[index].frame_tokens
        assert tokens is not None
        assert (own == VISUAL).tolist() == tokens.visual_mask().tolist()
        asked = loaded.tokenizer.decode(evaluation.encoded[index].input_ids[own == QUESTION])
        assert asked.strip() == item.question
    weights = attention_weights(loaded, range(loaded.n_layers))
    readings: list[LensReading] = []
    with chosen_engine(loaded, "auto") as (engine, why):
        assert engine.name == "transformer_lens" or why
        assert is_bridgeable(loaded) or engine.name == "modules"
        model = ReadModel("vlm", evaluation, kinds, HeadStates(weights))
        check = read_model(model, engine, why=why, write=readings.append)
    scored = {score.item: score for score in evaluation.scores("vlm", "")}
    for reading in readings:
        own_scores = scored[reading.item].log_probs
        assert reading.layer_log_probs[-1] == pytest.approx(own_scores, abs=1e-4)
        for share in (reading.attention_from_answer, reading.attention_from_question):
            assert all(sum(head) == pytest.approx(1, abs=1e-4) for row in share for head in row)
    family_name = loaded.family.model_type
    assert bool(check.no_direct) == (family_name in NOT_ADDED)
    assert check.direct_difference is None or check.direct_difference < 1e-4
    assert check.logit_difference < 1e-4
    # nothing changed is known as such, whatever the shapes of a layer's heads
    assert not any(sum(change.change.values()) for change in head_changes(weights, weights))


def test_transformer_lens_and_the_modules_read_the_same(
    family: TinyFamily, clips: ItemFile
) -> None:
    loaded = family.vlm
    with chosen_engine(loaded, "auto") as (bridge, why):
        if why:
            pytest.skip(why)
        evaluation = Evaluation(loaded, clips, clips.items[:4], LETTER)
        kinds = {index: token_kinds(evaluation, index) for index in evaluation.encoded}
        (batch,) = evaluation.batches
        bridged = read_batch(bridge, evaluation, batch, kinds)
    with module_engine(loaded) as modules:
        plain = read_batch(modules, evaluation, batch, kinds)
    for name in ("states", "heads", "attention", "mlps", "shares"):
        for found, wanted in zip(getattr(bridged, name), getattr(plain, name), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
