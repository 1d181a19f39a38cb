"""Readings whose right value is known: from the scores, from transformers, or by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile, read_items
from merit_interp.lens.bridge import bridge_engine
from merit_interp.lens.direct_parts import (
    NOT_ADDED,
    NOT_LINEAR,
    NOT_THE_MARGIN,
    DirectParts,
    direct_parts,
    targets_of,
)
from merit_interp.lens.heads import (
    AttentionWeights,
    attention_weights,
    head_changes,
    head_outputs,
    masked_head,
    output_change,
)
from merit_interp.lens.logit_lens import layer_log_probs, lens_difference
from merit_interp.lens.module_engine import eager_attention, module_engine
from merit_interp.lens.token_kinds import ANSWER, OTHER, QUESTION, TRANSCRIPT, VISUAL, token_kinds
from merit_interp.microworld import vlm_directory
from merit_interp.microworld.item_sets import write_item_sets
from merit_interp.models.loading import LoadedModel, load_vlm
from merit_interp.scoring.evaluation import Evaluation
from tests.lens.conftest import LETTER, TEXT, Read
from tests.tiny_families import tiny_family_pair


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The embedded VLM on two dozen items of its world."""
    folder = tmp_path_factory.mktemp("world")
    file = read_items(write_item_sets(folder, seed=3, sizes={"search": 4})["search"])
    return Evaluation(load_vlm(vlm_directory()), file, file.items, TEXT, batch_size=16)


@pytest.mark.parametrize("model", ["lettered", "spelled", "read_aloud", "embedded"])
def test_the_last_layers_lens_is_the_models_own_score(
    model: str, request: pytest.FixtureRequest, read: Read
) -> None:
    evaluation: Evaluation = request.getfixturevalue(model)
    with bridge_engine(evaluation.model) as engine:
        found = read(engine, evaluation)
    for number, reads in enumerate(found):
        batch = evaluation.batches[number]
        lens = layer_log_probs(evaluation.model, reads, batch)
        assert lens.shape[1] == evaluation.model.n_layers + 1
        for place, (index, own) in enumerate(evaluation.score_batch(number)):
            assert batch.items[place] == index
            assert lens[place, -1, : len(own)].tolist() == pytest.approx(own, abs=2e-5)
            # other states say something else
            assert lens[place, 0, : len(own)].tolist() != pytest.approx(own, abs=1e-2)
        assert lens_difference(evaluation.model, reads, batch) < 1e-5


@pytest.mark.parametrize("model", ["lettered", "read_aloud", "embedded"])
def test_direct_parts_add_up_to_the_margin(
    model: str, request: pytest.FixtureRequest, read: Read
) -> None:
    evaluation: Evaluation = request.getfixturevalue(model)
    loaded = evaluation.model
    with bridge_engine(loaded) as engine:
        found = read(engine, evaluation)
    for batch, reads in zip(evaluation.batches, found, strict=True):
        log_probs = layer_log_probs(loaded, reads, batch)[:, -1]
        answers = [evaluation.items[index].answer for index in batch.items]
        targets = targets_of(batch, log_probs, answers)
        assert targets.items == tuple(range(len(batch.items)))
        parts = direct_parts(loaded, reads, batch, targets)
        assert isinstance(parts, DirectParts)
        total = parts.embedding + parts.biases.sum(1) + parts.mlps.sum(1)
        total = total + torch.stack([heads.sum(1) for heads in parts.heads]).sum(0)
        for place, answer in enumerate(answers):
            own = log_probs[place, : batch.n_options[place]].tolist()
            right = own.pop(answer)
            # the normaliser is the same for both options
            assert float(total[place]) == pytest.approx(right - max(own), abs=1e-4)
        assert parts.difference < 1e-4


def test_items_of_several_tokens_have_no_direct_parts(spelled: Evaluation, read: Read) -> None:
    with module_engine(spelled.model) as engine:
        found = read(engine, spelled)
    for batch, reads in zip(spelled.batches, found, strict=True):
        log_probs = layer_log_probs(spelled.model, reads, batch)[:, -1]
        answers = [spelled.items[index].answer for index in batch.items]
        assert targets_of(batch, log_probs, answers).items == ()


@pytest.mark.parametrize(
    ("family", "why"), [("gemma3", NOT_ADDED), ("glm4v", NOT_ADDED), ("qwen2_vl", "")]
)
def test_families_whose_layers_do_not_add_are_told(
    family: str, why: str, tmp_path: Path, item_file: ItemFile, read: Read
) -> None:
    loaded = load_vlm(tiny_family_pair(family, tmp_path).vlm)
    evaluation = Evaluation(loaded, item_file, item_file.items[:3], LETTER)
    (batch,) = evaluation.batches
    with module_engine(loaded) as engine:
        (reads,) = read(engine, evaluation)
    log_probs = layer_log_probs(loaded, reads, batch)[:, -1]
    targets = targets_of(batch, log_probs, [evaluation.items[i].answer for i in batch.items])
    found = direct_parts(loaded, reads, batch, targets)
    assert found == why if why else isinstance(found, DirectParts)


