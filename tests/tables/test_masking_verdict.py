from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from merit_interp.tables.masking_tables import masking_findings, write_masking_tables
from merit_interp.tables.masking_verdict import MaskingVerdict
from tests.synthetic_masking import write_sweep

REASONING = (0.0, 3.0, 0.5, 2.0, 0.1, 0.0, 0.2, 0.0)
PERCEPTION = (1.0, 0.2, 0.0, 0.1, 0.0, 0.3, 0.0, 0.0)


def verdict_of(directory: Path, **settings: Any) -> MaskingVerdict:
    write_sweep(directory, **{"reasoning": REASONING, "perception": PERCEPTION, **settings})
    return masking_findings(directory).verdict


def test_layers_that_matter(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(1, 2, 3), noise=0.2)
    assert verdict.matters_more is True
    assert verdict.more_for_reasoning is True
    assert "recipe's 3 layers (1, 2, 3)" in verdict.cost
    assert verdict.against_others.startswith("They matter more for reasoning than other layers")
    assert "rank 1 of all 56 sets of 3 layers" in verdict.against_others
    assert len(verdict.text.split("\n")) == 3


def test_a_null_result_is_printed_as_one(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(0, 2, 5), noise=0.2)
    assert verdict.matters_more is False
    assert verdict.more_for_reasoning is False
    assert "are not shown to matter more" in verdict.against_others
    assert "are not shown to weigh more on reasoning" in verdict.against_perception


def test_numbers_are_set_as_numbers(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(0, 5), perception=(1.0,) + (0.0,) * 7)
    assert "cost 0.00 nats against a mean of" in verdict.against_others
    assert "less that to perception −1.00 nats" in verdict.against_perception
    assert not re.search(r"-\d", verdict.text)


def test_too_few_sets_to_show_anything(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(1,))
    assert verdict.matters_more is None
    assert "It cannot be shown" in verdict.against_others
    assert "so few sets cannot give less than p = 0.12" in verdict.against_others


@pytest.mark.parametrize(
    ("chosen", "why"), [((), "merges no layer"), (tuple(range(8)), "merges every layer")]
)
def test_nothing_to_compare(tmp_path: Path, chosen: tuple[int, ...], why: str) -> None:
    verdict = verdict_of(tmp_path, chosen=chosen)
    assert why in verdict.cost
    assert verdict.matters_more is None
    assert "reasoning most in layer 1 (+3.00 nats), layer 3 (+2.00 nats)" in verdict.against_others
    assert "perception most in layer 0 (+1.00 nats)" in verdict.against_perception


def test_no_perception_items(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(1, 2, 3), skills=("reasoning",))
    assert verdict.more_for_reasoning is None
    assert "there are no perception items" in verdict.cost


def test_no_other_sets(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(1, 2, 3), draws=0)
    assert verdict.matters_more is None
    assert "No other sets of as many layers were masked" in verdict.against_others


def test_drawn_sets_are_said_to_be_drawn(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, chosen=(1, 2, 3), draws=49)
    assert "of 50 of 56 sets of 3 layers" in verdict.against_others


def test_tables_and_verdict_are_written(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=REASONING, perception=PERCEPTION, chosen=(1, 3), noise=0.1)
    findings = masking_findings(tmp_path)
    write_masking_tables(findings)
    for name in ("mask_effects", "mask_layers", "mask_comparison", "mask_depth"):
        written = pd.read_parquet(tmp_path / "tables" / f"{name}.parquet")
        assert len(written) == len(pd.read_csv(tmp_path / "tables" / f"{name}.csv")) > 0
    assert json.loads((tmp_path / "verdict.json").read_text()) == json.loads(
        json.dumps(findings.verdict.to_json())
    )
