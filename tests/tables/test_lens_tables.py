from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from merit_interp.errors import RunError
from merit_interp.statistics.correlation import spearman
from merit_interp.tables.lens_change_cost import change_against_cost
from merit_interp.tables.lens_layers import Onset, onset
from merit_interp.tables.lens_tables import LensFindings, lens_findings, write_lens_tables
from merit_interp.tables.lens_verdict import judge_lens
from tests.synthetic_lens import HEAD_PART, write_lens


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> LensFindings:
    return lens_findings(write_lens(tmp_path_factory.mktemp("lens")))


def test_margins_by_layer(findings: LensFindings) -> None:
    rows = findings.layers[findings.layers["measure"] == "margin_nats"]
    change = rows[(rows["model"] == "merged minus vlm") & (rows["skill"] == "reasoning")]
    assert change["value"].tolist() == pytest.approx([0, 0, 1, 1], abs=0.15)
    assert change["after_layer"].tolist() == [-1, 0, 1, 2]
    assert (change["low"] < change["value"]).all()
    assert set(change["n_videos"]) == {12}
    assert onset(findings.layers, "reasoning") == Onset(1, 1)
    assert onset(findings.layers, "perception") is None
    accuracy = findings.layers[
        (findings.layers["measure"] == "accuracy") & (findings.layers["after_layer"] == 2)
    ]
    assert set(accuracy.loc[accuracy["model"] == "merged", "value"]) == {1.0}
    assert set(accuracy.loc[accuracy["model"] == "merged minus vlm", "value"]) == {0.0}


def test_attention_by_head_and_over_heads(findings: LensFindings) -> None:
    rows = findings.attention[
        (findings.attention["model"] == "merged minus vlm")
        & (findings.attention["kind"] == "visual")
        & (findings.attention["skill"] == "reasoning")
        & (findings.attention["position"] == "answer")
    ].set_index(["layer", "head"])
    assert rows.loc[(1, 0), "share"] == pytest.approx(0.2)
    assert rows.loc[(1, 1), "share"] == 0
    assert rows.loc[(1, -1), "share"] == pytest.approx(0.1)
    assert rows.loc[(-1, -1), "share"] == pytest.approx(0.1 / 3)
    # kinds that no prompt has are left out
    assert set(findings.attention["kind"]) == {"visual", "question"}


def test_heads_with_their_changes_and_costs(findings: LensFindings) -> None:
    rows = findings.heads.set_index(["skill", "layer", "head"])
    assert rows.loc[("reasoning", 1, 0), "cost_merged"] == pytest.approx(2.0, abs=0.15)
    assert rows.loc[("reasoning", 1, 0), "p_merged_holm"] < 0.05
    assert rows.loc[("reasoning", 1, 1), "p_merged_holm"] > 0.05
    assert rows.loc[("perception", 1, 1), "cost_vlm"] == pytest.approx(1.0, abs=0.15)
    change = rows.loc[("reasoning", 1, 0)]
    assert change["cost_change_low"] < change["cost_change"] < change["cost_change_high"]
    assert rows.loc[("reasoning", 1, 1), "share_all"] == 0.2
    assert rows.loc[("perception", 1, 1), "output_change"] == pytest.approx(0.7)


def test_direct_parts(findings: LensFindings) -> None:
    groups = findings.direct_groups.set_index(["model", "skill", "part"])["nats"]
    groups = groups.sort_index()
    change = groups["merged minus vlm", "reasoning"]
    assert change["chosen_heads"] == pytest.approx(HEAD_PART)
    assert change["other_heads"] == 0
    assert change["mlps"] + HEAD_PART == pytest.approx(change["margin"])
    parts = findings.direct.set_index(["model", "skill", "part", "layer", "head"])["nats"]
    parts = parts.sort_index()
    assert parts["merged", "perception", "head", 1, 0] == pytest.approx(HEAD_PART)


def test_five_lines(findings: LensFindings) -> None:
    verdict = findings.verdict
    assert len(verdict.text.split("\n")) == 5
    assert "the merged model is ahead after layer 1 and every layer above it" in verdict.states
    assert "perception ends at" in verdict.states
    assert "no difference is shown that lasts to the last layer" in verdict.states
    assert "40.0% in the VLM and 43.3% in the merged model (more: +3.3 points" in verdict.attention
    assert "most in layer 1, +10.0" in verdict.attention
    assert "in weights head 1 of layer 1 changed most (20% of its norm)" in verdict.heads
    shown = "shown to change reasoning for 1 of 2 (greatest cost of these: head 0 of layer 1, "
    assert shown in verdict.heads
    assert "heads of the recipe's layers +0.40" in verdict.direct
    assert "read through TransformerLens" in verdict.checks
    assert "logits within 3e-07 of transformers'" in verdict.checks
    assert not re.search(r"-\d\.", verdict.states + verdict.attention + verdict.heads)
    write_lens_tables(findings)
    assert (findings.run.directory / "verdict.json").exists()


