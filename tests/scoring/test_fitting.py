"""A device without room for a batch, played by a forward that takes so many rows and no more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from merit_interp.benchmarks.items import ItemFile
from merit_interp.errors import SettingError
from merit_interp.models.loading import LoadedModel
from merit_interp.recipe import Scoring
from merit_interp.scoring.evaluation import Evaluation

Room = Callable[[int], list[int]]


@pytest.fixture
def room(vlm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Room:
    """`room(2)`: the real forward, out of memory above two rows; lists the rows of each forward."""
    forward = vlm.model.forward

    def allow(most: int) -> list[int]:
        tried: list[int] = []

        def limited(**inputs: Any) -> Any:
            tried.append(len(inputs["input_ids"]))
            if tried[-1] > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 TiB.")
            return forward(**inputs)

        monkeypatch.setattr(vlm.model, "forward", limited)
        return tried

    return allow


@pytest.mark.parametrize(
    "scoring",
    [
        Scoring(answers="letter", max_frames=8),
        Scoring(answers="letter", max_frames=8, circular=True),
        Scoring(answers="option_text", max_frames=8),
    ],
    ids=["letter", "circular", "option_text"],
)
def test_what_does_not_fit_is_scored_in_halves(
    vlm: LoadedModel,
    item_file: ItemFile,
    room: Room,
    scoring: Scoring,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = Evaluation(vlm, item_file, item_file.items, scoring).scores("vlm", "vlm")
    evaluation = Evaluation(vlm, item_file, item_file.items, scoring)
    n_rows = len(evaluation.batches[0].row_items)
    assert len(evaluation.batches) == 1
    assert n_rows > 6
    room(4)
    with caplog.at_level(logging.WARNING):
        halved = evaluation.scores("vlm", "vlm")
    assert [score.item for score in halved] == [score.item for score in whole]
    for one, other in zip(halved, whole, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert len(one.rotations) == len(other.rotations)
    first = f"{n_rows} rows do not fit on cpu: going on with at most {n_rows // 2}, as --batch-size"
    assert caplog.messages[0].startswith(first)
    # said once a halving, and what did not fit is not tried again
    caplog.clear()
    tried = room(4)
    evaluation.scores("vlm", "vlm")
    assert caplog.messages == []
    assert max(tried) <= 4


def test_one_item_that_does_not_fit_is_a_users_mistake(
    vlm: LoadedModel, item_file: ItemFile, room: Room
) -> None:
    evaluation = Evaluation(vlm, item_file, item_file.items, Scoring(max_frames=8))
    room(0)
    with pytest.raises(SettingError, match=r"one item of 1 rows of .* tokens does not fit on cpu"):
        evaluation.score_batch(0)


def test_generated_answers_too(vlm: LoadedModel, item_file: ItemFile, room: Room) -> None:
    scoring = Scoring(answers="generated", max_frames=8, max_new_tokens=3)
    evaluation = Evaluation(vlm, item_file, item_file.items, scoring)
    whole = evaluation.scores("vlm", "vlm")
    tried = room(2)
    halved = evaluation.scores("vlm", "vlm")
    assert [score.texts for score in halved] == [score.texts for score in whole]
    assert max(tried) == len(evaluation.batches[0].row_items)