def test_a_norm_that_centres_and_capped_logits_are_told(
    lettered: Evaluation, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, batch = lettered.model, lettered.batches[0]
    with module_engine(loaded) as engine:
        reads = read(engine, lettered)[0]
    log_probs = layer_log_probs(loaded, reads, batch)[:, -1]
    targets = targets_of(batch, log_probs, [lettered.items[i].answer for i in batch.items])
    text = loaded.model.config.get_text_config(decoder=True)
    with monkeypatch.context() as patch:
        patch.setattr(text, "final_logit_softcapping", 3.0, raising=False)
        assert direct_parts(loaded, reads, batch, targets) == NOT_THE_MARGIN
        assert lens_difference(loaded, reads, batch) > 1e-3
    with monkeypatch.context() as patch:
        layer_norm = torch.nn.LayerNorm(text.hidden_size)
        patch.setattr("merit_interp.lens.direct_parts.final_norm", lambda loaded: layer_norm)
        assert direct_parts(loaded, reads, batch, targets) == NOT_LINEAR


def test_shares_of_attention_are_those_of_transformers(lettered: Evaluation, read: Read) -> None:
    loaded, batch = lettered.model, lettered.batches[-1]
    with bridge_engine(loaded) as engine:
        reads = read(engine, lettered)[-1]
    with eager_attention(loaded), torch.no_grad():
        inputs = lettered.batch_inputs(batch)
        attentions = loaded.model(**inputs, output_attentions=True).attentions
    for layer, own in enumerate(attentions):
        for place, index in enumerate(batch.items):
            kinds = token_kinds(lettered, index)
            n_prompt = len(kinds)
            visual = (kinds == VISUAL).nonzero()[:, 0]
            question = (kinds == QUESTION).nonzero()[:, 0]
            wanted = own[place, :, n_prompt - 1][:, visual].sum(dim=1)
            found = reads.shares[layer][0, place]
            torch.testing.assert_close(found[:, VISUAL], wanted, atol=1e-5, rtol=0)
            wanted = own[place][:, question][:, :, visual].sum(dim=2).mean(dim=1)
            torch.testing.assert_close(
                reads.shares[layer][1, place, :, VISUAL], wanted, atol=1e-5, rtol=0
            )
            assert found.sum(dim=1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
            # what comes after the question cannot be seen from it
            assert not reads.shares[layer][1, place, :, ANSWER].any()


def test_tokens_are_told_apart(lettered: Evaluation, read_aloud: Evaluation) -> None:
    def texts(evaluation: Evaluation, item: int) -> dict[int, str]:
        kinds, ids = token_kinds(evaluation, item), evaluation.encoded[item].input_ids
        tokenizer = evaluation.model.tokenizer
        return {kind: tokenizer.decode(ids[kinds == kind]) for kind in range(5)}

    found = texts(lettered, 0)
    assert found[QUESTION] == "Which is red?"
    assert found[OTHER] == "<|im_start|>user\n\n"
    assert found[ANSWER].startswith("\nA. circle\nB. square\nC. star\nAnswer with the option")
    assert found[ANSWER].endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert set(found[VISUAL].replace("<video>", "")) <= {" "}
    assert found[VISUAL].count("<video>") == 17
    found = texts(read_aloud, 0)
    assert found[TRANSCRIPT] == "red circle blue star."
    assert found[QUESTION] == "Which is red?"
    assert not found[VISUAL]


def test_only_the_changed_slices_are_counted() -> None:
    # two heads of width 2 share one head of keys and values; hidden width 3, no bias but on q
    before = AttentionWeights(
        {
            "q": torch.ones(2, 2 * 4),
            "k": torch.ones(1, 2 * 3),
            "v": torch.ones(1, 2 * 3),
            "o": torch.ones(2, 2 * 3),
        }
    )
    after = {name: weight.clone() for name, weight in before.slices.items()}
    after["q"][1, :4] += 3.0
    after["k"][0, 0] += 2.0
    first, second = head_changes({5: before}, {5: AttentionWeights(after)})
    assert (first.layer, first.head, first.key_head, first.sharing) == (5, 0, 0, 2)
    assert first.change == {"q": 0.0, "k": 2.0, "v": 0.0, "o": 0.0}
    assert second.change["q"] == pytest.approx(6.0)
    # both use the one head of keys
    assert second.change["k"] == first.change["k"]
    assert second.share["q"] == pytest.approx(6.0 / math.sqrt(8))
    assert second.share["all"] == pytest.approx(math.sqrt((36 + 4) / (8 + 6 + 6 + 6)))


def test_slices_are_the_heads_own(vlm: LoadedModel) -> None:
    weights = attention_weights(vlm, (2,))[2]
    assert {name: len(part) for name, part in weights.slices.items()} == {
        "q": 4, "k": 2, "v": 2, "o": 4,
    }  # fmt: skip
    projection = vlm.projection(2, "o")
    width = projection.in_features // 4
    joined = torch.randn(3, projection.in_features)
    outputs = head_outputs(joined, weights)
    torch.testing.assert_close(outputs.sum(dim=1), projection(joined), atol=1e-5, rtol=1e-5)
    for head in range(4):
        alone = torch.zeros_like(joined)
        alone[:, head * width : (head + 1) * width] = joined[:, head * width : (head + 1) * width]
        torch.testing.assert_close(outputs[:, head], projection(alone), atol=1e-5, rtol=1e-5)
        with masked_head(vlm, layer=2, head=head):
            masked = projection(joined)
        torch.testing.assert_close(masked, projection(joined - alone), atol=1e-6, rtol=0)
    doubled = outputs.clone()
    doubled[:, 1] *= 2
    assert output_change(outputs, doubled).tolist() == [[0.0, 1.0, 0.0, 0.0]] * 3
    query = vlm.projection(2, "q")
    rows = torch.cat([query.weight, query.bias[:, None]], dim=1)[width : 2 * width]
    assert torch.equal(weights.slices["q"][1], rows.flatten())
