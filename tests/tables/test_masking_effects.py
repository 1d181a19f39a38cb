from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from merit_interp.errors import RunError
from merit_interp.records import ItemScore, MaskedScores, MaskedSet
from merit_interp.tables.masking_effects import effect_frame, model_effects, read_masking
from tests.synthetic_masking import write_sweep


def item(name: str, answer: int, log_probs: tuple[float, ...]) -> ItemScore:
    return ItemScore(
        item=name, model="vlm", recipe="vlm", skill="reasoning", category="c", group=name,
        answer=answer, log_probs=log_probs,
    )  # fmt: skip


def test_costs_by_hand() -> None:
    scores = [item("a", 0, (-1.0, -2.0, -4.0)), item("b", 1, (-3.0, -1.0))]
    records = [
        MaskedScores("vlm", (), (), 0, {s.item: s.log_probs for s in scores}),
        MaskedScores("vlm", (1,), (), 0, {"a": (-2.5, -2.0, -4.0)}),
        MaskedScores("vlm", (1,), (), 1, {"b": (-3.0, -1.0)}),
    ]
    sets = [MaskedSet((), ("unmasked",)), MaskedSet((1,), ("single",))]
    effects = model_effects("vlm", sets, scores, records)
    assert effects.costs["margin_nats"].tolist() == [[1.5, 0.0]]
    assert effects.costs["log_prob_nats"].tolist() == [[1.5, 0.0]]
    assert effects.costs["accuracy"].tolist() == [[1.0, 0.0]]
    p = np.exp([-1.0, -2.0, -4.0])
    q = np.exp([-2.5, -2.0, -4.0])
    p, q = p / p.sum(), q / q.sum()
    assert effects.costs["kl_nats"][0].tolist() == pytest.approx([(p * np.log(p / q)).sum(), 0.0])


def test_items_that_a_set_has_no_number_for_are_left_out() -> None:
    scores = [item(name, 0, (-1.0, -2.0)) for name in "abc"]
    everything = {s.item: s.log_probs for s in scores}
    records = [
        MaskedScores("vlm", (), (), 0, everything),
        MaskedScores("vlm", (0,), (), 0, {**everything, "b": (-math.inf, -1.0)}),
        MaskedScores("vlm", (1,), (), 0, {"a": (-1.0, -2.0), "b": (-1.0, -2.0)}),
    ]
    sets = [MaskedSet((0,), ("single",)), MaskedSet((1,), ("single",))]
    effects = model_effects("vlm", sets, scores, records)
    assert effects.items["item"].tolist() == ["a"]
    assert effects.n_left_out == 2


def test_a_sweep_reads_back(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(0, 3, 0, 1), perception=(1, 0, 0, 0), chosen=(1, 3))
    run = read_masking(tmp_path)
    assert [effects.model for effects in run.models] == ["vlm", "merged"]
    assert run.coefficients().tolist() == [0, 1, 0, 1]
    assert (run.mode, run.tokens) == ("zero", "all")
    frame = effect_frame(run)
    n_sets = len(run.plan.sets) - 1
    assert len(frame) == 2 * n_sets * 96
    both = frame[(frame["layers"] == "1, 3") & (frame["skill"] == "reasoning")]
    assert both["margin_nats"].tolist() == pytest.approx([4.0] * 96)


def test_an_unfinished_sweep_is_refused(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(0, 3), perception=(1, 0), chosen=(1,))
    (tmp_path / "finished.json").unlink()
    with pytest.raises(RunError, match="--resume"):
        read_masking(tmp_path)
