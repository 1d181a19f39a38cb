from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from merit_interp.tables.masking_depth import BEFORE_AFTER, depth_frame, depth_map, layer_frame
from merit_interp.tables.masking_effects import read_masking
from tests.synthetic_masking import write_sweep


def test_profiles_in_numbers(tmp_path: Path) -> None:
    write_sweep(
        tmp_path, reasoning=(0, 0, 0, 2, 2, 0), perception=(3, 1, 0, 0, 0, 0), chosen=(3,),
        vlm_reasoning=(1, 1, 1, 1, 1, 1), noise=0.05,
    )  # fmt: skip
    depth = depth_map(read_masking(tmp_path))

    def number(model: str, skill: str, name: str) -> float:
        found = depth.number(model, skill, name)
        assert found is not None
        assert found.low <= found.estimate <= found.high
        return found.estimate

    assert number("vlm", "reasoning", "participation_ratio") == pytest.approx(6, abs=0.1)
    assert number("merged", "reasoning", "participation_ratio") == pytest.approx(2, abs=0.1)
    assert number("vlm", "reasoning", "centre_of_mass") == pytest.approx(2.5, abs=0.1)
    assert number("merged", "reasoning", "centre_of_mass") == pytest.approx(3.5, abs=0.1)
    assert number("merged", "perception", "centre_of_mass") == pytest.approx(0.25, abs=0.1)
    change = depth.number(BEFORE_AFTER, "reasoning", "change_of_centre_of_mass")
    assert change is not None
    assert change.low < 1 < change.high
    assert change.low > 0
    kept = depth.number(BEFORE_AFTER, "perception", "change_of_centre_of_mass")
    assert kept is not None
    assert kept.low < 0 < kept.high
    # noise alone orders the layers that perception does not need
    assert number(BEFORE_AFTER, "perception", "rank_correlation") > 0.3
    assert len(depth_frame(depth)) == len(depth.numbers) == 14


def test_a_profile_that_stays_correlates_wholly(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(1, 2, 3), perception=(3, 2, 1), chosen=(1,))
    depth = depth_map(read_masking(tmp_path))
    for skill in ("reasoning", "perception"):
        found = depth.number(BEFORE_AFTER, skill, "rank_correlation")
        assert found is not None
        assert (found.estimate, found.low, found.high) == pytest.approx((1, 1, 1))


def test_without_importance_nothing_is_claimed(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(0, 0, 0), perception=(1, 0, 0), chosen=(1,))
    found = depth_map(read_masking(tmp_path)).number("merged", "reasoning", "participation_ratio")
    assert found is not None
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_layers_by_skill_and_category(tmp_path: Path) -> None:
    write_sweep(tmp_path, reasoning=(0, 3, 0), perception=(1, 0, 0), chosen=(1, 2))
    frame = layer_frame(read_masking(tmp_path))
    own = frame[(frame["model"] == "merged") & (frame["outcome"] == "margin_nats")]
    both = own[(own["layers"] == "1, 2") & (own["category"] == "all")].set_index("skill")
    assert both["cost"].to_dict() == {"perception": 0.0, "reasoning": 3.0}
    assert set(both["n_items"]) == {48}
    single = own[(own["layers"] == "1") & (own["skill"] == "reasoning")]
    assert set(single["category"]) == {"all", "reasoning 0", "reasoning 1"}
    # sets that only serve the comparison have no rows by category
    matched = own[own["roles"] == "size_matched"]
    assert set(matched["category"]) == {"all"}