def test_nothing_to_find_is_said(tmp_path: Path) -> None:
    nothing = {0: (0.0, 0.0), 1: (0.0, 0.0)}
    verdict = lens_findings(write_lens(tmp_path, gain=(0.0,) * 4, costs=nothing, seed=3)).verdict
    assert verdict.states.count("no difference is shown that lasts to the last layer") == 2
    # nothing is shown, so nothing is named
    assert "shown to change reasoning for 0 of 2;" in verdict.heads
    assert "shown to change perception for 0 of 2;" in verdict.heads


def test_the_head_that_is_named_is_one_that_is_shown(findings: LensFindings) -> None:
    """A greater cost that may be chance, corrected for the number of heads, is not named."""
    heads = findings.heads.assign(
        cost_merged=[1.0, 3.0, -1.0, -3.0],
        p_merged_holm=[0.01, 0.08, 0.01, 0.01],
        cost_merged_low=[0.5, 2.0, -2.0, -4.0],
        cost_merged_high=[1.5, 4.0, -0.5, -2.0],
    )
    text = verdict_on(heads, findings)
    assert "reasoning for 1 of 2 (greatest cost of these: head 0 of layer 1, 1.00 nats" in text
    assert "perception for 2 of 2 (each helps when masked; most: head 1 of layer 1, −3.00" in text


def heads_of_layers(change: Sequence[float], cost: Sequence[float], vlm: float) -> pd.DataFrame:
    """Heads of reasoning, four a layer, with their change and their cost."""
    return pd.DataFrame(
        {
            "skill": "reasoning", "layer": np.repeat(range(len(change) // 4), 4),
            "head": np.tile(range(4), len(change) // 4), "share_all": change, "output_change": 0.1,
            "cost_merged": cost, "cost_vlm": vlm * np.array(cost), "p_merged_holm": 1.0,
            "cost_merged_low": -1.0, "cost_merged_high": 1.0,
        }
    )  # fmt: skip


def test_a_correlation_over_layers_alone_is_none_of_heads(findings: LensFindings) -> None:
    """Layers that changed more cost less; within a layer there is no order at all."""
    change = [10 * layer + head for layer in range(5) for head in range(4)]
    cost = [-10 * layer + head for layer in range(5) for head in (1, 3, 0, 2)]
    heads = heads_of_layers(change, cost, 1.0)
    found = change_against_cost(heads, "reasoning", model="merged")
    assert spearman(change, cost).p_value < 0.001
    assert found.estimate == pytest.approx(spearman(change, cost).estimate)
    assert found.estimate == pytest.approx(found.by_layers, abs=0.01)
    assert found.p_value > 0.5
    text = verdict_on(heads, findings)
    assert "with depth held fixed, heads whose weights changed more are not shown to" in text
    assert "in the unmerged VLM, too: rank correlation −0.9" in text


def test_a_correlation_within_layers_is_found(findings: LensFindings) -> None:
    """Within each layer order is perfect: 1 of 24 exchanges, and the one that mirrors it."""
    change = [head for layer in range(5) for head in range(4)]
    cost = [10 * layer + head for layer in range(5) for head in range(4)]
    found = change_against_cost(heads_of_layers(change, cost, 1.0), "reasoning", model="merged")
    assert found.by_layers == pytest.approx(0)
    assert found.p_value == pytest.approx(2 / 24**5)
    assert found.method == "all exchanges"
    text = verdict_on(heads_of_layers(change, cost, -1.0), findings)
    assert "with depth held fixed, heads whose weights changed more cost reasoning more" in text
    assert "in the unmerged VLM they cost reasoning less when masked" in text


def verdict_on(heads: pd.DataFrame, findings: LensFindings) -> str:
    return judge_lens(
        findings.run, findings.layers, findings.attention, heads, findings.direct_groups
    ).heads


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    alone = lens_findings(write_lens(tmp_path / "alone", merges=False)).verdict
    assert "Merged was not read: the recipe merges nothing." in alone.checks
    assert "merging changes" not in alone.states
    assert alone.direct.startswith("Direct parts of the VLM's +0.")
    why = "its layers do not add to the state just what heads and MLP give"
    without = lens_findings(write_lens(tmp_path / "without", direct=why)).verdict
    assert without.direct == f"Direct parts: none, since {why}."
    one = lens_findings(write_lens(tmp_path / "one", n_videos=1)).verdict
    assert "interval undefined" in one.states


def test_runs_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run at"):
        lens_findings(tmp_path / "nothing")
    run = write_lens(tmp_path / "run")
    (run / "finished.json").unlink()
    with pytest.raises(RunError, match="no finished lens run"):
        lens_findings(run)
    run = write_lens(tmp_path / "damaged")
    readings = run / "readings.jsonl"
    readings.write_text('{"item": "a"}\n' * len(readings.read_text().splitlines()))
    with pytest.raises(RunError, match="or damaged"):
        lens_findings(run)
